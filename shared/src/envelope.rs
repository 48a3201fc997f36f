//! What travels from a producer through a broker to a worker.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::schedule::{Misfire, Overlap};
use crate::timestamp::MAX_DURATION;
use crate::{
    Error, Key, KeyClaim, Kind, Payload, Priority, QueueName, Result, RetryPolicy, ScheduleId,
    TaskId, Timestamp,
};

/// Headers of an envelope: trace context and whatever an application adds. At most 64 of them, with
/// names of up to 128 and values of up to 8,192 bytes.
pub type Headers = BTreeMap<String, String>;

/// The timeout of a run unless another is given: 30 minutes.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// One enqueued task.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Envelope {
    /// Unique within the namespace; also the idempotency token of every run of this task.
    pub id: TaskId,
    /// Which handler runs it.
    pub kind: Kind,
    /// Where it waits. Default `default`.
    pub queue: QueueName,
    /// What it carries. Default JSON `null`.
    pub payload: Payload,
    /// Trace context and the application's own headers. Default none.
    pub headers: Headers,
    /// Its place among the ready tasks of its queue. Default 5.
    pub priority: Priority,
    /// When it was enqueued.
    pub enqueued_at: Timestamp,
    /// When it may run; not later than `enqueued_at` means at once.
    pub due_at: Timestamp,
    /// Its uniqueness key. Default none.
    pub key: Option<KeyClaim>,
    /// When it runs again after a failure.
    pub retry: RetryPolicy,
    /// The longest that one run may take. Default 30 minutes.
    pub timeout: Duration,
    /// No run starts and none goes on after this instant. Default none.
    pub deadline: Option<Timestamp>,
    /// How long it is kept with its result, logs and attempts once completed or cancelled. Default
    /// zero: it is removed.
    pub retention: Duration,
    /// The fire that it comes from, if any.
    pub origin: Option<Origin>,
}

/// The fire of a schedule that a task comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The schedule.
    pub schedule: ScheduleId,
    /// The planned instant, before jitter.
    pub scheduled_at: Timestamp,
    /// The revision of the schedule that planned it.
    pub revision: u64,
    /// What happens when an earlier task of the schedule has not ended at the due time.
    #[serde(default)]
    pub overlap: Overlap,
    /// What happens when nothing was up to promote it in time.
    #[serde(default)]
    pub misfire: Misfire,
    /// How long after its instant it may still run when it was promoted late.
    #[serde(
        default = "crate::schedule::default_catch_up",
        with = "crate::seconds_text"
    )]
    pub catch_up: Duration,
}

impl Envelope {
    /// An envelope with the defaults, due at once.
    #[must_use]
    pub fn new(id: TaskId, kind: Kind, payload: Payload, now: Timestamp) -> Self {
        Self {
            id,
            kind,
            queue: QueueName::default(),
            payload,
            headers: Headers::new(),
            priority: Priority::default(),
            enqueued_at: now,
            due_at: now,
            key: None,
            retry: RetryPolicy::default(),
            timeout: DEFAULT_TIMEOUT,
            deadline: None,
            retention: Duration::ZERO,
            origin: None,
        }
    }

    /// The uniqueness key, if any.
    #[must_use]
    pub fn key_text(&self) -> Option<&Key> {
        self.key.as_ref().map(|claim| &claim.key)
    }

    /// Until when the key is taken, if there is one: the time to live counts from the due time.
    #[must_use]
    pub fn key_expires_at(&self) -> Option<Timestamp> {
        self.key
            .as_ref()
            .map(|claim| self.due_at.max(self.enqueued_at) + claim.ttl)
    }

    /// Refuses what no broker could keep, before any I/O: an over-large payload (`max_payload`
    /// bytes), too many or malformed headers, settings out of range.
    pub fn check(&self, max_payload: usize) -> Result<()> {
        let wrong = |message: String| Err(Error::invalid("enqueue", message));
        let size = self.payload.as_bytes().len();
        if size > max_payload {
            return wrong(format!(
                "the payload has {size} bytes; the limit is {max_payload}"
            ));
        }
        if self.headers.len() > 64 {
            return wrong(format!(
                "there are {} headers; the limit is 64",
                self.headers.len()
            ));
        }
        for (name, value) in &self.headers {
            if name.is_empty() || name.len() > 128 || !name.bytes().all(|b| b.is_ascii_graphic()) {
                return wrong(format!(
                    "the header name {name:?} is malformed; expected 1 to 128 visible ASCII characters"
                ));
            }
            if value.len() > 8_192 {
                return wrong(format!(
                    "the header {name} has {} bytes; the limit is 8192",
                    value.len()
                ));
            }
        }
        if self.timeout.is_zero() {
            return wrong("the timeout is zero; expected more".into());
        }
        if self
            .key
            .as_ref()
            .is_some_and(|claim| claim.ttl > MAX_DURATION)
        {
            return wrong("the key's time to live is over 100 years".into());
        }
        self.retry.check()
    }
}
