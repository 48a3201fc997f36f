//! Schedules: a rule for due instants, the policies around it, and the task that each fire makes.

mod bounds;
mod cron;
mod excluded_dates;
mod fire;
mod form;
mod recurrence;
mod retry_form;
mod zone;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use bounds::{Bounded, Bounds};
pub use cron::{ClockChange, CronExpr};
pub use excluded_dates::ExcludedDates;
pub(crate) use fire::stable_hash;
pub use fire::{fire_due_at, fire_task_id};
pub use recurrence::{Interval, Recurrence};
pub use retry_form::deserialize as read_retry;
pub use zone::Zone;

use crate::{
    Envelope, Error, Headers, Kind, Origin, Payload, Priority, QueueName, Result, RetryPolicy,
    ScheduleId, TaskId, Timestamp, keep_what_travels,
};

/// A fire that is taken up later than this after its time is a misfire: 5 seconds.
pub const MISFIRE_THRESHOLD: Duration = Duration::from_secs(5);

/// The header of a task whose fire met a change of the clock: `gap`, `first_pass` or `second_pass`
/// ([`ClockChange`]).
pub const CLOCK_CHANGE: &str = "tidemill-clock-change";

/// How far back missed instants may run unless a schedule says otherwise: one hour.
pub(crate) const fn default_catch_up() -> Duration {
    Duration::from_secs(3_600)
}

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

impl Misfire {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Skip, Self::FireOnce, Self::FireAll];

    /// The name of the policy, as definitions and metrics have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::FireOnce => "fire_once",
            Self::FireAll => "fire_all",
        }
    }
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
/// `every` or `at`, and optionally `time_zone` (UTC), the bounds `start`, `end`, `limit` and
/// `exclude`, `kind`, `queue` (`default`), `payload` (null), `headers`, `priority` (5), `misfire`
/// (`fire_once`), `catch_up` (1 h), `overlap` (`allow`), `jitter` (0 s), `timeout` (30 min),
/// `retention` (24 h) and `retry`. Unknown fields are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "form::ScheduleForm", into = "form::ScheduleForm")]
pub struct Schedule {
    /// Its name.
    pub id: ScheduleId,
    /// Its due instants, with the bounds that hold them back.
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

/// What a fire is of.
#[derive(Clone, Copy, Debug)]
pub struct FireOf<'a> {
    /// Its schedule.
    pub schedule: &'a ScheduleId,
    /// Its instant.
    pub scheduled_at: Timestamp,
    /// When its task is due.
    pub due_at: Timestamp,
    /// The revision that plans it.
    pub revision: u64,
    /// The change of the clock that the instant belongs to, if any.
    pub clock_change: Option<ClockChange>,
}

/// The most headers of a schedule: the rest of an envelope's 64 is for the trace of a fire and the change of
/// the clock that it belongs to.
const MAX_HEADERS: usize = 60;

impl Schedule {
    /// How many fires are put into the broker at most, if that is limited.
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        self.recurrence.bounds()?.limit
    }

    /// The id of the task of a fire: [`fire_task_id`].
    pub fn task_id(&self, scheduled_at: Timestamp) -> Result<TaskId> {
        fire_task_id(&self.id, scheduled_at)
    }

    /// When the task of a fire is due: [`fire_due_at`].
    #[must_use]
    pub fn due_at(&self, scheduled_at: Timestamp) -> Timestamp {
        fire_due_at(&self.id, self.jitter, scheduled_at)
    }

    /// The task of a fire, due `due_at`. Where the instant meets a change of the clock, the header
    /// [`CLOCK_CHANGE`] says which.
    pub fn envelope(
        &self,
        scheduled_at: Timestamp,
        due_at: Timestamp,
        revision: u64,
        now: Timestamp,
    ) -> Result<Envelope> {
        let payload = Payload::json(&self.payload)?;
        let fire = FireOf {
            schedule: &self.id,
            scheduled_at,
            due_at,
            revision,
            clock_change: self.recurrence.clock_change_at(scheduled_at),
        };
        self.envelope_with(&fire, payload, now)
    }

    /// Refuses what no fire could be made of: as [`Envelope::check`], with room for the headers that a fire gets
    /// beside its own.
    pub fn check(&self, max_payload: usize) -> Result<()> {
        let wrong =
            |what: String| Error::invalid("schedule", format!("schedule {}: {what}", self.id));
        if self.headers.len() > MAX_HEADERS {
            return Err(wrong(format!(
                "there are {} headers; the limit is {MAX_HEADERS}",
                self.headers.len()
            )));
        }
        let at = Timestamp::default();
        let envelope = self.envelope(at, at, 1, at)?;
        envelope
            .check(max_payload)
            .map_err(|error| wrong(error.to_string()))
    }

    /// The task of a fire of a schedule that has all but its id, rule and payload in common with this one.
    pub fn envelope_with(
        &self,
        fire: &FireOf<'_>,
        payload: Payload,
        now: Timestamp,
    ) -> Result<Envelope> {
        let id = fire_task_id(fire.schedule, fire.scheduled_at)?;
        let mut envelope = Envelope::new(id, self.kind.clone(), payload, now);
        envelope.queue = self.queue.clone();
        envelope.headers = self.headers.clone();
        keep_what_travels(&mut envelope.headers);
        if let Some(change) = fire.clock_change {
            envelope
                .headers
                .insert(CLOCK_CHANGE.into(), change.as_str().into());
        }
        envelope.priority = self.priority;
        envelope.due_at = fire.due_at;
        envelope.retry = self.retry.clone();
        envelope.timeout = self.timeout;
        envelope.retention = self.retention;
        envelope.origin = Some(Origin {
            schedule: fire.schedule.clone(),
            scheduled_at: fire.scheduled_at,
            revision: fire.revision,
            overlap: self.overlap,
            misfire: self.misfire,
            catch_up: self.catch_up,
        });
        Ok(envelope)
    }
}
