//! A store, a clock, and producers that are started, stopped and killed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tidemill_memory::MemoryStore;
use tidemill_producer::{Scheduler, SchedulerEvent};
use tidemill_shared::ledger::{FireOutcome, FireRecord};
use tidemill_shared::schedule::Schedule;
use tidemill_shared::{
    Clock, Connection, Demand, Lease, ManualClock, QueueDemand, QueueName, Result, ScheduleId,
    State, TaskFilter, TaskRecord, Timestamp, WorkerId,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::asked;

/// The longest that anything may take.
const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Scene {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) connection: Connection,
    events: watch::Sender<Vec<Told>>,
}

/// What a producer told.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) producer: &'static str,
    pub(crate) event: SchedulerEvent,
}

pub(crate) struct Producer {
    stop: CancellationToken,
    running: JoinSet<Result<()>>,
}

impl Producer {
    /// Ends it as SIGTERM would.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(DEADLINE, self.running.join_next()).await;
        ended.unwrap().unwrap().unwrap().unwrap();
    }

    /// Ends it as kill -9 would.
    pub(crate) async fn kill(mut self) {
        self.running.shutdown().await;
    }
}

impl Scene {
    /// A new store, at 2026-01-01T00:00:00Z: the one that is asked for, or memory.
    pub(crate) async fn new() -> Self {
        let clock = clock();
        match asked::store(clock.clone()).await {
            Some(connection) => Self::on(clock, connection),
            None => Self::memory(),
        }
    }

    /// Memory, also where another store is asked for: for tests in tokio's paused time, which does not
    /// wait for a server.
    pub(crate) fn memory() -> Self {
        let clock = clock();
        let connection = MemoryStore::new(clock.clone()).connection();
        Self::on(clock, connection)
    }

    pub(crate) fn on(clock: Arc<ManualClock>, connection: Connection) -> Self {
        Self {
            clock,
            connection,
            events: watch::Sender::new(Vec::new()),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Starts a producer with the defaults.
    pub(crate) fn start(&self, producer: &'static str) -> Producer {
        self.start_with(producer, |scheduler| scheduler)
    }

    /// Starts a producer with other settings.
    pub(crate) fn start_with(
        &self,
        producer: &'static str,
        set: impl FnOnce(Scheduler) -> Scheduler,
    ) -> Producer {
        let (stop, events) = (CancellationToken::new(), self.events.clone());
        let scheduler = Scheduler::new(&self.connection)
            .identity(WorkerId::new(producer).unwrap())
            .on_event(move |event| {
                let event = event.clone();
                events.send_modify(|all| all.push(Told { producer, event }));
            });
        let mut running = JoinSet::new();
        running.spawn(set(scheduler).run(stop.clone()));
        Producer { stop, running }
    }

    /// Waits until what was told so far is enough.
    pub(crate) async fn until(&self, what: &str, enough: impl Fn(&[Told]) -> bool) {
        let mut seen = self.events.subscribe();
        let waited = tokio::time::timeout(DEADLINE, seen.wait_for(|all| enough(all)));
        if waited.await.is_err() {
            let all = self.events.borrow();
            let last: Vec<_> = all.iter().rev().take(20).collect();
            panic!("waited in vain until {what}; told last: {last:#?}");
        }
    }

    /// Waits until one more thing is told, or a moment has passed.
    pub(crate) async fn a_moment(&self) {
        let mut seen = self.events.subscribe();
        seen.mark_unchanged();
        let _more_or_not = tokio::time::timeout(Duration::from_millis(20), seen.changed()).await;
    }

    pub(crate) async fn elected(&self, producer: &str) {
        self.until(&format!("{producer} is elected"), |all| {
            all.iter().any(|told| {
                told.producer == producer && matches!(told.event, SchedulerEvent::Elected { .. })
            })
        })
        .await;
    }

    /// Waits until the last instant of the schedule within the horizon has been planned.
    pub(crate) async fn planned_ahead(&self, schedule: &Schedule) {
        let instants = due(schedule, self.now(), self.now() + Duration::from_secs(60));
        if let Some(last) = instants.last().copied() {
            self.settled(schedule.id.as_str(), last).await;
        }
    }

    /// Waits until something has become of an instant, or of a later one.
    pub(crate) async fn settled(&self, schedule: &str, instant: Timestamp) {
        self.until(&format!("{schedule} is planned up to {instant}"), |all| {
            all.iter().any(|told| {
                fate_of(&told.event).is_some_and(|(id, scheduled_at)| {
                    id.as_str() == schedule && scheduled_at >= instant
                })
            })
        })
        .await;
    }

    pub(crate) fn told(&self) -> Vec<Told> {
        self.events.borrow().clone()
    }

    /// How often each instant of the schedule was put into the broker, by what producers told.
    pub(crate) fn plans_told(&self, schedule: &str) -> BTreeMap<Timestamp, usize> {
        let mut counts = BTreeMap::new();
        for told in self.events.borrow().iter() {
            if let SchedulerEvent::Planned {
                schedule: id,
                scheduled_at,
                ..
            } = &told.event
                && id.as_str() == schedule
            {
                *counts.entry(*scheduled_at).or_default() += 1;
            }
        }
        counts
    }

    pub(crate) async fn put(&self, schedule: &Schedule) {
        let ledger = &self.connection.ledger;
        ledger.put_schedule("cli", schedule.clone()).await.unwrap();
    }

    /// All fires on record, oldest first.
    pub(crate) async fn fires(&self, schedule: &str) -> Vec<FireRecord> {
        let id = ScheduleId::new(schedule).unwrap();
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let page = self
                .connection
                .ledger
                .fires(&id, cursor, 1_000)
                .await
                .unwrap();
            all.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                all.reverse();
                return all;
            }
        }
    }

    /// The instants with this outcome, oldest first.
    pub(crate) async fn instants(&self, schedule: &str, outcome: FireOutcome) -> Vec<Timestamp> {
        let fires = self.fires(schedule).await.into_iter();
        let chosen = fires.filter(|fire| fire.outcome == outcome);
        chosen.map(|fire| fire.scheduled_at).collect()
    }

    /// All tasks of a schedule in the broker.
    pub(crate) async fn tasks(&self, schedule: &str) -> Vec<TaskRecord> {
        let filter = TaskFilter {
            schedule: Some(ScheduleId::new(schedule).unwrap()),
            ..TaskFilter::default()
        };
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let inspect = self.connection.broker.inspect().unwrap();
            let page = inspect.list(&filter, cursor, 1_000).await.unwrap();
            all.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                return all;
            }
        }
    }

    pub(crate) async fn tasks_in(&self, schedule: &str, state: State) -> usize {
        let tasks = self.tasks(schedule).await;
        tasks.iter().filter(|task| task.state == state).count()
    }

    /// Leases what is ready, as a worker would.
    pub(crate) async fn lease(&self, max: usize) -> Vec<Lease> {
        let queue = QueueName::default();
        let demand = Demand {
            worker: WorkerId::new("worker").unwrap(),
            queues: vec![QueueDemand { queue, max }],
            max,
            ttl: Duration::from_secs(10),
            wait: Duration::ZERO,
        };
        self.connection.broker.lease(&demand).await.unwrap()
    }
}

fn fate_of(event: &SchedulerEvent) -> Option<(&ScheduleId, Timestamp)> {
    match event {
        SchedulerEvent::Planned {
            schedule,
            scheduled_at,
            ..
        }
        | SchedulerEvent::Missed {
            schedule,
            scheduled_at,
            ..
        }
        | SchedulerEvent::Skipped {
            schedule,
            scheduled_at,
        }
        | SchedulerEvent::Duplicate {
            schedule,
            scheduled_at,
        } => Some((schedule, *scheduled_at)),
        _ => None,
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(at("2026-01-01T00:00:00Z")))
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A schedule from its text form.
pub(crate) fn schedule(id: &str, more: serde_json::Value) -> Schedule {
    let mut form = json!({ "id": id, "kind": "echo" });
    let (serde_json::Value::Object(form), serde_json::Value::Object(more)) = (&mut form, more)
    else {
        panic!("expected two objects");
    };
    form.extend(more);
    serde_json::from_value(serde_json::Value::Object(form.clone())).unwrap()
}

/// The instants of a schedule after `from`, up to `to`.
pub(crate) fn due(schedule: &Schedule, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let mut instant = from;
    std::iter::from_fn(|| {
        instant = schedule.recurrence.next_after(instant)?;
        Some(instant)
    })
    .take_while(|instant| *instant <= to)
    .collect()
}
