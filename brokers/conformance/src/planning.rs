//! Schedules, terms and fires as the cases stage them.

use std::time::Duration;

use tidemill_shared::ledger::{FireOutcome, FireRecord, PlannedFire, ScheduleRecord, Term};
use tidemill_shared::schedule::{Interval, Misfire, Overlap, Recurrence, Schedule};
use tidemill_shared::{Headers, Lease, Priority, RetryPolicy, ScheduleId, Timestamp};

use crate::scene::{RETENTION, Scene, kind, queue, seconds, worker};

/// Who declares schedules unless a case says otherwise.
pub(crate) const SOURCE: &str = "file:tidemill.toml";
/// Who leads unless a case says otherwise.
pub(crate) const PRODUCER: &str = "producer-1";

pub(crate) fn schedule_id(text: &str) -> ScheduleId {
    ScheduleId::new(text).expect("the case names a valid schedule")
}

/// A schedule of every minute that allows overlap and runs whatever it missed.
pub(crate) fn schedule(id: &str) -> Schedule {
    let interval = Interval::new(seconds(60)).expect("a minute is an interval");
    Schedule {
        id: schedule_id(id),
        recurrence: Recurrence::Every(interval),
        misfire: Misfire::FireAll,
        catch_up: seconds(3_600),
        overlap: Overlap::Allow,
        jitter: Duration::ZERO,
        kind: kind("test.kind"),
        queue: queue("default"),
        payload: serde_json::json!({ "schedule": id }),
        headers: Headers::new(),
        priority: Priority::default(),
        timeout: seconds(60),
        retention: RETENTION,
        retry: RetryPolicy::default(),
    }
}

/// The same with other policies.
pub(crate) fn policed(id: &str, overlap: Overlap, misfire: Misfire) -> Schedule {
    Schedule {
        overlap,
        misfire,
        ..schedule(id)
    }
}

/// A schedule that leads, is stored, and plans fires.
pub(crate) struct Plan {
    pub(crate) record: ScheduleRecord,
    pub(crate) term: Term,
}

impl Plan {
    /// The fire of an instant under the current revision.
    pub(crate) fn fire(&self, scheduled_at: Timestamp, now: Timestamp) -> PlannedFire {
        let schedule = &self.record.schedule;
        let due_at = schedule.due_at(scheduled_at);
        let task = schedule.envelope(scheduled_at, due_at, self.record.revision, now);
        PlannedFire {
            schedule: schedule.id.clone(),
            scheduled_at,
            revision: self.record.revision,
            task: Ok(Box::new(task.expect("a schedule makes tasks"))),
            count: 1,
            planned_until: scheduled_at,
            manual: false,
        }
    }

    /// The task of the fire of an instant.
    pub(crate) fn task(&self, scheduled_at: Timestamp) -> String {
        let task = self.record.schedule.task_id(scheduled_at);
        task.expect("a fire has a task id").to_string()
    }
}

impl Scene {
    /// Stores a schedule and takes the lead.
    pub(crate) async fn plan(&self, schedule: Schedule) -> Plan {
        let record = self.ledger.put_schedule(SOURCE, schedule).await;
        Plan {
            record: record.expect("a schedule can be stored"),
            term: self.lead(PRODUCER).await.expect("nobody else leads"),
        }
    }

    pub(crate) async fn lead(&self, holder: &str) -> Option<Term> {
        let term = self.ledger.lead(0, &worker(holder), seconds(3_600)).await;
        term.expect("lead answers")
    }

    /// Plans an instant.
    pub(crate) async fn fire(&self, plan: &Plan, scheduled_at: Timestamp) -> FireOutcome {
        let fires = vec![plan.fire(scheduled_at, self.now())];
        let mut outcomes = self.record_fires(Some(&plan.term), fires).await;
        outcomes.remove(0)
    }

    /// Plans the instants so many seconds from now, all of which must be taken, and names their
    /// tasks.
    pub(crate) async fn fires_in(&self, plan: &Plan, offsets: &[u64]) -> Vec<String> {
        let mut tasks = Vec::new();
        for offset in offsets {
            let at = self.after(seconds(*offset));
            assert_eq!(self.fire(plan, at).await, FireOutcome::Enqueued);
            tasks.push(plan.task(at));
        }
        tasks
    }

    pub(crate) async fn record_fires(
        &self,
        term: Option<&Term>,
        fires: Vec<PlannedFire>,
    ) -> Vec<FireOutcome> {
        let size = fires.len();
        let outcomes = self.ledger.record_fires(term, fires).await;
        let outcomes = outcomes.expect("record_fires answers").outcomes;
        assert_eq!(outcomes.len(), size, "one answer for each fire");
        outcomes
    }

    /// The fires on record, oldest first.
    pub(crate) async fn fires(&self, schedule: &str) -> Vec<FireRecord> {
        let page = self.ledger.fires(&schedule_id(schedule), None, 1_000).await;
        let mut fires = page.expect("fires answer").items;
        fires.reverse();
        fires
    }

    /// The outcomes on record, oldest first.
    pub(crate) async fn outcomes(&self, schedule: &str) -> Vec<FireOutcome> {
        let fires = self.fires(schedule).await;
        fires.iter().map(|fire| fire.outcome).collect()
    }

    pub(crate) async fn schedule(&self, schedule: &str) -> Option<ScheduleRecord> {
        let found = self.ledger.schedule(&schedule_id(schedule)).await;
        found.expect("schedule answers")
    }

    /// Leases the first that is ready, which must be this task, for as long as a case lasts.
    pub(crate) async fn take_for_long(&self, task: &str) -> Lease {
        let lease = self.take(task).await;
        self.renew(&lease, seconds(36_000)).await;
        lease
    }
}
