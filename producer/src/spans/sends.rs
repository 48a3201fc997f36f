//! The spans of enqueues.

use std::fmt::Display;

use tidemill_shared::{Connection, Descent, Envelope, Result, Span, SpanKind};

use super::{caller, descent, dispatch};
use crate::Enqueued;

/// The most links of a span, which is OpenTelemetry's usual limit.
const MAX_LINKS: usize = 128;

/// The span of one enqueue, for those who hand an envelope to a broker themselves; a
/// [`Client`](crate::Client) sees to it. It ends when it is dropped.
#[derive(Debug)]
pub struct SendSpan(Option<Span>);

impl SendSpan {
    /// Begins it, and writes its place into the headers of the envelope. Does nothing where nobody
    /// records spans.
    pub fn begin(connection: &Connection, envelope: &mut Envelope) -> Self {
        let Some(tracer) = &connection.tracer else {
            return Self(None);
        };
        let parent = caller(tracer, envelope);
        let descent = descent(parent.as_ref());
        Self(Some(dispatch(
            "send", connection, tracer, descent, envelope,
        )))
    }

    /// Says that the enqueue has failed: `class` in few values, `message` for people.
    pub fn fail(&mut self, class: &str, message: impl Display) {
        if let Some(span) = &mut self.0 {
            span.fail(class, message);
        }
    }

    pub(crate) fn end(self, answer: &Result<Enqueued>) {
        if let Some(span) = self.0 {
            end(span, answer);
        }
    }
}

/// The spans of one call with several tasks: one that creates each task, and one that sends them all
/// and links to those.
#[derive(Debug, Default)]
pub(crate) struct BatchSpans {
    created: Vec<Span>,
    sent: Option<Span>,
}

impl BatchSpans {
    pub(crate) fn begin<'a>(
        connection: &Connection,
        envelopes: impl ExactSizeIterator<Item = &'a mut Envelope>,
    ) -> Self {
        let Some(tracer) = &connection.tracer else {
            return Self::default();
        };
        let count = envelopes.len();
        if count == 1 {
            let one = envelopes.map(|envelope| SendSpan::begin(connection, envelope).0);
            let created = one.flatten().collect();
            return Self {
                created,
                sent: None,
            };
        }
        let mut queue = None;
        let mut is_one_queue = true;
        let mut created = Vec::with_capacity(count);
        for envelope in envelopes {
            let first = queue.get_or_insert_with(|| envelope.queue.clone());
            is_one_queue &= *first == envelope.queue;
            let parent = caller(tracer, envelope);
            let descent = descent(parent.as_ref());
            created.push(dispatch("create", connection, tracer, descent, envelope));
        }
        let queue = queue.filter(|_| is_one_queue);
        let recorded = || {
            created
                .iter()
                .map(Span::context)
                .filter(|place| place.sampled)
        };
        let Some(first) = recorded().next() else {
            return Self {
                created,
                sent: None,
            };
        };
        let around = tracer.current();
        let descent = around
            .as_ref()
            .map_or(Descent::After(first), Descent::ChildOf);
        let mut sent = Span::start(tracer, SpanKind::Client, descent, || match &queue {
            Some(queue) => format!("send {queue}"),
            None => "send".into(),
        });
        sent.describe(|record| {
            record.links = recorded().take(MAX_LINKS).cloned().collect();
            record.set("messaging.system", connection.broker.capabilities().system);
            record.set("messaging.operation.name", "send");
            record.set("messaging.operation.type", "send");
            record.set(
                "messaging.batch.message_count",
                i64::try_from(count).unwrap_or(i64::MAX),
            );
            if let Some(queue) = &queue {
                record.set("messaging.destination.name", queue.to_string());
            }
        });
        Self {
            created,
            sent: Some(sent),
        }
    }

    pub(crate) fn end(self, answers: &[Result<Enqueued>]) {
        if let Some(mut sent) = self.sent
            && let Some(Err(error)) = answers.iter().find(|answer| answer.is_err())
        {
            sent.fail(error.kind().as_str(), error);
        }
        for (span, answer) in self.created.into_iter().zip(answers) {
            end(span, answer);
        }
    }
}

fn end(mut span: Span, answer: &Result<Enqueued>) {
    match answer {
        Ok(done) if done.is_duplicate() => span.describe(|record| {
            record.set("tidemill.admission", "duplicate");
            record.set("tidemill.duplicate_of", done.id.to_string());
        }),
        Ok(_) => {}
        Err(error) => span.fail(error.kind().as_str(), error),
    }
}
