//! What the cases stage: one store, one clock, and short words for the calls of the contract.

use std::sync::Arc;
use std::time::Duration;

use tidemill_shared::ledger::Ledger;
use tidemill_shared::{
    Admission, Attempt, Broker, Change, Changed, Clock, Connection, Demand, Envelope, ErrorPattern,
    Inspect, Key, KeyClaim, Kind, Lease, ManualClock, Payload, QueueDemand, QueueName, QueueStats,
    Renewal, Settled, Settlement, State, Swept, TaskFilter, TaskId, TaskRecord, Timestamp, Verdict,
    WorkerId,
};

use crate::Fixture;
use crate::verdicts::{ack, bury, retry};

/// The queue of a task unless a case says otherwise.
pub(crate) const QUEUE: &str = "default";
/// The worker that leases unless a case says otherwise.
pub(crate) const WORKER: &str = "worker-1";
/// How long a lease lasts unless a case says otherwise.
pub(crate) const TTL: Duration = Duration::from_secs(10);
/// How long a kept task is kept.
pub(crate) const RETENTION: Duration = Duration::from_secs(3_600);
/// How long a case waits for what has to happen: longer than any healthy store needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(crate) fn id(text: &str) -> TaskId {
    TaskId::new(text).expect("the case names a valid id")
}

pub(crate) fn queue(text: &str) -> QueueName {
    QueueName::new(text).expect("the case names a valid queue")
}

pub(crate) fn worker(text: &str) -> WorkerId {
    WorkerId::new(text).expect("the case names a valid worker")
}

pub(crate) fn kind(text: &str) -> Kind {
    Kind::new(text).expect("the case names a valid kind")
}

pub(crate) fn key(text: &str) -> Key {
    Key::new(text).expect("the case names a valid key")
}

/// A claim on a key with the defaults and this time to live.
pub(crate) fn pattern(text: &str) -> ErrorPattern {
    ErrorPattern::new(text).expect("the case uses a good pattern")
}

pub(crate) fn claim(text: &str, ttl: Duration) -> KeyClaim {
    KeyClaim {
        ttl,
        ..KeyClaim::new(key(text))
    }
}

/// The ids of leases, in their order.
pub(crate) fn ids(leases: &[Lease]) -> Vec<&str> {
    leases
        .iter()
        .map(|lease| lease.token.task.as_str())
        .collect()
}

/// A demand of the usual worker that does not wait.
pub(crate) fn demand(queues: &[(&str, usize)], max: usize) -> Demand {
    Demand {
        worker: worker(WORKER),
        queues: queues
            .iter()
            .map(|(name, max)| QueueDemand {
                queue: queue(name),
                max: *max,
            })
            .collect(),
        max,
        ttl: TTL,
        wait: Duration::ZERO,
    }
}

/// One store under test, and its clock.
pub(crate) struct Scene {
    fixture: Box<dyn Fixture>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) clock: Arc<ManualClock>,
}

impl Scene {
    pub(crate) fn new(fixture: Box<dyn Fixture>) -> Self {
        let Connection { broker, ledger, .. } = fixture.connection();
        let clock = fixture.clock();
        Self {
            fixture,
            broker,
            ledger,
            clock,
        }
    }

    // The store and its handles.

    /// Goes on as a new process does after the old one was killed.
    pub(crate) async fn reopen(&mut self) {
        let connection = self.fixture.reopen().await;
        let connection = connection.expect("a persistent store opens again");
        self.broker = connection.broker;
        self.ledger = connection.ledger;
    }

    pub(crate) async fn other_namespace(&self) -> Connection {
        self.fixture.other_namespace().await
    }

    pub(crate) async fn another_process(&self) -> Connection {
        let connection = self.fixture.another_process().await;
        connection.expect("a store for several processes opens twice")
    }

    pub(crate) async fn corrupt(&self, task: &str) {
        let done = self.fixture.corrupt(&id(task)).await;
        assert!(done, "the fixture of a persistent store can corrupt a task");
    }

    pub(crate) fn inspect(&self) -> &dyn Inspect {
        let inspect = self.broker.inspect();
        inspect.expect("a broker that says so can be inspected")
    }

    // Time.

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn after(&self, by: Duration) -> Timestamp {
        self.clock.now() + by
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    // Enqueue.

    /// A task of kind `test.kind` in the usual queue, due at once, removed once completed.
    pub(crate) fn task(&self, task: &str) -> Envelope {
        let payload = Payload::json(&serde_json::json!({ "task": task }));
        let payload = payload.expect("a string is JSON");
        Envelope::new(id(task), kind("test.kind"), payload, self.now())
    }

    /// The same, in this queue.
    pub(crate) fn task_in(&self, queue_name: &str, task: &str) -> Envelope {
        let mut envelope = self.task(task);
        envelope.queue = queue(queue_name);
        envelope
    }

    /// A task that is kept for [`RETENTION`] once it has ended.
    pub(crate) fn kept(&self, task: &str) -> Envelope {
        let mut envelope = self.task(task);
        envelope.retention = RETENTION;
        envelope
    }

    /// A task that is due so much later.
    pub(crate) fn delayed(&self, task: &str, by: Duration) -> Envelope {
        let mut envelope = self.kept(task);
        envelope.due_at = self.after(by);
        envelope
    }

    /// A task with a key.
    pub(crate) fn keyed(&self, task: &str, claim: KeyClaim) -> Envelope {
        let mut envelope = self.task(task);
        envelope.key = Some(claim);
        envelope
    }

    pub(crate) async fn enqueue(&self, batch: Vec<Envelope>) -> Vec<Admission> {
        let size = batch.len();
        let answers = self.broker.enqueue(batch).await.expect("enqueue answers");
        assert_eq!(answers.len(), size, "one answer for each envelope");
        answers
    }

    pub(crate) async fn enqueue_one(&self, envelope: Envelope) -> Admission {
        let mut answers = self.enqueue(vec![envelope]).await;
        answers.remove(0)
    }

    /// Enqueues and insists on admission.
    pub(crate) async fn admit(&self, envelope: Envelope) {
        let task = envelope.id.clone();
        assert_eq!(
            self.enqueue_one(envelope).await,
            Admission::Admitted,
            "{task}"
        );
    }

    /// Enqueues plain tasks, one call each.
    pub(crate) async fn admit_all(&self, tasks: &[&str]) {
        for task in tasks {
            self.admit(self.task(task)).await;
        }
    }

    // Lease and settle.

    pub(crate) async fn lease(&self, demand: &Demand) -> Vec<Lease> {
        self.broker.lease(demand).await.expect("lease answers")
    }

    /// What is ready in the usual queue, at most so many.
    pub(crate) async fn ready(&self, max: usize) -> Vec<Lease> {
        self.lease(&demand(&[(QUEUE, max)], max)).await
    }

    /// Leases the first of the usual queue, which must be this one.
    pub(crate) async fn take(&self, task: &str) -> Lease {
        let mut leases = self.ready(1).await;
        assert_eq!(ids(&leases), [task], "the first that is ready");
        leases.remove(0)
    }

    /// Insists that the usual queue yields nothing.
    pub(crate) async fn nothing_ready(&self) {
        assert_eq!(ids(&self.ready(10).await), [""; 0]);
    }

    pub(crate) async fn settle_all(&self, batch: Vec<Settlement>) -> Vec<Settled> {
        let size = batch.len();
        let answers = self.broker.settle(batch).await.expect("settle answers");
        assert_eq!(answers.len(), size, "one answer for each settlement");
        answers
    }

    /// Ends a run that started now.
    pub(crate) async fn settle(&self, lease: &Lease, verdict: Verdict) -> Settled {
        let settlement = Settlement {
            token: lease.token.clone(),
            started_at: Some(self.now()),
            verdict,
        };
        self.settle_all(vec![settlement]).await.remove(0)
    }

    /// Ends a run and insists that it ends so.
    pub(crate) async fn end(&self, lease: &Lease, verdict: Verdict, state: State) {
        assert_eq!(self.settle(lease, verdict).await, Settled::Done(state));
    }

    pub(crate) async fn renew(&self, lease: &Lease, ttl: Duration) -> Renewal {
        let tokens = [lease.token.clone()];
        let answers = self
            .broker
            .renew(&tokens, ttl)
            .await
            .expect("renew answers");
        assert_eq!(answers.len(), 1, "one answer for each token");
        answers[0]
    }

    // Upkeep and looking.

    /// One generous sweep.
    pub(crate) async fn sweep(&self) -> Swept {
        self.broker.sweep(1_000).await.expect("sweep answers")
    }

    pub(crate) async fn stats(&self, name: &str) -> QueueStats {
        let name = queue(name);
        let stats = self.broker.stats(std::slice::from_ref(&name)).await;
        let mut stats = stats.expect("stats answer");
        assert_eq!(stats.len(), 1, "one answer for each queue");
        let stats = stats.remove(0);
        assert_eq!(stats.queue, name);
        stats
    }

    pub(crate) async fn find(&self, task: &str) -> Option<TaskRecord> {
        let found = self.inspect().get(&id(task)).await;
        found.expect("get answers")
    }

    pub(crate) async fn record(&self, task: &str) -> TaskRecord {
        let found = self.find(task).await;
        found.unwrap_or_else(|| unreachable!("{task} is on record"))
    }

    pub(crate) async fn state(&self, task: &str) -> Option<State> {
        self.find(task).await.map(|record| record.state)
    }

    pub(crate) async fn attempts(&self, task: &str) -> Vec<Attempt> {
        let attempts = self.inspect().attempts(&id(task)).await;
        attempts.expect("attempts answer")
    }

    pub(crate) async fn change(&self, task: &str, change: Change) -> Changed {
        let changed = self.inspect().change(&id(task), &change).await;
        changed.expect("change answers")
    }

    /// The ids of all tasks that match, newest first.
    pub(crate) async fn listed(&self, filter: &TaskFilter) -> Vec<String> {
        let page = self.inspect().list(filter, None, 1_000).await;
        let page = page.expect("list answers");
        assert_eq!(page.next, None, "one page holds them all");
        page.items
            .iter()
            .map(|record| record.envelope.id.to_string())
            .collect()
    }

    // Tasks in a given state.

    /// Puts a kept task into this state, in the usual queue, which must be empty of ready tasks.
    pub(crate) async fn put(&self, task: &str, state: State) {
        match state {
            State::Scheduled => self.admit(self.delayed(task, seconds(600))).await,
            State::Pending => self.admit(self.kept(task)).await,
            State::Active => drop(self.put_active(task).await),
            State::Retry => {
                let lease = self.put_active(task).await;
                let verdict = retry(self.after(seconds(600)), "boom");
                self.end(&lease, verdict, State::Retry).await;
            }
            State::Completed => {
                let lease = self.put_active(task).await;
                self.end(&lease, ack(), State::Completed).await;
            }
            State::Dead => {
                let lease = self.put_active(task).await;
                self.end(&lease, bury("boom"), State::Dead).await;
            }
            State::Cancelled => {
                self.admit(self.kept(task)).await;
                self.change(task, Change::Cancel).await;
            }
        }
        assert_eq!(self.state(task).await, Some(state), "{task} is staged");
    }

    /// Puts a task into each state, each named after it. The pending one comes last, so that the
    /// others can be leased on their way.
    pub(crate) async fn put_one_of_each(&self) {
        let waits = |state: &State| *state == State::Pending;
        for state in State::ALL.into_iter().filter(|state| !waits(state)) {
            self.put(state.as_str(), state).await;
        }
        self.put(State::Pending.as_str(), State::Pending).await;
    }

    /// Enqueues a kept task and leases it.
    pub(crate) async fn put_active(&self, task: &str) -> Lease {
        self.admit(self.kept(task)).await;
        self.take(task).await
    }

    /// Lets the lease of a run lapse as if its worker had died, and takes the task back.
    pub(crate) async fn crash(&self) -> Swept {
        self.advance(TTL + millis(1));
        self.sweep().await
    }
}
