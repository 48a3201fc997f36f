//! Schedules: a rule for due instants, the policies around it, and the task that each fire makes.

mod cron;
mod form;
mod recurrence;
mod zone;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use cron::CronExpr;
pub use recurrence::{Interval, Recurrence};
pub use zone::Zone;

use crate::{
    Envelope, Headers, Kind, Origin, Payload, Priority, QueueName, Result, RetryPolicy, ScheduleId,
    TaskId, Timestamp,
};

/// A fire that is taken up later than this after its time is a misfire: 5 seconds.
pub const MISFIRE_THRESHOLD: Duration = Duration::from_secs(5);

/// What happens to instants that passed while nothing was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misfire {
    /// None of them runs.
    Skip,
    /// The latest runs, once, unless it is older than the catch-up window. The default.
    #[default]
    FireOnce,
    /// All of them run that are not older than the catch-up window.
    FireAll,
}

/// What happens to a fire while an earlier task of its schedule has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It runs beside it. The default.
    #[default]
    Allow,
    /// It is skipped, and recorded as such.
    Skip,
    /// It waits for the end of the earlier one; at most one waits, the latest.
    QueueOne,
    /// The earlier one is cancelled, and it runs when that has ended.
    CancelPrevious,
}

/// A schedule: when, in which zone, under which policies, and what.
///
/// Its text form (TOML in a schedule file, JSON elsewhere) has the fields `id`, one of `cron`,
/// `every` or `at`, and optionally `time_zone` (UTC), `kind`, `queue` (`default`), `payload` (null),
/// `headers`, `priority` (5), `misfire` (`fire_once`), `catch_up` (1 h), `overlap` (`allow`),
/// `jitter` (0 s), `timeout` (30 min), `retention` (24 h) and `retry`. Unknown fields are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "form::ScheduleForm", into = "form::ScheduleForm")]
pub struct Schedule {
    /// Its name.
    pub id: ScheduleId,
    /// Its due instants.
    pub recurrence: Recurrence,
    /// What happens to instants that passed while nothing was up.
    pub misfire: Misfire,
    /// How far back missed instants may run. Default 1 h.
    pub catch_up: Duration,
    /// What happens while an earlier task has not ended.
    pub overlap: Overlap,
    /// Each fire is due up to this much after its instant: by how much follows from schedule and
    /// instant, so that it is the same for every producer. Default zero.
    pub jitter: Duration,
    /// The kind of its tasks.
    pub kind: Kind,
    /// Their queue.
    pub queue: QueueName,
    /// Their payload.
    pub payload: serde_json::Value,
    /// Their headers.
    pub headers: Headers,
    /// Their priority.
    pub priority: Priority,
    /// The longest that one run may take. Default 30 min.
    pub timeout: Duration,
    /// How long they are kept once completed. Default 24 h.
    pub retention: Duration,
    /// When they run again after a failure.
    pub retry: RetryPolicy,
}

impl Schedule {
    /// The id of the task of a fire. It follows from schedule and instant alone, so that a fire is
    /// one task however often it is planned: the schedule's id (at most 100 characters, then cut and
    /// completed by a hash) and the instant in microseconds.
    pub fn task_id(&self, scheduled_at: Timestamp) -> Result<TaskId> {
        let id = self.id.as_str();
        let at = scheduled_at.as_micros();
        if id.len() <= 100 {
            return TaskId::new(format!("{id}.{at}"));
        }
        let cut: String = id.chars().take(80).collect();
        TaskId::new(format!("{cut}.{:016x}.{at}", fnv1a(id.as_bytes())))
    }

    /// When the task of a fire is due: its instant plus the fire's share of the jitter.
    #[must_use]
    pub fn due_at(&self, scheduled_at: Timestamp) -> Timestamp {
        let window = u64::try_from(self.jitter.as_micros()).unwrap_or(u64::MAX);
        if window == 0 {
            return scheduled_at;
        }
        let seed = fnv1a(self.id.as_str().as_bytes())
            ^ fnv1a(&scheduled_at.as_micros().to_le_bytes()).rotate_left(17);
        scheduled_at + Duration::from_micros(spread(seed) % window.saturating_add(1))
    }

    /// The task of a fire, due `due_at`.
    pub fn envelope(
        &self,
        scheduled_at: Timestamp,
        due_at: Timestamp,
        revision: u64,
        now: Timestamp,
    ) -> Result<Envelope> {
        let payload = Payload::json(&self.payload)?;
        let id = self.task_id(scheduled_at)?;
        let mut envelope = Envelope::new(id, self.kind.clone(), payload, now);
        envelope.queue = self.queue.clone();
        envelope.headers = self.headers.clone();
        envelope.priority = self.priority;
        envelope.due_at = due_at;
        envelope.retry = self.retry.clone();
        envelope.timeout = self.timeout;
        envelope.retention = self.retention;
        envelope.origin = Some(Origin {
            schedule: self.id.clone(),
            scheduled_at,
            revision,
            overlap: self.overlap,
            misfire: self.misfire,
        });
        Ok(envelope)
    }
}

/// FNV-1a, 64 bits: stable across builds and machines, which the standard hasher does not promise.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood 2014): spreads the bits of a weak hash.
fn spread(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
