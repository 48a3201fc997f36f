//! One look at the store: what is different from the look before.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::json;
use tidemill_shared::ledger::{ScheduleRecord, Schedules};
use tidemill_shared::{
    Connection, Inspect, QueueName, QueueStats, Result, ScheduleId, State, TaskFilter, TaskId,
    TaskRecord,
};

use super::Feed;

/// How many of the newest tasks a look goes through at most.
const NEWEST: usize = 1_000;
/// How many at once.
const PAGE: usize = 200;
/// How many tasks that ran, or waited, at the look before are looked for by their ids.
const BY_ID: usize = 200;
/// How many schedules are compared.
const SCHEDULES: usize = 10_000;

/// A task as it was at the look before.
#[derive(Clone, Debug)]
struct Known {
    queue: QueueName,
    mark: String,
    runs: u64,
    is_final: bool,
}

/// A task, as an event tells of it.
#[derive(Debug, Serialize)]
pub(crate) struct TaskChange<'a> {
    id: &'a TaskId,
    kind: &'a str,
    queue: &'a QueueName,
    state: State,
    attempt: u32,
}

/// What was seen in a queue between two looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    enqueued: u64,
    runs: u64,
}

impl Count {
    /// What the counters of a queue have gained.
    fn gained(before: Option<&QueueStats>, now: Option<&QueueStats>) -> Self {
        let more = |of: fn(&QueueStats) -> u64| {
            let of = |stats: Option<&QueueStats>| stats.map_or(0, of);
            of(now).saturating_sub(of(before))
        };
        Self {
            enqueued: more(|stats| stats.enqueued_total),
            runs: more(|stats| stats.succeeded_total + stats.failed_total),
        }
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            enqueued: self.enqueued.saturating_add(other.enqueued),
            runs: self.runs.saturating_add(other.runs),
        }
    }

    const fn minus(self, other: Self) -> Self {
        Self {
            enqueued: self.enqueued.saturating_sub(other.enqueued),
            runs: self.runs.saturating_sub(other.runs),
        }
    }

    fn at_most(self, other: Self) -> Self {
        Self {
            enqueued: self.enqueued.min(other.enqueued),
            runs: self.runs.min(other.runs),
        }
    }
}

/// The version of all schedules, and of each its revision and whether it is paused.
type Definitions = (u64, HashMap<ScheduleId, (u64, bool)>);

/// Remembers the look before.
#[derive(Debug, Default)]
pub(super) struct Looker {
    queues: Option<HashMap<QueueName, QueueStats>>,
    /// What the look before may have seen that its counters did not know yet: it happened between the two.
    ahead: HashMap<QueueName, Count>,
    tasks: HashMap<TaskId, Known>,
    schedules: Option<Definitions>,
}

impl<'a> From<&'a TaskRecord> for TaskChange<'a> {
    fn from(task: &'a TaskRecord) -> Self {
        let envelope = &task.envelope;
        Self {
            id: &envelope.id,
            kind: envelope.kind.as_str(),
            queue: &envelope.queue,
            state: task.state,
            attempt: task.attempt,
        }
    }
}

/// Where a task is: what differs when it has changed.
pub(crate) fn mark(task: &TaskRecord) -> String {
    let cancel = u8::from(task.cancel_requested);
    let due = task.due_at.as_micros();
    format!("{}.{}.{due}.{cancel}", task.state, task.attempt)
}

/// How many runs of it have ended.
fn runs(task: &TaskRecord) -> u64 {
    u64::from(task.attempt) - u64::from(task.state == State::Active && task.attempt > 0)
}

impl Looker {
    /// Looks, and says whether everything is known now. What cannot be looked at now is looked at again.
    pub(super) async fn look(&mut self, connection: &Connection, feed: &Feed) -> bool {
        if let Err(error) = self.tasks_and_queues(connection, feed).await {
            tracing::debug!(%error, "what has changed cannot be looked at");
        }
        if let Err(error) = self.schedules(connection, feed).await {
            tracing::debug!(%error, "what has changed about schedules cannot be looked at");
        }
        self.queues.is_some() && self.schedules.is_some()
    }

    async fn tasks_and_queues(&mut self, connection: &Connection, feed: &Feed) -> Result<()> {
        let stats = by_queue(connection.broker.stats(&[]).await?);
        let is_first = self.queues.is_none();
        if self.queues.as_ref() == Some(&stats) {
            return Ok(());
        }
        let mut counts: HashMap<QueueName, Count> = HashMap::new();
        let found = match connection.broker.inspect() {
            Some(inspect) => Some(self.found(inspect, is_first).await?),
            None => None,
        };
        // Tasks come and go while they are looked at.
        let after = by_queue(connection.broker.stats(&[]).await?);
        if let Some(found) = found {
            let mut tasks = HashMap::with_capacity(found.len());
            for task in &found {
                let id = task.envelope.id.clone();
                let before = self.tasks.get(&id);
                let now = Known {
                    queue: task.envelope.queue.clone(),
                    mark: mark(task),
                    runs: runs(task),
                    is_final: task.state.is_final(),
                };
                let count = counts.entry(now.queue.clone()).or_default();
                count.enqueued += u64::from(before.is_none());
                count.runs += now
                    .runs
                    .saturating_sub(before.map_or(0, |before| before.runs));
                if !is_first && before.is_none_or(|before| before.mark != now.mark) {
                    let change = TaskChange::from(task);
                    feed.push("task", Some(change.queue), &change);
                }
                tasks.insert(id, now);
            }
            self.tasks = tasks;
        }
        let before = self.queues.replace(stats);
        let ahead = std::mem::take(&mut self.ahead);
        let Some(now) = &self.queues else {
            return Ok(());
        };
        for name in after.keys() {
            let old = before.as_ref().and_then(|before| before.get(name));
            let stats = now.get(name);
            let meanwhile = Count::gained(stats, after.get(name));
            let seen = counts.get(name).copied().unwrap_or_default();
            let seen = seen.plus(ahead.get(name).copied().unwrap_or_default());
            let gained = Count::gained(old, stats);
            let carried = match &before {
                Some(_) => seen.minus(gained).at_most(meanwhile),
                // What there was before the first look was not counted.
                None => meanwhile,
            };
            if carried != Count::default() {
                self.ahead.insert(name.clone(), carried);
            }
            let (Some(_), Some(stats)) = (&before, stats) else {
                continue;
            };
            if old == Some(stats) {
                continue;
            }
            feed.push("queue", Some(name), stats);
            // What the counters say has happened, and no look has seen: at least so much.
            let skipped = gained.minus(seen);
            if skipped != Count::default() {
                let data =
                    json!({ "queue": name, "enqueued": skipped.enqueued, "runs": skipped.runs });
                feed.push("skipped", Some(name), &data);
            }
        }
        Ok(())
    }

    /// The newest tasks, as far as the newest of the look before; those that run; and those that had not
    /// ended and are not among these. Oldest first.
    async fn found(&self, inspect: &dyn Inspect, is_first: bool) -> Result<Vec<TaskRecord>> {
        let mut found: Vec<TaskRecord> = Vec::new();
        let (mut cursor, mut met) = (None, is_first);
        for _ in 0..NEWEST / PAGE {
            let page = inspect.list(&TaskFilter::default(), cursor, PAGE).await?;
            met |= page
                .items
                .iter()
                .any(|task| self.tasks.contains_key(&task.envelope.id));
            found.extend(page.items);
            cursor = page.next;
            if cursor.is_none() || met {
                break;
            }
        }
        let active = TaskFilter {
            states: vec![State::Active],
            ..TaskFilter::default()
        };
        found.extend(inspect.list(&active, None, PAGE).await?.items);
        let mut seen: HashMap<TaskId, ()> = HashMap::new();
        found.retain(|task| seen.insert(task.envelope.id.clone(), ()).is_none());
        let open = self
            .tasks
            .iter()
            .filter(|(id, known)| !known.is_final && !seen.contains_key(*id));
        let open: Vec<_> = open.map(|(id, _)| id.clone()).take(BY_ID).collect();
        for id in open {
            found.extend(inspect.get(&id).await?);
        }
        found.sort_by_key(|task| task.envelope.enqueued_at);
        Ok(found)
    }

    async fn schedules(&mut self, connection: &Connection, feed: &Feed) -> Result<()> {
        let ledger = &*connection.ledger;
        let version = Schedules::schedules_version(ledger).await?;
        if self
            .schedules
            .as_ref()
            .is_some_and(|(known, _)| *known == version)
        {
            return Ok(());
        }
        let mut now = HashMap::new();
        let mut cursor = None;
        let mut is_whole = true;
        loop {
            let page = Schedules::schedules(ledger, cursor, 1_000).await?;
            let one =
                |record: ScheduleRecord| (record.schedule.id, (record.revision, record.paused));
            now.extend(page.items.into_iter().map(one));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
            if now.len() >= SCHEDULES {
                is_whole = false;
                break;
            }
        }
        if let Some((_, before)) = &self.schedules {
            for (id, (revision, paused)) in &now {
                let change = match before.get(id) {
                    None => "added",
                    Some(old) if *old == (*revision, *paused) => continue,
                    Some(_) => "changed",
                };
                let data =
                    json!({ "id": id, "change": change, "revision": revision, "paused": paused });
                feed.push("schedule", None, &data);
            }
            for id in before.keys().filter(|id| !now.contains_key(*id)) {
                feed.push("schedule", None, &json!({ "id": id, "change": "removed" }));
            }
            if !is_whole {
                let data = json!({ "schedules": format!("beyond the first {SCHEDULES}") });
                feed.push("skipped", None, &data);
            }
            feed.push("schedules", None, &json!({ "version": version }));
        }
        self.schedules = Some((version, now));
        Ok(())
    }
}

fn by_queue(stats: Vec<QueueStats>) -> HashMap<QueueName, QueueStats> {
    let named = stats.into_iter().map(|one| (one.queue.clone(), one));
    named.collect()
}

#[cfg(test)]
mod tests {
    use tidemill_shared::{QueueName, QueueStats};

    use super::Count;

    #[test]
    fn what_counters_say_and_nobody_saw_is_skipped() {
        let mut now = QueueStats::empty(QueueName::new("q").unwrap());
        now.enqueued_total = 10;
        now.succeeded_total = 4;
        now.failed_total = 2;
        let count = |enqueued, runs| Count { enqueued, runs };
        let gained = Count::gained(None, Some(&now));
        assert_eq!(gained, count(10, 6));
        assert_eq!(gained.minus(count(12, 9)), count(0, 0));
        assert_eq!(gained.minus(count(7, 6)), count(3, 0));
        assert_eq!(gained.minus(count(10, 1)), count(0, 5));
        assert_eq!(Count::gained(Some(&now), Some(&now)), count(0, 0));
        assert_eq!(Count::gained(Some(&now), None), count(0, 0));
    }
}
