//! Two connections to RabbitMQ, one that publishes and one that consumes, and a queue.

use std::future::poll_fn;
use std::task::Poll;

use futures::StreamExt;
use futures::future::maybe_done;
use futures::stream::ReadyChunks;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer};
use tokio::time::timeout;

use super::PATIENCE;
use crate::Result;

/// The queue through which all goes.
pub(super) const QUEUE: &str = "loadtest-floor";

/// The most messages that are taken in at once.
const GULP: usize = 256;

/// Delivery mode 2.
const PERSISTENT: u8 = 2;

pub(super) struct Wire {
    publishing: Connection,
    consuming: Connection,
    kind: String,
    channel: Channel,
}

impl Wire {
    /// Connects, and declares the queue, of the type that the URL says.
    pub(super) async fn open(url: &str) -> Result<Self> {
        let (place, options) = url.split_once('?').unwrap_or((url, ""));
        let kind = options
            .split('&')
            .find_map(|option| option.strip_prefix("queue_type="))
            .unwrap_or("quorum");
        let connect = || Connection::connect(place, ConnectionProperties::default());
        let (publishing, consuming) = (connect().await?, connect().await?);
        let wire = Self {
            channel: publishing.create_channel().await?,
            publishing,
            consuming,
            kind: kind.to_owned(),
        };
        wire.declare(QUEUE, wire.guarded()).await?;
        Ok(wire)
    }

    /// What a queue of Tidemill does with what it cannot deliver.
    fn guarded(&self) -> FieldTable {
        let mut settings = FieldTable::default();
        let mut put = |name: &str, value: AMQPValue| {
            settings.insert(name.into(), value);
        };
        let text = |text: &str| AMQPValue::LongString(text.into());
        put("x-dead-letter-exchange", text("amq.fanout"));
        if self.is_quorum() {
            put("x-delivery-limit", AMQPValue::LongInt(20));
            put("x-dead-letter-strategy", text("at-least-once"));
            put("x-overflow", text("reject-publish"));
        }
        settings
    }

    /// Declares a durable queue with these settings besides; anew if there is one.
    pub(super) async fn declare(&self, name: &str, mut settings: FieldTable) -> Result {
        self.delete(name).await?;
        let kind = AMQPValue::LongString(self.kind.as_str().into());
        settings.insert("x-queue-type".into(), kind);
        let options = QueueDeclareOptions::durable();
        let declared = self.channel.queue_declare(name.into(), options, settings);
        declared.await?;
        Ok(())
    }

    pub(super) fn is_quorum(&self) -> bool {
        self.kind == "quorum"
    }

    pub(super) async fn delete(&self, name: &str) -> Result {
        let options = QueueDeleteOptions::default();
        self.channel.queue_delete(name.into(), options).await?;
        Ok(())
    }

    /// A channel that publishes into the queue.
    pub(super) async fn outlet(&self) -> Result<Outlet> {
        let channel = self.publishing.create_channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        Ok(Outlet { channel })
    }

    /// A channel to which at most so many messages are out at once.
    pub(super) async fn inlet(&self, prefetch: usize) -> Result<Inlet> {
        let channel = self.consuming.create_channel().await?;
        let prefetch = u16::try_from(prefetch)?;
        channel
            .basic_qos(prefetch, BasicQosOptions::default())
            .await?;
        let (tag, options) = (ShortString::default(), BasicConsumeOptions::default());
        let none = FieldTable::default();
        let consumer = channel.basic_consume(QUEUE.into(), tag, options, none);
        Ok(Inlet {
            gulps: consumer.await?.ready_chunks(GULP),
            channel,
        })
    }

    /// Checks how many messages there are in the end, and removes them.
    pub(super) async fn end(self, expected: usize) -> Result {
        let options = QueueDeclareOptions::default().passive();
        let none = FieldTable::default();
        let found = self.channel.queue_declare(QUEUE.into(), options, none);
        let found = found.await?.message_count();
        self.delete(QUEUE).await?;
        if usize::try_from(found)? != expected {
            return Err(format!("{found} messages are left; expected {expected}").into());
        }
        Ok(())
    }
}

/// Publishes.
pub(super) struct Outlet {
    channel: Channel,
}

impl Outlet {
    /// Publishes all into the queue, and waits until all are confirmed.
    pub(super) async fn publish(&self, bodies: &[Vec<u8>]) -> Result {
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        let messages = bodies.iter().map(|body| (body, properties.clone()));
        self.publish_to(QUEUE, messages).await
    }

    /// The same with properties, into any queue.
    pub(super) async fn publish_to(
        &self,
        queue: &str,
        messages: impl Iterator<Item = (&Vec<u8>, BasicProperties)>,
    ) -> Result {
        let queue: ShortString = queue.into();
        let options = BasicPublishOptions {
            mandatory: true,
            immediate: false,
        };
        let sends = messages.map(|(body, properties)| {
            let (exchange, queue) = (ShortString::default(), queue.clone());
            let channel = &self.channel;
            Box::pin(maybe_done(
                channel.basic_publish(exchange, queue, options, body, properties),
            ))
        });
        let mut sends: Vec<_> = sends.collect();
        // All of them are on their way before the first is waited for, or lapin would change threads for each.
        poll_fn(|context| {
            for send in &mut sends {
                let _is_done = send.as_mut().poll(context).is_ready();
            }
            Poll::Ready(())
        })
        .await;
        let mut confirms = Vec::with_capacity(sends.len());
        for send in &mut sends {
            send.as_mut().await;
            let sent = send.as_mut().take_output();
            confirms.push(sent.ok_or("a message was not sent")??);
        }
        for confirm in confirms {
            let confirmed = confirm.await?;
            if confirmed != Confirmation::Ack(None) {
                return Err(format!("a message was not confirmed: {confirmed:?}").into());
            }
        }
        Ok(())
    }
}

/// Consumes.
pub(super) struct Inlet {
    channel: Channel,
    gulps: ReadyChunks<Consumer>,
}

impl Inlet {
    /// What has come, at least one.
    pub(super) async fn gulp(&mut self) -> Result<Vec<Delivery>> {
        let gulp = timeout(PATIENCE, self.gulps.next()).await;
        let gulp = gulp.map_err(|_| "nothing comes any more")?;
        let gulp = gulp.ok_or("the consumer has ended")?.into_iter();
        Ok(gulp.collect::<Result<_, _>>()?)
    }

    /// Acknowledges all up to the last of these.
    pub(super) async fn acknowledge(&self, gulp: &[Delivery]) -> Result {
        let options = BasicAckOptions { multiple: true };
        if let Some(last) = gulp.last() {
            self.channel.basic_ack(last.delivery_tag, options).await?;
        }
        Ok(())
    }

    /// Waits until RabbitMQ has heard all that was said here.
    pub(super) async fn heard(&self) -> Result {
        let options = QueueDeclareOptions::default().passive();
        let found = self
            .channel
            .queue_declare(QUEUE.into(), options, FieldTable::default());
        found.await?;
        Ok(())
    }
}
