//! Brokers that fail, hang up, forget and come back.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::{
    Admission, Broker, Capabilities, Connection, Demand, Envelope, Error, ErrorKind, Inspect,
    Lease, LeaseToken, QueueName, QueueStats, Renewal, Result, Settled, Settlement, State, Swept,
};
use tidemill_worker::{Event, Run, RunStatus, TaskResult};

use crate::journal::Journal;
use crate::stage::{Count, Running, Stage};

/// A broker between which and the worker the line may be cut.
#[derive(Debug)]
struct Line {
    inner: RwLock<Arc<dyn Broker>>,
    cut: AtomicBool,
    /// How many settlements reach the broker while their answers get lost.
    answers_lost: AtomicUsize,
    calls: AtomicUsize,
}

impl Line {
    fn to(stage: &Stage) -> (Arc<Self>, Stage) {
        let inner = &stage.connection;
        let line = Arc::new(Self {
            inner: RwLock::new(Arc::clone(&inner.broker)),
            cut: AtomicBool::new(false),
            answers_lost: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
        });
        let broker = Arc::clone(&line) as Arc<dyn Broker>;
        let connection =
            Connection::new(broker, Arc::clone(&inner.ledger), Arc::clone(&inner.clock));
        (line, Stage::on(connection))
    }

    fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }

    fn call(&self) -> Result<Arc<dyn Broker>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.cut.load(Ordering::SeqCst) {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "call",
                "the line is cut",
            ));
        }
        Ok(Arc::clone(
            &self.inner.read().expect("nobody panics with it"),
        ))
    }
}

#[async_trait]
impl Broker for Line {
    fn capabilities(&self) -> Capabilities {
        self.inner
            .read()
            .expect("nobody panics with it")
            .capabilities()
    }

    async fn enqueue(&self, batch: Vec<Envelope>) -> Result<Vec<Admission>> {
        self.call()?.enqueue(batch).await
    }

    async fn lease(&self, demand: &Demand) -> Result<Vec<Lease>> {
        self.call()?.lease(demand).await
    }

    async fn renew(&self, tokens: &[LeaseToken], ttl: Duration) -> Result<Vec<Renewal>> {
        self.call()?.renew(tokens, ttl).await
    }

    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>> {
        let answers = self.call()?.settle(batch).await?;
        let lost = self
            .answers_lost
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        match lost {
            Ok(_) => Err(Error::new(ErrorKind::Timeout, "settle", "no answer came")),
            Err(_) => Ok(answers),
        }
    }

    async fn sweep(&self, budget: usize) -> Result<Swept> {
        self.call()?.sweep(budget).await
    }

    async fn stats(&self, queues: &[QueueName]) -> Result<Vec<QueueStats>> {
        self.call()?.stats(queues).await
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        None
    }
}

fn counting(stage: &Stage, runs: &Journal<u64>) -> tidemill_worker::WorkerBuilder<Journal<u64>> {
    stage
        .worker()
        .state(runs.clone())
        .handle(|task: Count, run: Run<Journal<u64>>| async move {
            run.state().note(task.n);
            TaskResult::Ok(())
        })
}

/// Behaviour 50.
#[tokio::test]
async fn an_ack_that_did_not_reach_the_broker_is_repeated_without_a_second_run() {
    let store = Stage::fresh().await;
    let (line, stage) = Line::to(&store);
    let (runs, ends) = (Journal::new(), Journal::new());
    let cut = Arc::clone(&line);
    let worker = stage.worker().state(runs.clone());
    let worker = worker.handle(move |task: Count, run: Run<Journal<u64>>| {
        let cut = Arc::clone(&cut);
        async move {
            run.state().note(task.n);
            cut.cut(true);
            TaskResult::Ok(())
        }
    });
    let troubles = Journal::<&'static str>::new();
    let note = troubles.clone();
    let worker = worker.on_event(move |event| {
        if let Event::Trouble { agent, .. } = event {
            note.note(*agent);
        }
    });
    let running = Running::start(worker.on_event(ends.ends()).build().unwrap());
    let id = store.enqueue(store.count(1)).await;
    troubles
        .until(|troubles| troubles.iter().filter(|agent| **agent == "settler").count() >= 2)
        .await;
    line.cut(false);
    ends.until_ended(&id, RunStatus::Completed).await;
    assert_eq!(store.state(&id).await, State::Completed);
    assert_eq!(runs.read(), [1]);
    running.stop().await;
}

/// Behaviour 50.
#[tokio::test]
async fn an_ack_whose_answer_got_lost_is_repeated_without_a_second_run() {
    let store = Stage::fresh().await;
    let (line, stage) = Line::to(&store);
    let (runs, ends) = (Journal::new(), Journal::new());
    let worker = counting(&stage, &runs).on_event(ends.ends());
    let running = Running::start(worker.build().unwrap());
    line.answers_lost.store(2, Ordering::SeqCst);
    let id = store.enqueue(store.count(1)).await;
    ends.until(|ends| ends.iter().any(|end| end.task == id))
        .await;
    assert_eq!(store.state(&id).await, State::Completed);
    let next = store.enqueue(store.count(2)).await;
    ends.until_ended(&next, RunStatus::Completed).await;
    assert_eq!(runs.read(), [1, 2]);
    running.stop().await;
}

/// Behaviour 55.
#[tokio::test]
async fn a_broker_that_is_down_at_the_start_or_in_the_middle_is_waited_for_without_a_busy_loop() {
    let store = Stage::fresh().await;
    let (line, stage) = Line::to(&store);
    line.cut(true);
    let (runs, ends) = (Journal::new(), Journal::new());
    let troubles = Journal::<&'static str>::new();
    let note = troubles.clone();
    let worker = counting(&stage, &runs).on_event(ends.ends());
    let worker = worker.on_event(move |event| {
        if let Event::Trouble { agent, error, .. } = event {
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            note.note(*agent);
        }
    });
    let running = Running::start(worker.build().unwrap());
    for n in 1..=2 {
        let calls = line.calls.load(Ordering::SeqCst);
        let before = troubles.read().len();
        troubles.until_count(before + 5).await;
        let calls = line.calls.load(Ordering::SeqCst) - calls;
        assert!(calls <= 12, "{calls} calls for 5 failures");
        line.cut(false);
        let id = store.enqueue(store.count(n)).await;
        ends.until_ended(&id, RunStatus::Completed).await;
        line.cut(true);
        // The call that waits at the broker may still bring this one; its end waits for the line.
        store.enqueue(store.count(n + 10)).await;
    }
    troubles.until_count(troubles.read().len() + 3).await;
    line.cut(false);
    ends.until_count(4).await;
    running.stop().await;
    let mut runs = runs.read();
    runs.sort_unstable();
    assert_eq!(runs, [1, 2, 11, 12]);
}

/// Behaviour 55.
#[tokio::test]
async fn a_worker_ends_within_its_grace_while_the_broker_is_down() {
    let store = Stage::fresh().await;
    let (line, stage) = Line::to(&store);
    let runs = Journal::new();
    let worker = counting(&stage, &runs).grace(Duration::from_millis(500));
    let running = Running::start(worker.build().unwrap());
    store.enqueue(store.count(1)).await;
    runs.until_count(1).await;
    line.cut(true);
    store.enqueue(store.count(2)).await;
    let begun = tokio::time::Instant::now();
    running.stop().await;
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
}

/// Behaviour 56.
#[tokio::test]
async fn a_worker_goes_on_without_a_restart_after_its_broker_has_lost_everything() {
    let store = Stage::fresh().await;
    let (line, stage) = Line::to(&store);
    let (runs, ends) = (Journal::<u64>::new(), Journal::new());
    let worker = stage.worker().state(runs.clone()).concurrency(2);
    let worker = worker.lease(Duration::from_millis(300));
    let worker = worker.handle(|task: Count, run: Run<Journal<u64>>| async move {
        run.state().note(task.n);
        if task.n == 1 {
            run.cancelled().await;
        }
        TaskResult::Ok(())
    });
    let running = Running::start(worker.on_event(ends.ends()).build().unwrap());
    let gone = store.enqueue(store.count(1)).await;
    runs.until_count(1).await;
    let fresh = Stage::fresh().await;
    *line.inner.write().unwrap() = Arc::clone(&fresh.connection.broker);
    ends.until_ended(&gone, RunStatus::Lost).await;
    // The call that waits at the old store brings the worker to the new one.
    store.enqueue(store.count(2)).await;
    let id = fresh.enqueue(fresh.count(3)).await;
    ends.until_ended(&id, RunStatus::Completed).await;
    running.stop().await;
}
