//! The declaration of a schedule from code.

use std::future::IntoFuture;
use std::time::Duration;

use futures::future::BoxFuture;
use tidemill_shared::ledger::ScheduleRecord;
use tidemill_shared::schedule::{Bounds, ExcludedDates, Misfire, Overlap, Schedule};
use tidemill_shared::{
    Error, Headers, Kind, Priority, QueueName, Result, RetryPolicy, ScheduleId, Task, Timestamp,
};

use super::{Client, Rule};

/// Who owns what code declares.
const SOURCE: &str = "api";
const DAY: Duration = Duration::from_secs(86_400);

/// A schedule in the making; await it to declare it.
///
/// Declaring the same again changes nothing. Of an option that is given twice the later counts; what
/// is wrong is refused when it is awaited, before any I/O.
#[derive(Debug)]
#[must_use = "a schedule is not declared until it is awaited"]
pub struct PutSchedule {
    client: Client,
    id: Result<ScheduleId>,
    rule: Rule,
    bounds: Bounds,
    exclude: Vec<String>,
    kind: Result<Kind>,
    payload: Result<serde_json::Value, serde_json::Error>,
    queue: Option<Result<QueueName>>,
    priority: Option<Result<Priority>>,
    headers: Headers,
    misfire: Misfire,
    catch_up: Duration,
    overlap: Overlap,
    jitter: Duration,
    timeout: Option<Duration>,
    retention: Duration,
    retry: RetryPolicy,
}

impl PutSchedule {
    pub(super) fn new<T: Task>(
        client: Client,
        id: &str,
        rule: Rule,
        payload: Result<serde_json::Value, serde_json::Error>,
    ) -> Self {
        let defaults = T::defaults();
        let mut retry = RetryPolicy::default();
        if let Some(attempts) = defaults.max_attempts {
            retry.max_attempts = attempts;
        }
        Self {
            client,
            id: ScheduleId::new(id),
            rule,
            bounds: Bounds::default(),
            exclude: Vec::new(),
            kind: Kind::new(T::KIND),
            payload,
            queue: defaults.queue.map(QueueName::new),
            priority: defaults.priority.map(|level| Priority::new(level.into())),
            headers: Headers::new(),
            misfire: Misfire::default(),
            catch_up: Duration::from_secs(3_600),
            overlap: Overlap::default(),
            jitter: Duration::ZERO,
            timeout: defaults.timeout,
            retention: defaults.retention.unwrap_or(DAY),
            retry,
        }
    }

    /// It does not fire before this instant. Default: from the moment when it is declared.
    pub const fn start(mut self, at: Timestamp) -> Self {
        self.bounds.start = Some(at);
        self
    }

    /// It does not fire after this instant, which is not before its start. Default: no end.
    pub const fn end(mut self, at: Timestamp) -> Self {
        self.bounds.end = Some(at);
        self
    }

    /// It rests when so many of its fires have been enqueued over all revisions, at least 1.
    /// Default: no limit.
    pub const fn limit(mut self, fires: u64) -> Self {
        self.bounds.limit = Some(fires);
        self
    }

    /// It does not fire on this date (`2026-12-25`) or on those of a range
    /// (`2026-12-24..2027-01-02`, both ends included) of its zone; may be called again for others.
    pub fn exclude(mut self, dates: impl Into<String>) -> Self {
        self.exclude.push(dates.into());
        self
    }

    /// What happens to instants that passed while nothing was up. Default: the latest runs, once.
    pub fn misfire(mut self, policy: Misfire) -> Self {
        self.misfire = policy;
        self
    }

    /// How far back missed instants may run. Default 1 h.
    pub fn catch_up(mut self, window: Duration) -> Self {
        self.catch_up = window;
        self
    }

    /// What happens while an earlier task of the schedule has not ended. Default: it runs beside it.
    pub fn overlap(mut self, policy: Overlap) -> Self {
        self.overlap = policy;
        self
    }

    /// Each fire is due up to this much (at most a day) after its instant. Default zero.
    pub fn jitter(mut self, window: Duration) -> Self {
        self.jitter = window;
        self
    }

    /// The queue of its tasks. Default: the task's own, or `default`.
    pub fn queue(mut self, name: impl AsRef<str>) -> Self {
        self.queue = Some(QueueName::new(name));
        self
    }

    /// The priority of its tasks, 0 to 9. Default: the task's own, or 5.
    pub fn priority(mut self, level: i64) -> Self {
        self.priority = Some(Priority::new(level));
        self
    }

    /// Runs of a task in all, the first included. Default: the task's own, or 10.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.retry.max_attempts = attempts;
        self
    }

    /// When its tasks run again after a failure; replaces an earlier `max_attempts` too.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// The longest that one run may take. Default: the task's own, or 30 min.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// How long its tasks are kept once completed. Default: the task's own, or 24 h.
    pub fn retention(mut self, time: Duration) -> Self {
        self.retention = time;
        self
    }

    /// Adds a header to its tasks, or replaces it.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    fn finish(mut self) -> Result<Schedule> {
        self.bounds.exclude = ExcludedDates::read(&self.exclude)?;
        if self.jitter > DAY {
            return Err(Error::invalid("schedule", "the jitter is over a day"));
        }
        let schedule = Schedule {
            id: self.id?,
            recurrence: self.rule.0?.within(self.bounds)?,
            misfire: self.misfire,
            catch_up: self.catch_up,
            overlap: self.overlap,
            jitter: self.jitter,
            kind: self.kind?,
            queue: self.queue.transpose()?.unwrap_or_default(),
            payload: self.payload.map_err(|e| {
                Error::invalid(
                    "payload",
                    format!("the payload cannot be written as JSON: {e}"),
                )
            })?,
            headers: self.headers,
            priority: self.priority.transpose()?.unwrap_or_default(),
            timeout: self.timeout.unwrap_or_else(|| Duration::from_secs(30 * 60)),
            retention: self.retention,
            retry: self.retry,
        };
        // A fire must be a task that the broker takes.
        schedule.check(self.client.max_payload())?;
        Ok(schedule)
    }
}

impl IntoFuture for PutSchedule {
    type Output = Result<ScheduleRecord>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let client = self.client.clone();
            let schedule = self.finish()?;
            client
                .connection
                .ledger
                .put_schedule(SOURCE, schedule)
                .await
        })
    }
}
