//! Leases kept, leases lost, and tasks taken back from the dead.

use std::time::Duration;

use tidemill_shared::{
    AttemptOutcome, BuryReason, Demand, Lease, QueueDemand, QueueName, Renewal, Settled,
    Settlement, State, Verdict, WorkerId,
};
use tidemill_worker::{CancelReason, Event, Failure, Run, RunStatus, TaskResult};

use crate::journal::Journal;
use crate::stage::{Count, Running, Stage};

/// Blocks its thread of the runtime.
fn block(time: Duration) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a handler that blocks is what is tried"
    )]
    std::thread::sleep(time);
}

/// A lease as a worker takes it that dies at once.
async fn lease_and_die(stage: &Stage, ttl: Duration) -> Lease {
    let demand = Demand {
        worker: WorkerId::random(),
        queues: vec![QueueDemand {
            queue: QueueName::default(),
            max: 1,
        }],
        max: 1,
        ttl,
        wait: Duration::ZERO,
    };
    let leases = stage.connection.broker.lease(&demand).await;
    let mut leases = leases.expect("the store answers");
    leases.pop().expect("a task is ready")
}

/// Behaviour 46.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_lasts_as_long_as_its_run_also_when_handlers_block_every_thread() {
    for stage in Stage::each().await {
        let (runs, ends, lost) = (
            Journal::<u64>::new(),
            Journal::new(),
            Journal::<String>::new(),
        );
        let worker = stage.worker().state(runs.clone()).concurrency(4);
        let worker = worker.lease(Duration::from_millis(400));
        let worker = worker.handle(|task: Count, run: Run<Journal<u64>>| async move {
            run.state().note(task.n);
            block(Duration::from_millis(1_400));
            TaskResult::Ok(())
        });
        let note = lost.clone();
        let worker = worker.on_event(move |event| match event {
            Event::LeaseLost { run } => note.note(run.task_id().as_str()),
            Event::Reclaimed(reclaimed) => note.note(reclaimed.task.as_str()),
            _ => {}
        });
        let running = Running::start(worker.on_event(ends.ends()).build().unwrap());
        let backlog = (0..4).map(|n| stage.count(n)).collect();
        stage.enqueue_all(backlog).await;
        let ends = ends.until_count(4).await;
        assert!(ends.iter().all(|end| end.status == RunStatus::Completed));
        assert_eq!(runs.read().len(), 4);
        assert!(lost.read().is_empty());
        running.stop().await;
    }
}

/// Behaviour 47. Behaviour 40.
#[tokio::test]
async fn an_expired_lease_is_handed_out_again_and_observers_are_told() {
    for stage in Stage::each().await {
        let id = stage.enqueue(stage.count(1)).await;
        let dead = lease_and_die(&stage, Duration::from_millis(100)).await;
        let (ends, taken) = (Journal::new(), Journal::<String>::new());
        let note = taken.clone();
        let worker = stage
            .worker()
            .handle(|_: Count, run: Run<()>| async move { TaskResult::Ok(run.attempt()) })
            .on_event(ends.ends())
            .on_event(move |event| {
                if let Event::Reclaimed(reclaimed) = event {
                    note.note(reclaimed.worker.as_str());
                }
            });
        let running = Running::start(worker.build().unwrap());
        ends.until_ended(&id, RunStatus::Completed).await;
        assert_eq!(taken.read(), [dead.token.worker.as_str()]);
        let task = stage.task(&id).await;
        assert_eq!((task.failures, task.crashes), (0, 1));
        let outcomes: Vec<_> = stage
            .attempts(&id)
            .await
            .iter()
            .map(|a| a.outcome)
            .collect();
        assert_eq!(
            outcomes,
            [AttemptOutcome::Crashed, AttemptOutcome::Succeeded]
        );
        running.stop().await;
    }
}

/// Behaviour 47.
#[tokio::test]
async fn a_task_whose_workers_die_is_buried_at_the_crash_limit() {
    let (stage, clock) = Stage::manual().await;
    let id = stage.enqueue(stage.count(1)).await;
    for _ in 0..3 {
        lease_and_die(&stage, Duration::from_secs(1)).await;
        clock.advance(Duration::from_secs(2));
        stage.connection.broker.sweep(10).await.unwrap();
    }
    let task = stage.task(&id).await;
    assert_eq!(task.state, State::Dead);
    assert_eq!(task.bury_reason, Some(BuryReason::CrashLoop));
    assert_eq!(task.failures, 0);
}

/// Behaviour 49.
#[tokio::test]
async fn a_stale_owner_can_neither_renew_nor_settle() {
    for stage in Stage::each().await {
        let id = stage.enqueue(stage.count(1)).await;
        let stale = lease_and_die(&stage, Duration::from_millis(100)).await;
        let ends = Journal::new();
        let worker = stage
            .worker()
            .handle(|_: Count, _: Run<()>| async { TaskResult::Ok("by the second") });
        let running = Running::start(worker.on_event(ends.ends()).build().unwrap());
        ends.until_ended(&id, RunStatus::Completed).await;
        let broker = &stage.connection.broker;
        let ttl = Duration::from_secs(1);
        let renewed = broker.renew(std::slice::from_ref(&stale.token), ttl).await;
        assert_eq!(renewed.unwrap(), [Renewal::Lost]);
        let settled = broker
            .settle(vec![Settlement {
                token: stale.token,
                started_at: None,
                verdict: Verdict::Ack { result: None },
            }])
            .await;
        assert_eq!(settled.unwrap(), [Settled::Stale]);
        assert_eq!(
            stage.task(&id).await.result.unwrap().as_bytes(),
            br#""by the second""#
        );
        running.stop().await;
    }
}

/// A run whose lease is taken from it under its feet.
#[tokio::test]
async fn a_run_that_loses_its_lease_is_told_and_its_failure_does_not_count() {
    let (stage, clock) = Stage::manual().await;
    let (told, ends) = (Journal::<CancelReason>::new(), Journal::new());
    let started = Journal::<u32>::new();
    type Notes = (Journal<u32>, Journal<CancelReason>);
    let worker = stage.worker().state((started.clone(), told.clone()));
    let worker = worker.lease(Duration::from_millis(300));
    let worker = worker.handle(|_: Count, run: Run<Notes>| async move {
        run.state().0.note(run.attempt());
        if run.attempt() > 1 {
            return TaskResult::Ok(());
        }
        run.state().1.note(run.cancelled().await);
        Err(Failure::new("cut off"))
    });
    let running = Running::start(worker.on_event(ends.ends()).build().unwrap());
    let id = stage.enqueue(stage.count(1)).await;
    started.until_count(1).await;
    // The store's clock leaps, as after a pause of the whole machine.
    clock.advance(Duration::from_secs(60));
    stage.connection.broker.sweep(10).await.unwrap();
    ends.until_ended(&id, RunStatus::Completed).await;
    assert_eq!(told.until_count(1).await, [CancelReason::LeaseLost]);
    let task = stage.task(&id).await;
    assert_eq!((task.failures, task.crashes), (0, 1));
    running.stop().await;
}

/// Behaviour 50.
#[tokio::test]
async fn a_run_that_completes_after_its_lease_was_lost_is_not_repeated() {
    let (stage, clock) = Stage::manual().await;
    let id = stage.enqueue(stage.count(1)).await;
    let (runs, lost) = (Journal::<u32>::new(), Journal::new());
    let gate = tokio_util::sync::CancellationToken::new();
    let other = QueueName::new("other").unwrap();
    type Notes = (Journal<u32>, tokio_util::sync::CancellationToken);
    let worker = |queue: &QueueName, ends: &Journal<crate::journal::End>| {
        let worker = stage
            .worker()
            .state((runs.clone(), gate.clone()))
            .queue(queue, 1);
        let worker = worker.handle(|_: Count, run: Run<Notes>| async move {
            run.state().0.note(run.attempt());
            run.state().1.cancelled().await;
            TaskResult::Ok(())
        });
        worker.on_event(ends.ends()).build().unwrap()
    };
    let running = Running::start(worker(&QueueName::default(), &lost));
    runs.until_count(1).await;
    // The task is taken back, and lies in a queue that this worker does not serve.
    clock.advance(Duration::from_secs(60));
    let inspect = stage.connection.broker.inspect().unwrap();
    inspect.pause(&QueueName::default(), None).await.unwrap();
    stage.connection.broker.sweep(10).await.unwrap();
    gate.cancel();
    lost.until_ended(&id, RunStatus::Lost).await;
    assert!(stage.connection.ledger.is_completed(&id).await.unwrap());
    running.stop().await;
    inspect.resume(&QueueName::default()).await.unwrap();
    let ends = Journal::new();
    worker(&QueueName::default(), &ends).drain().await.unwrap();
    assert_eq!(stage.state(&id).await, State::Completed);
    assert_eq!(runs.read(), [1]);
    // The mark has done its duty.
    assert!(!stage.connection.ledger.is_completed(&id).await.unwrap());
    drop(other);
}
