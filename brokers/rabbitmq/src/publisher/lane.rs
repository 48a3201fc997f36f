//! One channel on which one call at a time publishes.

use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use futures::future::{MaybeDone, maybe_done};
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation};
use tidemill_shared::{Error, ErrorKind, Result};

use super::Message;
use crate::fault::fault;
use crate::headers;
use crate::link::Live;
use crate::topology::Topology;

/// The most messages of a lane that wait for their confirms.
pub(super) const WINDOW: usize = 1_024;

/// What no queue takes comes back.
const MANDATORY: BasicPublishOptions = BasicPublishOptions {
    mandatory: true,
    immediate: false,
};

/// A channel that asks for confirms, and the lines that were declared on it.
///
/// It is of one call at a time. lapin numbers messages in one step and sends them in another, and gives a
/// message that was returned to whichever confirm comes next: calls that share a channel would be told of
/// each other's messages.
pub(super) struct Lane {
    channel: Channel,
    declared: HashSet<ShortString>,
}

/// What RabbitMQ said of a message.
pub(super) enum Sent {
    Confirmed,
    Refused,
    /// There is no such queue.
    Returned,
    /// Nothing, before the channel was lost.
    Unknown(Error),
}

impl Lane {
    pub(super) async fn open(live: &Live) -> Result<Self> {
        let channel = live.channel("enqueue").await?;
        let confirms = channel
            .confirm_select(ConfirmSelectOptions::default())
            .await;
        confirms.map_err(|error| fault("enqueue", &error))?;
        Ok(Self {
            channel,
            declared: HashSet::new(),
        })
    }

    pub(super) fn is_open(&self) -> bool {
        self.channel.status().connected()
    }

    /// Sees to it that there is such a line.
    pub(super) async fn declare(&mut self, topology: &Topology, line: &ShortString) -> Result<()> {
        if !self.declared.contains(line) {
            topology.declare(&self.channel, line, "enqueue").await?;
            self.declared.insert(line.clone());
        }
        Ok(())
    }

    /// Sends all of them, one behind the other, and waits for what RabbitMQ says of each.
    pub(super) async fn send(&mut self, messages: &[&Message]) -> Vec<Sent> {
        let sends = messages.iter().map(|message| {
            let sent = self.channel.basic_publish(
                ShortString::default(),
                message.line.clone(),
                MANDATORY,
                &message.body,
                headers::properties(&message.envelope),
            );
            Box::pin(maybe_done(sent))
        });
        let sends = all_begun(sends.collect()).await;
        let mut confirms = Vec::with_capacity(messages.len());
        for mut send in sends {
            send.as_mut().await;
            confirms.push(send.as_mut().take_output());
        }
        let (mut answers, mut returned) = (Vec::with_capacity(messages.len()), HashSet::new());
        for confirm in confirms {
            let answer = match confirm {
                Some(Ok(confirm)) => confirm.await,
                Some(Err(error)) => Err(error),
                None => {
                    answers.push(Sent::Unknown(internal("a message has no confirm")));
                    continue;
                }
            };
            let (answer, message) = match answer {
                Ok(Confirmation::Ack(message)) => (Sent::Confirmed, message),
                Ok(Confirmation::Nack(message)) => (Sent::Refused, message),
                Ok(Confirmation::NotRequested) => {
                    let error = internal("a channel did not ask for confirms");
                    (Sent::Unknown(error), None)
                }
                Err(error) => (Sent::Unknown(fault("enqueue", &error)), None),
            };
            let id = message.and_then(|message| message.delivery.properties.message_id().clone());
            returned.extend(id);
            answers.push(answer);
        }
        if !returned.is_empty() {
            self.note_returned(messages, &mut answers, &returned);
        }
        answers
    }

    /// Sends a message to a queue that is made for it, takes it out, and removes the queue.
    pub(super) async fn probe(&self, name: ShortString) -> Result<()> {
        let channel = self.channel.clone();
        let tried = async {
            let options = QueueDeclareOptions::exclusive();
            let none = FieldTable::default();
            channel.queue_declare(name.clone(), options, none).await?;
            let (exchange, none) = (ShortString::default(), BasicProperties::default());
            let sent = channel.basic_publish(exchange, name.clone(), MANDATORY, &[], none);
            let sent = sent.await?.await?;
            let options = BasicGetOptions { no_ack: true };
            channel.basic_get(name.clone(), options).await?;
            let options = QueueDeleteOptions::default();
            channel.queue_delete(name, options).await?;
            lapin::Result::Ok(sent)
        };
        match tried.await.map_err(|error| fault("probe", &error))? {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(_)) | Confirmation::Nack(_) | Confirmation::NotRequested => {
                Err(Error::new(
                    ErrorKind::Unavailable,
                    "probe",
                    "RabbitMQ has not taken a message in",
                ))
            }
        }
    }

    /// Which of the messages came back: lapin does not say it of the right ones. Their queues are gone.
    fn note_returned(
        &mut self,
        messages: &[&Message],
        answers: &mut [Sent],
        returned: &HashSet<ShortString>,
    ) {
        for (message, answer) in messages.iter().zip(answers) {
            if !returned.contains(message.envelope.id.as_str()) {
                continue;
            }
            *answer = Sent::Returned;
            if self.declared.remove(&message.line) {
                tracing::warn!(line = %message.line, "a queue was gone from RabbitMQ; it is declared again");
            }
        }
    }
}

/// Lets each of them begin, in this order: as soon as it is polled, a message is on its way. To wait for one
/// before the next begins would take a change of threads for each.
async fn all_begun<F: Future>(
    mut futures: Vec<Pin<Box<MaybeDone<F>>>>,
) -> Vec<Pin<Box<MaybeDone<F>>>> {
    poll_fn(|context| {
        for future in &mut futures {
            // Most are not done yet. Those that are stay so.
            let _is_done = future.as_mut().poll(context).is_ready();
        }
        Poll::Ready(())
    })
    .await;
    futures
}

fn internal(message: &str) -> Error {
    Error::new(ErrorKind::Internal, "enqueue", message)
}
