//! Spans: what took how long, and where it stands in a trace. Recorded by whoever is plugged in as
//! [`Tracer`], and by nobody otherwise: then a span is not even made.

use std::any::Any;
use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::Duration;

use crate::{Timestamp, TraceContext};

/// What records spans. [`Connection::tracer`](crate::Connection) is the place to plug one in; without
/// one, nothing is traced, and headers that name a trace travel on as they are.
pub trait Tracer: fmt::Debug + Send + Sync + 'static {
    /// The place of a new span: in a trace that goes on, or at the beginning of one. Decides whether
    /// it is recorded.
    fn place(&self, descent: Descent<'_>) -> TraceContext;

    /// Where the caller stands on this thread, if anywhere: in a span of the application, or in a
    /// run that was [entered](Tracer::enter).
    fn current(&self) -> Option<TraceContext>;

    /// Makes this the place where this thread stands, until the answer is dropped.
    fn enter(&self, place: &TraceContext) -> Entered;

    /// Whether there is room for another span. One that is refused counts as dropped, before anything
    /// of it has been put together.
    fn has_room(&self) -> bool;

    /// The present instant of this machine.
    fn now(&self) -> Timestamp;

    /// Takes a span that has ended. Must not block: what cannot be taken is dropped.
    fn take(&self, span: SpanRecord);
}

/// A thread that stands in a span until this is dropped.
pub struct Entered(
    #[expect(dead_code, reason = "it does its work when it is dropped")] Box<dyn Any>,
);

impl Entered {
    /// `guard` does what is needed when it is dropped, on the same thread.
    #[must_use]
    pub fn new(guard: impl Any) -> Self {
        Self(Box::new(guard))
    }
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entered")
    }
}

/// Where a span comes from.
#[derive(Clone, Copy, Debug)]
pub enum Descent<'a> {
    /// It begins a trace.
    Root,
    /// It is a part of that span.
    ChildOf(&'a TraceContext),
    /// It begins a trace and links to that span, from which it follows. It is recorded if that one
    /// is.
    After(&'a TraceContext),
}

/// On which side of which call a span stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Puts a task into a queue.
    Producer,
    /// Runs a task.
    Consumer,
    /// Calls somebody else and waits for the answer.
    Client,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanValue {
    /// Text.
    Text(String),
    /// Text that is part of the program.
    Word(&'static str),
    /// A number.
    Number(i64),
}

impl From<String> for SpanValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&'static str> for SpanValue {
    fn from(word: &'static str) -> Self {
        Self::Word(word)
    }
}

impl From<i64> for SpanValue {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for SpanValue {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

/// A span that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanRecord {
    /// What was done, such as `send mail`.
    pub name: String,
    /// On which side of a call it stands.
    pub kind: SpanKind,
    /// Its place.
    pub context: TraceContext,
    /// The span that it is a part of.
    pub parent: Option<TraceContext>,
    /// The spans that it follows from.
    pub links: Vec<TraceContext>,
    /// What else is known about it.
    pub attributes: Vec<(&'static str, SpanValue)>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
}

/// A span that goes on until it is dropped. One that is not recorded is only a place in a trace.
#[derive(Debug)]
pub struct Span {
    context: TraceContext,
    recording: Option<Box<Recording>>,
}

#[derive(Debug)]
struct Recording {
    tracer: Arc<dyn Tracer>,
    record: SpanRecord,
}

impl Span {
    /// Begins a span. `name` is asked only if it is recorded.
    pub fn start(
        tracer: &Arc<dyn Tracer>,
        kind: SpanKind,
        descent: Descent<'_>,
        name: impl FnOnce() -> String,
    ) -> Self {
        let context = tracer.place(descent);
        if !context.sampled || !tracer.has_room() {
            return Self {
                context,
                recording: None,
            };
        }
        let (parent, links) = match descent {
            Descent::Root => (None, Vec::new()),
            Descent::ChildOf(parent) => (Some(parent.clone()), Vec::new()),
            Descent::After(link) => (None, vec![link.clone()]),
        };
        let now = tracer.now();
        let record = SpanRecord {
            name: name(),
            kind,
            context: context.clone(),
            parent,
            links,
            attributes: Vec::with_capacity(10),
            failure: None,
            started_at: now,
            ended_at: now,
        };
        let tracer = Arc::clone(tracer);
        Self {
            context,
            recording: Some(Box::new(Recording { tracer, record })),
        }
    }

    /// Where it stands.
    #[must_use]
    pub const fn context(&self) -> &TraceContext {
        &self.context
    }

    /// Adds to what is known about it, if it is recorded.
    pub fn describe(&mut self, describe: impl FnOnce(&mut SpanRecord)) {
        if let Some(recording) = &mut self.recording {
            describe(&mut recording.record);
        }
    }

    /// Says that it has failed: `class` in few values, `message` for people.
    pub fn fail(&mut self, class: &str, message: impl Display) {
        self.describe(|record| {
            record.set("error.type", class.to_owned());
            record.failure = Some(message.to_string());
        });
    }

    /// Says that it began this long ago.
    pub fn began(&mut self, ago: Duration) {
        self.describe(|record| record.started_at = record.started_at - ago);
    }

    /// Lets it be as if it had never been.
    pub fn discard(mut self) {
        self.recording = None;
    }
}

impl SpanRecord {
    /// Adds an attribute.
    pub fn set(&mut self, name: &'static str, value: impl Into<SpanValue>) {
        self.attributes.push((name, value.into()));
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(recording) = self.recording.take() {
            let Recording { tracer, mut record } = *recording;
            record.ended_at = tracer.now().max(record.started_at);
            tracer.take(record);
        }
    }
}
