//! What was read from the store at one instant.

use tidemill::ledger::{Presence, PresenceRecord, Role, ScheduleRecord, Schedules};
use tidemill::{QueueStats, State, TaskFilter, TaskRecord, Timestamp};

use crate::context::Context;
use crate::problem::Problem;

/// How many schedules are shown.
const SCHEDULES: usize = 500;
/// How many failures of each sort are looked at.
const FAILURES: usize = 100;

/// Queues, processes, schedules and failures as they were.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) at: Timestamp,
    pub(super) queues: Vec<QueueStats>,
    pub(super) workers: Vec<PresenceRecord>,
    pub(super) producers: Vec<PresenceRecord>,
    pub(super) schedules: Vec<ScheduleRecord>,
    /// Whether there are more than those.
    pub(super) more_schedules: bool,
    /// Dead letters and tasks that wait for a retry, the latest failure first.
    pub(super) failures: Vec<TaskRecord>,
}

impl Snapshot {
    /// Reads them.
    pub(super) async fn take(context: &Context) -> Result<Self, Problem> {
        let ledger = context.ledger();
        let mut queues = context.broker().stats(&[]).await?;
        queues.sort_by(|a, b| a.queue.cmp(&b.queue));
        let schedules = Schedules::schedules(ledger, None, SCHEDULES).await?;
        let mut failures = Vec::new();
        for state in [State::Dead, State::Retry] {
            // A listing of nothing costs a look all the same.
            let any = queues.iter().any(|queue| match state {
                State::Dead => queue.dead > 0,
                _ => queue.retry > 0,
            });
            if any {
                let filter = TaskFilter {
                    states: vec![state],
                    ..TaskFilter::default()
                };
                let page = context.inspect()?.list(&filter, None, FAILURES).await?;
                failures.extend(page.items);
            }
        }
        failures.sort_by_key(|task| std::cmp::Reverse(failed_at(task)));
        Ok(Self {
            at: context.clock().now(),
            queues,
            workers: Presence::present(ledger, Role::Worker).await?,
            producers: Presence::present(ledger, Role::Producer).await?,
            more_schedules: schedules.next.is_some(),
            schedules: schedules.items,
            failures,
        })
    }
}

/// When a task failed last, as far as its record says: its burial, or the start of its last run.
pub(super) fn failed_at(task: &TaskRecord) -> Timestamp {
    let known = task.finished_at.or(task.started_at);
    known.unwrap_or(task.envelope.enqueued_at)
}
