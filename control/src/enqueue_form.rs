//! A task as it is enqueued over HTTP.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tidemill_producer::{Client, Enqueue};
use tidemill_shared::{
    ContentType, Error, Headers, KeyFate, Payload, Result, TaskId, Timestamp, seconds_text,
};

/// How long a task is kept once it has ended, unless it says so: as on the command line.
const RETENTION: Duration = Duration::from_secs(24 * 3_600);

/// What becomes of a key when its task ends.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fate {
    Free,
    Keep,
}

impl From<Fate> for KeyFate {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Free => Self::Free,
            Fate::Keep => Self::Keep,
        }
    }
}

/// A task. A field that is not known is refused: what a task becomes is not the caller's to say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnqueueForm {
    kind: String,
    #[serde(default = "default_queue")]
    pub(crate) queue: String,
    #[serde(default)]
    payload: Option<Box<RawValue>>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default, rename = "in", with = "seconds_text::option")]
    delay: Option<Duration>,
    #[serde(default)]
    at: Option<Timestamp>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default, with = "seconds_text::option")]
    key_ttl: Option<Duration>,
    #[serde(default)]
    key_on_success: Option<Fate>,
    #[serde(default)]
    key_on_failure: Option<Fate>,
    #[serde(default)]
    priority: Option<i64>,
    #[serde(default)]
    max_attempts: Option<u32>,
    #[serde(default, with = "seconds_text::option")]
    timeout: Option<Duration>,
    #[serde(default)]
    deadline: Option<Timestamp>,
    #[serde(default, with = "seconds_text::option")]
    retention: Option<Duration>,
    #[serde(default)]
    headers: Headers,
}

fn default_queue() -> String {
    "default".into()
}

impl EnqueueForm {
    /// The id that was asked for.
    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The enqueue that it asks for. `derived` is used where it names no id itself.
    pub(crate) fn enqueue(self, client: &Client, derived: Option<&TaskId>) -> Result<Enqueue> {
        let given = |set: bool, name: &str| match set && self.key.is_none() {
            true => Err(Error::invalid(
                "enqueue",
                format!("{name} goes with key only"),
            )),
            false => Ok(()),
        };
        given(self.key_ttl.is_some(), "key_ttl")?;
        given(self.key_on_success.is_some(), "key_on_success")?;
        given(self.key_on_failure.is_some(), "key_on_failure")?;
        if self.delay.is_some() && self.at.is_some() {
            return Err(Error::invalid(
                "enqueue",
                "expected one of in and at, not both",
            ));
        }
        let json = self.payload.as_ref().map_or("null", |raw| raw.get());
        let payload = Payload::new(ContentType::json(), json.as_bytes());
        let mut enqueue = client
            .enqueue_raw(&self.kind, payload)
            .queue(&self.queue)
            .retention(self.retention.unwrap_or(RETENTION));
        if let Some(id) = self.id.as_deref().or(derived.map(TaskId::as_str)) {
            enqueue = enqueue.id(id);
        }
        if let Some(key) = &self.key {
            enqueue = enqueue.key(key);
        }
        if let Some(ttl) = self.key_ttl {
            enqueue = enqueue.key_ttl(ttl);
        }
        if let Some(fate) = self.key_on_success {
            enqueue = enqueue.key_on_success(fate.into());
        }
        if let Some(fate) = self.key_on_failure {
            enqueue = enqueue.key_on_failure(fate.into());
        }
        if let Some(delay) = self.delay {
            enqueue = enqueue.after(delay);
        }
        if let Some(at) = self.at {
            enqueue = enqueue.at(at);
        }
        if let Some(level) = self.priority {
            enqueue = enqueue.priority(level);
        }
        if let Some(attempts) = self.max_attempts {
            enqueue = enqueue.max_attempts(attempts);
        }
        if let Some(timeout) = self.timeout {
            enqueue = enqueue.timeout(timeout);
        }
        if let Some(deadline) = self.deadline {
            enqueue = enqueue.deadline(deadline);
        }
        for (name, value) in self.headers {
            enqueue = enqueue.header(name, value);
        }
        Ok(enqueue)
    }
}
