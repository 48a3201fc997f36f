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

/// The version of all schedules, and of each its revision and whether it is paused.
type Definitions = (u64, HashMap<ScheduleId, (u64, bool)>);

/// Remembers the look before.
#[derive(Debug, Default)]
pub(super) struct Looker {
    queues: Option<HashMap<QueueName, QueueStats>>,
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
        let stats = connection.broker.stats(&[]).await?;
        let stats: HashMap<_, _> = stats
            .into_iter()
            .map(|one| (one.queue.clone(), one))
            .collect();
        let is_first = self.queues.is_none();
        if self.queues.as_ref() == Some(&stats) {
            return Ok(());
        }
        let mut counts: HashMap<QueueName, Count> = HashMap::new();
        if let Some(inspect) = connection.broker.inspect() {
            let found = self.found(inspect, is_first).await?;
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
        if let (Some(before), Some(now)) = (before, &self.queues) {
            for (name, stats) in now {
                let old = before.get(name);
                if old == Some(stats) {
                    continue;
                }
                feed.push("queue", Some(name), stats);
                let seen = counts.get(name).copied().unwrap_or_default();
                if let Some(skipped) = skipped(old, stats, seen) {
                    let data = json!({ "queue": name, "enqueued": skipped.enqueued, "runs": skipped.runs });
                    feed.push("skipped", Some(name), &data);
                }
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

/// What the counters say has happened, and no look has seen: at least so much.
fn skipped(before: Option<&QueueStats>, now: &QueueStats, seen: Count) -> Option<Count> {
    let more = |of: fn(&QueueStats) -> u64| of(now).saturating_sub(before.map_or(0, of));
    let ended = |stats: &QueueStats| stats.succeeded_total + stats.failed_total;
    let skipped = Count {
        enqueued: more(|stats| stats.enqueued_total).saturating_sub(seen.enqueued),
        runs: more(ended).saturating_sub(seen.runs),
    };
    (skipped != Count::default()).then_some(skipped)
}

#[cfg(test)]
mod tests {
    use tidemill_shared::{QueueName, QueueStats};

    use super::{Count, skipped};

    #[test]
    fn what_counters_say_and_nobody_saw_is_skipped() {
        let mut now = QueueStats::empty(QueueName::new("q").unwrap());
        now.enqueued_total = 10;
        now.succeeded_total = 4;
        now.failed_total = 2;
        let seen = |enqueued, runs| Count { enqueued, runs };
        assert_eq!(skipped(None, &now, seen(10, 6)), None);
        assert_eq!(skipped(None, &now, seen(12, 9)), None);
        assert_eq!(skipped(None, &now, seen(7, 6)), Some(seen(3, 0)));
        assert_eq!(skipped(Some(&now), &now, seen(0, 0)), None);
        assert_eq!(skipped(None, &now, seen(10, 1)), Some(seen(0, 5)));
    }
}
