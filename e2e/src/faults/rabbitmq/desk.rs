//! Somebody else's hands on the queues of RabbitMQ, by AMQP.

use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties};

use crate::Result;

/// A connection of somebody who is not of this house.
#[derive(Debug)]
pub struct Desk {
    _connection: Connection,
    channel: Channel,
}

impl Desk {
    /// Sits down at this node.
    pub async fn at(url: &str) -> Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        Ok(Self {
            _connection: connection,
            channel,
        })
    }

    /// Deletes a queue, and says how many messages went with it.
    pub async fn delete(&self, queue: &str) -> Result<u32> {
        let options = QueueDeleteOptions::default();
        Ok(self.channel.queue_delete(queue.into(), options).await?)
    }

    /// Declares a durable queue of this type.
    pub async fn declare(&self, queue: &str, kind: &str) -> Result {
        let mut settings = FieldTable::default();
        settings.insert("x-queue-type".into(), AMQPValue::LongString(kind.into()));
        let options = QueueDeclareOptions::durable();
        let declared = self.channel.queue_declare(queue.into(), options, settings);
        declared.await?;
        Ok(())
    }

    /// How many messages are ready in a queue.
    pub async fn count(&self, queue: &str) -> Result<u32> {
        let options = QueueDeclareOptions::default().passive();
        let none = FieldTable::default();
        let found = self.channel.queue_declare(queue.into(), options, none);
        Ok(found.await?.message_count())
    }

    /// Puts a copy of the first message behind the last, and takes that out; its header of this name, and its body.
    pub async fn copy(&self, queue: &str, header: &str) -> Result<Option<(String, String)>> {
        let options = BasicGetOptions::default();
        let Some(got) = self.channel.basic_get(queue.into(), options).await? else {
            return Ok(None);
        };
        let message = got.delivery;
        let (body, properties) = (&message.data, message.properties.clone());
        let options = BasicPublishOptions::default();
        let sent = self
            .channel
            .basic_publish("".into(), queue.into(), options, body, properties);
        sent.await?;
        let acknowledged = self
            .channel
            .basic_ack(message.delivery_tag, BasicAckOptions::default());
        acknowledged.await?;
        let headers = message.properties.headers().as_ref();
        let found = match headers.and_then(|headers| headers.inner().get(header)) {
            Some(AMQPValue::LongString(text)) => text.to_string(),
            other => format!("{other:?}"),
        };
        let body = String::from_utf8_lossy(body).into_owned();
        Ok(Some((found, body)))
    }

    /// Takes a message and puts it back, and says whether there was one.
    pub async fn put_back(&self, queue: &str) -> Result<bool> {
        let options = BasicGetOptions::default();
        let Some(got) = self.channel.basic_get(queue.into(), options).await? else {
            return Ok(false);
        };
        let options = BasicNackOptions {
            requeue: true,
            multiple: false,
        };
        let tag = got.delivery.delivery_tag;
        self.channel.basic_nack(tag, options).await?;
        Ok(true)
    }
}
