//! A task as it is enqueued over HTTP.

use std::time::Duration;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tidemill_producer::{Client, Enqueue};
use tidemill_shared::schedule::read_retry;
use tidemill_shared::{
    ContentType, Error, Headers, KeyFate, Payload, Result, RetryPolicy, TRACEPARENT, TaskId,
    Timestamp, seconds_text, trace_headers,
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
    /// The payload where it is not JSON, and what it is.
    #[serde(default)]
    payload_base64: Option<String>,
    #[serde(default)]
    content_type: Option<String>,
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
    /// When it runs again after a failure.
    #[serde(default, deserialize_with = "retry_rules")]
    retry: Option<RetryPolicy>,
    /// The same number within `retry`, for those who want no more of it.
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

fn retry_rules<'de, D: Deserializer<'de>>(
    reader: D,
) -> std::result::Result<Option<RetryPolicy>, D::Error> {
    // A list would be read as the rules in their order.
    let rules = serde_json::Map::deserialize(reader)?;
    let rules = read_retry(serde_json::Value::Object(rules));
    rules.map(Some).map_err(serde::de::Error::custom)
}

fn default_queue() -> String {
    "default".into()
}

impl EnqueueForm {
    /// The id that was asked for.
    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Adds the headers about the trace of the request that it came with, unless it has its own.
    pub(crate) fn traced(mut self, request: &HeaderMap) -> Self {
        if !self.headers.contains_key(TRACEPARENT) {
            let get = |name| request.get(name)?.to_str().ok();
            for (name, value) in trace_headers(get) {
                self.headers.entry(name).or_insert(value);
            }
        }
        self
    }

    fn payload(&self) -> Result<Payload> {
        let invalid = |what: &str| Err(Error::invalid("enqueue", what));
        match (&self.payload, &self.payload_base64, &self.content_type) {
            (Some(_), Some(_), _) => {
                invalid("expected one of payload and payload_base64, not both")
            }
            (_, None, Some(_)) => {
                invalid("content_type goes with payload_base64 only; payload is application/json")
            }
            (json, None, None) => {
                let json = json.as_ref().map_or("null", |raw| raw.get());
                Ok(Payload::new(ContentType::json(), json.as_bytes()))
            }
            (None, Some(text), content_type) => {
                let content_type = content_type.as_deref().map(ContentType::new);
                let content_type = content_type.unwrap_or_else(|| Ok(ContentType::bytes()))?;
                let bytes = STANDARD.decode(text).map_err(|e| {
                    Error::invalid("enqueue", format!("payload_base64 is not base64: {e}"))
                })?;
                if content_type.is_json() && serde_json::from_slice::<&RawValue>(&bytes).is_err() {
                    return invalid("payload_base64 is not JSON, as its content_type says");
                }
                Ok(Payload::new(content_type, bytes))
            }
        }
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
        let payload = self.payload()?;
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
        if let Some(policy) = self.retry {
            enqueue = enqueue.retry(policy);
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
