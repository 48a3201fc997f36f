//! Faults of one task, one call or one clock, which must not spread.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::{
    Admission, Broker, Capabilities, Change, Clock, Connection, Demand, Envelope, Error, ErrorKind,
    Inspect, Lease, LeaseToken, QueueDemand, QueueName, QueueStats, Renewal, Result, Settled,
    Settlement, Sleep, State, Swept, TaskId, Timestamp, WorkerId,
};
use tidemill_worker::{CancelReason, Failure, Run, RunStatus, TaskResult};
use tokio_util::sync::CancellationToken;

use crate::journal::Journal;
use crate::stage::{Count, Running, Stage, eventually};

/// A broker that chokes on one task, and whose answers may be held up.
#[derive(Debug)]
struct Faulty {
    inner: Arc<dyn Broker>,
    poison: Mutex<Option<TaskId>>,
    /// What brings leases waits for this.
    open: CancellationToken,
    brought: AtomicUsize,
}

impl Faulty {
    fn over(stage: &Stage) -> (Arc<Self>, Stage) {
        let inner = &stage.connection;
        let faulty = Arc::new(Self {
            inner: Arc::clone(&inner.broker),
            poison: Mutex::default(),
            open: CancellationToken::new(),
            brought: AtomicUsize::new(0),
        });
        let broker = Arc::clone(&faulty) as Arc<dyn Broker>;
        let connection =
            Connection::new(broker, Arc::clone(&inner.ledger), Arc::clone(&inner.clock));
        (faulty, Stage::on(connection))
    }
}

#[async_trait]
impl Broker for Faulty {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn enqueue(&self, batch: Vec<Envelope>) -> Result<Vec<Admission>> {
        self.inner.enqueue(batch).await
    }

    async fn lease(&self, demand: &Demand) -> Result<Vec<Lease>> {
        let leases = self.inner.lease(demand).await?;
        if !leases.is_empty() {
            self.brought.fetch_add(leases.len(), Ordering::SeqCst);
            self.open.cancelled().await;
        }
        Ok(leases)
    }

    async fn renew(&self, tokens: &[LeaseToken], ttl: Duration) -> Result<Vec<Renewal>> {
        self.inner.renew(tokens, ttl).await
    }

    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>> {
        let poison = self.poison.lock().expect("nobody panics with it").clone();
        let is_poison = |one: &Settlement| Some(&one.token.task) == poison.as_ref();
        if batch.iter().any(is_poison) {
            return Err(Error::new(
                ErrorKind::Corrupt,
                "settle",
                "a row is not readable",
            ));
        }
        self.inner.settle(batch).await
    }

    async fn sweep(&self, budget: usize) -> Result<Swept> {
        self.inner.sweep(budget).await
    }

    async fn stats(&self, queues: &[QueueName]) -> Result<Vec<QueueStats>> {
        self.inner.stats(queues).await
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        self.inner.inspect()
    }
}

#[tokio::test]
async fn a_settlement_that_the_broker_chokes_on_does_not_hold_up_the_others() {
    let store = Stage::fresh().await;
    let (faulty, stage) = Faulty::over(&store);
    faulty.open.cancel();
    let bad = store.count(2);
    *faulty.poison.lock().unwrap() = Some(bad.id.clone());
    let ends = Journal::new();
    let worker = stage
        .worker()
        .handle(|_: Count, _: Run<()>| async { TaskResult::Ok(()) });
    let running = Running::start(worker.on_event(ends.ends()).build().unwrap());
    let (first, last) = (store.count(1), store.count(3));
    let (first_id, bad_id, last_id) = (first.id.clone(), bad.id.clone(), last.id.clone());
    store.enqueue_all(vec![first, bad, last]).await;
    ends.until_ended(&first_id, RunStatus::Completed).await;
    ends.until_ended(&last_id, RunStatus::Completed).await;
    ends.until_ended(&bad_id, RunStatus::Lost).await;
    // What the handler did is not done again when the lease has ended.
    assert!(store.connection.ledger.is_completed(&bad_id).await.unwrap());
    let next = store.enqueue(store.count(4)).await;
    ends.until_ended(&next, RunStatus::Completed).await;
    running.stop().await;
}

#[tokio::test]
async fn a_lease_that_is_over_before_anybody_looks_at_it_is_put_back_and_not_run() {
    let (store, clock) = Stage::manual().await;
    let (faulty, stage) = Faulty::over(&store);
    let (runs, ends) = (Journal::<u32>::new(), Journal::new());
    let worker = stage.worker().state(runs.clone());
    let worker = worker.handle(|_: Count, run: Run<Journal<u32>>| async move {
        run.state().note(run.attempt());
        TaskResult::Ok(())
    });
    let running = Running::start(worker.on_event(ends.ends()).build().unwrap());
    let id = store.enqueue(store.count(1)).await;
    eventually(async || faulty.brought.load(Ordering::SeqCst) == 1).await;
    clock.advance(Duration::from_secs(11));
    faulty.open.cancel();
    ends.until_ended(&id, RunStatus::Completed).await;
    assert_eq!(faulty.brought.load(Ordering::SeqCst), 2);
    assert_eq!(runs.read(), [1]);
    let task = store.task(&id).await;
    assert_eq!((task.failures, task.crashes), (0, 0));
    running.stop().await;
}

/// Two blocking handlers and one thread: the second waits in its slot, and can be cancelled or put
/// back there.
#[tokio::test]
async fn a_blocking_handler_that_waits_for_a_thread_has_not_started() {
    let stage = Stage::fresh().await;
    let (runs, ends) = (Journal::<u64>::new(), Journal::new());
    let worker = stage.worker().state(runs.clone()).blocking_threads(1);
    let worker = worker.lease(Duration::from_millis(600));
    let worker = worker.handle_blocking(|task: Count, run: Run<Journal<u64>>| {
        run.state().note(task.n);
        let (_sender, receiver) = std::sync::mpsc::sync_channel::<()>(0);
        while !run.is_shutting_down() {
            let wait = receiver.recv_timeout(Duration::from_millis(5));
            assert!(wait.is_err(), "nobody sends");
        }
        TaskResult::Ok(())
    });
    let running = Running::start(worker.on_event(ends.ends()).build().unwrap());
    let first = stage.enqueue(stage.count(1)).await;
    runs.until_count(1).await;
    let mut second = stage.count(2);
    second.timeout = Duration::from_millis(1);
    let second = stage.enqueue(second).await;
    let third = stage.enqueue(stage.count(3)).await;
    eventually(async || stage.state(&third).await == State::Active).await;
    let inspect = stage.connection.broker.inspect().unwrap();
    let changed = inspect.change(&second, &Change::Cancel).await;
    changed.unwrap();
    ends.until_ended(&second, RunStatus::Cancelled).await;
    running.stop().await;
    assert_eq!(runs.read(), [1]);
    assert_eq!(stage.state(&first).await, State::Completed);
    assert_eq!(stage.state(&second).await, State::Cancelled);
    let third = stage.task(&third).await;
    assert_eq!((third.state, third.failures), (State::Pending, 0));
}

/// The steps of a task are gone with it: a run that has lost its lease must not begin one again.
#[tokio::test]
async fn a_run_that_has_lost_its_lease_begins_no_step_after_its_successor_has_ended() {
    let (stage, clock) = Stage::manual().await;
    let (steps, ends) = (Journal::<u32>::new(), Journal::new());
    let over = CancellationToken::new();
    let refused = Journal::<String>::new();
    type Notes = (Journal<u32>, CancellationToken, Journal<String>);
    let worker = stage
        .worker()
        .state((steps.clone(), over.clone(), refused.clone()))
        .lease(Duration::from_millis(300))
        .cancel_grace(Duration::from_secs(10));
    let worker = worker.handle(|_: Count, run: Run<Notes>| async move {
        let (steps, over, refused) = run.state();
        if run.attempt() == 1 {
            steps.note(0_u32);
            assert_eq!(run.cancelled().await, CancelReason::LeaseLost);
            over.cancelled().await;
        }
        let step = run.once("charge", async {
            steps.note(run.attempt());
            Ok(())
        });
        let done = step.await;
        if let Err(failure) = &done {
            refused.note(format!("{failure:?}"));
        }
        done
    });
    let running = Running::start(worker.on_event(ends.ends()).build().unwrap());
    let mut envelope = stage.count(1);
    envelope.retention = Duration::ZERO;
    let id = stage.enqueue(envelope).await;
    steps.until_count(1).await;
    clock.advance(Duration::from_secs(60));
    stage.connection.broker.sweep(10).await.unwrap();
    ends.until_ended(&id, RunStatus::Completed).await;
    over.cancel();
    let refused = refused.until_count(1).await;
    assert!(refused[0].contains("fenced"), "{refused:?}");
    assert_eq!(steps.read(), [0, 2]);
    running.stop().await;
}

#[tokio::test]
async fn no_mark_of_a_completion_outlives_its_task() {
    let (stage, clock) = Stage::manual().await;
    let id = stage.enqueue(stage.count(1)).await;
    let demand = Demand {
        worker: WorkerId::random(),
        queues: vec![QueueDemand {
            queue: QueueName::default(),
            max: 1,
        }],
        max: 1,
        ttl: Duration::from_secs(1),
        wait: Duration::ZERO,
    };
    let broker = &stage.connection.broker;
    assert_eq!(broker.lease(&demand).await.unwrap().len(), 1);
    clock.advance(Duration::from_secs(2));
    broker.sweep(10).await.unwrap();
    let (started, gate) = (Journal::<u32>::new(), CancellationToken::new());
    let worker = stage.worker().state((started.clone(), gate.clone()));
    type Notes = (Journal<u32>, CancellationToken);
    let worker = worker.handle(|_: Count, run: Run<Notes>| async move {
        run.state().0.note(run.attempt());
        run.state().1.cancelled().await;
        TaskResult::Ok(())
    });
    let ends = Journal::new();
    let running = Running::start(worker.on_event(ends.ends()).build().unwrap());
    started.until_count(1).await;
    // The first run, long thought dead, completes while the second is at it.
    let ledger = &stage.connection.ledger;
    let window = Duration::from_secs(3_600);
    ledger.mark_completed(&id, window).await.unwrap();
    gate.cancel();
    ends.until_ended(&id, RunStatus::Completed).await;
    assert!(!ledger.is_completed(&id).await.unwrap());
    running.stop().await;
}

/// A handler that outlives its worker and still writes its log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_has_ended_lets_go_of_its_store() {
    let store = Stage::fresh().await;
    let (faulty, stage) = Faulty::over(&store);
    faulty.open.cancel();
    let broker = Arc::downgrade(&faulty);
    drop(faulty);
    let (runs, ended) = (Journal::<u64>::new(), CancellationToken::new());
    type Notes = (Journal<u64>, CancellationToken);
    let worker = stage.worker().state((runs.clone(), ended.clone()));
    let worker = worker.handle_blocking(|task: Count, run: Run<Notes>| {
        run.state().0.note(task.n);
        let (_sender, receiver) = std::sync::mpsc::sync_channel::<()>(0);
        while !run.state().1.is_cancelled() {
            let wait = receiver.recv_timeout(Duration::from_millis(5));
            assert!(wait.is_err(), "nobody sends");
        }
        run.log("after the end");
        run.state().0.note(task.n);
        TaskResult::Ok(())
    });
    let running = Running::start(worker.build().unwrap());
    store.enqueue(store.count(1)).await;
    runs.until_count(1).await;
    running.at_once.cancel();
    running.ended().await;
    ended.cancel();
    runs.until_count(2).await;
    drop(stage);
    eventually(async || broker.upgrade().is_none()).await;
}

/// A clock that panics once when it is told to.
#[derive(Debug)]
struct Trap {
    inner: Arc<dyn Clock>,
    armed: Arc<AtomicBool>,
}

impl Clock for Trap {
    fn now(&self) -> Timestamp {
        assert!(!self.armed.swap(false, Ordering::SeqCst), "the trap shuts");
        self.inner.now()
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        self.inner.sleep_until(deadline)
    }
}

#[tokio::test]
async fn a_fault_of_the_worker_in_a_run_leaves_neither_its_slot_nor_its_lease_taken() {
    let store = Stage::fresh().await;
    let inner = &store.connection;
    let armed = Arc::new(AtomicBool::new(false));
    let clock = Arc::new(Trap {
        inner: Arc::clone(&inner.clock),
        armed: Arc::clone(&armed),
    });
    let stage = Stage::on(Connection::new(
        Arc::clone(&inner.broker),
        Arc::clone(&inner.ledger),
        clock,
    ));
    let id = store.enqueue(store.count(1)).await;
    let worker = stage.worker().state(armed).concurrency(1);
    let worker = worker.handle(|task: Count, run: Run<Arc<AtomicBool>>| async move {
        if task.n == 1 {
            run.state().store(true, Ordering::SeqCst);
            return Err(Failure::new("the next look at the clock is in the worker"));
        }
        TaskResult::Ok(())
    });
    let worker = worker.build().unwrap();
    let drained = tokio::time::timeout(crate::stage::PATIENCE, worker.drain()).await;
    assert_eq!(drained.expect("it does not wait for ever").unwrap(), 1);
    assert_eq!(store.state(&id).await, State::Active);
    let next = store.enqueue(store.count(2)).await;
    worker.drain().await.unwrap();
    assert_eq!(store.state(&next).await, State::Completed);
}
