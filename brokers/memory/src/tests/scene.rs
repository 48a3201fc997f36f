//! A store on a clock that stands still, and short ways to fill it.

use std::sync::Arc;
use std::time::Duration;

use tidemill_shared::ledger::{FireOutcome, FireRecord, Fires, PlannedFire, Schedules};
use tidemill_shared::schedule::{Misfire, Overlap, Schedule};
use tidemill_shared::{
    Admission, Broker, Change, Changed, Clock, Demand, Envelope, FailureRecord, Inspect, Key,
    KeyClaim, Kind, Lease, ManualClock, Payload, QueueDemand, QueueName, ScheduleId, Settled,
    Settlement, State, TaskId, TaskRecord, Timestamp, Verdict, WorkerId,
};

use crate::MemoryStore;

pub(super) const LEASE: Duration = Duration::from_secs(10);

pub(super) struct Scene {
    pub(super) clock: Arc<ManualClock>,
    pub(super) store: MemoryStore,
}

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn task(id: &str) -> TaskId {
    TaskId::new(id).unwrap()
}

pub(super) fn queue(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

pub(super) fn tick() -> ScheduleId {
    ScheduleId::new("tick").unwrap()
}

pub(super) fn failure() -> FailureRecord {
    FailureRecord::new("error", "it broke")
}

pub(super) fn demand(queues: &[&str], max: usize, wait: Duration) -> Demand {
    Demand {
        worker: WorkerId::new("worker").unwrap(),
        queues: queues
            .iter()
            .map(|name| QueueDemand {
                queue: queue(name),
                max,
            })
            .collect(),
        max,
        ttl: LEASE,
        wait,
    }
}

impl Scene {
    pub(super) fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_800_000_000_000)));
        let store = MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>);
        Self { clock, store }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn envelope(&self, id: &str) -> Envelope {
        let kind = Kind::new("work").unwrap();
        Envelope::new(task(id), kind, Payload::default(), self.now())
    }

    pub(super) fn envelope_in(&self, id: &str, name: &str) -> Envelope {
        let mut envelope = self.envelope(id);
        envelope.queue = queue(name);
        envelope
    }

    pub(super) fn keyed(&self, id: &str, key: &str, ttl: Duration) -> Envelope {
        let mut envelope = self.envelope(id);
        let mut claim = KeyClaim::new(Key::new(key).unwrap());
        claim.ttl = ttl;
        envelope.key = Some(claim);
        envelope
    }

    /// Enqueues a task that must be admitted.
    pub(super) async fn add(&self, envelope: Envelope) {
        assert_eq!(self.enqueue(envelope).await, Admission::Admitted);
    }

    pub(super) async fn enqueue(&self, envelope: Envelope) -> Admission {
        let mut answers = self.store.enqueue(vec![envelope]).await.unwrap();
        answers.pop().unwrap()
    }

    pub(super) async fn take(&self, name: &str, max: usize) -> Vec<Lease> {
        let demand = demand(&[name], max, Duration::ZERO);
        self.store.lease(&demand).await.unwrap()
    }

    /// Leases the one task that is ready.
    pub(super) async fn take_one(&self) -> Lease {
        let mut leases = self.take("default", 1).await;
        leases.pop().unwrap()
    }

    pub(super) async fn settle(&self, lease: &Lease, verdict: Verdict) -> Settled {
        let settlement = Settlement {
            token: lease.token.clone(),
            started_at: Some(self.now()),
            verdict,
        };
        self.store.settle(vec![settlement]).await.unwrap()[0]
    }

    pub(super) async fn ack(&self, lease: &Lease) {
        let settled = self.settle(lease, Verdict::Ack { result: None }).await;
        assert_eq!(settled, Settled::Done(State::Completed));
    }

    pub(super) async fn change(&self, id: &str, change: Change) -> Changed {
        self.store.change(&task(id), &change).await.unwrap()
    }

    pub(super) async fn get(&self, id: &str) -> Option<TaskRecord> {
        self.store.get(&task(id)).await.unwrap()
    }

    pub(super) async fn state(&self, id: &str) -> Option<State> {
        self.get(id).await.map(|record| record.state)
    }

    /// The schedule `tick`, every second.
    pub(super) fn schedule(&self, overlap: Overlap, misfire: Misfire) -> Schedule {
        let form = serde_json::json!({
            "id": "tick", "every": "1s", "kind": "work", "overlap": overlap, "misfire": misfire,
        });
        serde_json::from_value(form).unwrap()
    }

    /// Plans the fire of the schedule `tick` that is this far ahead, under its current revision.
    pub(super) async fn plan(&self, ahead: Duration) -> (TaskId, FireOutcome) {
        let record = self.store.schedule(&tick()).await.unwrap().unwrap();
        let at = self.now() + ahead;
        let fire = self.planned(&record.schedule, at, record.revision);
        let id = record.schedule.task_id(at).unwrap();
        let outcomes = self.store.record_fires(None, vec![fire]).await.unwrap();
        (id, outcomes.outcomes[0])
    }

    /// A fire that needs no term.
    pub(super) fn planned(&self, schedule: &Schedule, at: Timestamp, revision: u64) -> PlannedFire {
        let envelope = schedule.envelope(at, at, revision, self.now()).unwrap();
        PlannedFire {
            schedule: schedule.id.clone(),
            scheduled_at: at,
            revision,
            task: Ok(Box::new(envelope)),
            count: 1,
            planned_until: at,
            manual: true,
        }
    }

    /// The fires of the schedule `tick`, oldest first.
    pub(super) async fn fires(&self) -> Vec<FireRecord> {
        let page = self.store.fires(&tick(), None, 1_000).await.unwrap();
        page.items.into_iter().rev().collect()
    }
}
