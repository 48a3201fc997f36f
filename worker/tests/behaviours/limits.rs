//! Timeouts, deadlines, and handlers that ignore them.

use std::time::Duration;

use tidemill_shared::{BuryReason, State, Timestamp};
use tidemill_worker::{CancelReason, Event, Failure, Run, RunStatus, TaskResult};
use tokio::time::Instant;

use crate::journal::Journal;
use crate::stage::{Count, Running, Stage};

/// Behaviour 41. Behaviour 42.
#[tokio::test]
async fn a_handler_is_told_of_its_timeout_then_dropped() {
    let stage = Stage::fresh().await;
    let mut envelope = stage.count(1);
    envelope.timeout = Duration::from_millis(120);
    envelope.retry.max_attempts = 1;
    let id = stage.enqueue(envelope).await;
    let journal = Journal::<String>::new();
    struct Dropped(Journal<String>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.note("dropped");
        }
    }
    let worker = stage.worker().state(journal.clone());
    let worker = worker.handle(|_: Count, run: Run<Journal<String>>| async move {
        let _note = Dropped(run.state().clone());
        let reason = run.cancelled().await;
        run.state().note(format!("told of {}", reason.as_str()));
        std::future::pending::<()>().await;
        TaskResult::Ok(())
    });
    let begun = Instant::now();
    worker.build().unwrap().drain().await.unwrap();
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(120) && took < Duration::from_millis(900),
        "{took:?}"
    );
    assert_eq!(journal.read(), ["told of timeout", "dropped"]);
    let task = stage.task(&id).await;
    assert_eq!(task.bury_reason, Some(BuryReason::AttemptsExhausted));
    let error = task.error.unwrap();
    assert_eq!(error.class, "timeout");
    assert!(error.message.contains("120ms"), "{error}");
}

/// Behaviour 41.
#[tokio::test]
async fn the_earlier_of_timeout_and_deadline_wins() {
    let stage = Stage::fresh().await;
    let reasons = Journal::<CancelReason>::new();
    let worker = stage.worker().state(reasons.clone());
    let worker = worker.handle(|_: Count, run: Run<Journal<CancelReason>>| async move {
        run.state().note(run.cancelled().await);
        TaskResult::<()>::Err(Failure::new("told"))
    });
    let worker = worker.build().unwrap();
    for (timeout, deadline, reason) in [
        (60, 60_000, CancelReason::Timeout),
        (60_000, 60, CancelReason::Deadline),
    ] {
        let mut envelope = stage.count(1);
        envelope.timeout = Duration::from_millis(timeout);
        envelope.deadline = Some(stage.now() + Duration::from_millis(deadline));
        envelope.retry.max_attempts = 1;
        let id = stage.enqueue(envelope).await;
        worker.drain().await.unwrap();
        assert_eq!(reasons.read().last(), Some(&reason));
        let buried = match reason {
            CancelReason::Deadline => BuryReason::DeadlineExceeded,
            _ => BuryReason::AttemptsExhausted,
        };
        assert_eq!(stage.task(&id).await.bury_reason, Some(buried));
    }
}

/// Behaviour 43.
#[tokio::test]
async fn after_its_deadline_a_task_is_neither_started_nor_retried() {
    let (stage, clock) = Stage::manual().await;
    let runs = Journal::<u32>::new();
    let worker = stage.worker().state(runs.clone());
    let worker = worker.handle(|_: Count, run: Run<Journal<u32>>| async move {
        run.state().note(run.attempt());
        TaskResult::<()>::Err(Failure::new("not yet"))
    });
    let worker = worker.build().unwrap();
    // It fails before its deadline, but the retry would come after it.
    let mut retried = stage.count(1);
    retried.deadline = Some(stage.now() + Duration::from_secs(5));
    retried.retry.initial = Duration::from_secs(10);
    let retried = stage.enqueue(retried).await;
    worker.drain().await.unwrap();
    // It comes to its turn only after its deadline.
    let mut late = stage.count(2);
    late.deadline = Some(stage.now() + Duration::from_secs(5));
    let late = stage.enqueue(late).await;
    clock.advance(Duration::from_secs(6));
    worker.drain().await.unwrap();
    assert_eq!(runs.read(), [1]);
    for id in [retried, late] {
        let task = stage.task(&id).await;
        assert_eq!(task.state, State::Dead);
        assert_eq!(task.bury_reason, Some(BuryReason::DeadlineExceeded));
    }
}

#[tokio::test]
async fn a_handler_that_succeeds_after_it_was_told_has_succeeded() {
    let stage = Stage::fresh().await;
    let mut envelope = stage.count(1);
    envelope.timeout = Duration::from_millis(30);
    let id = stage.enqueue(envelope).await;
    let worker = stage.worker().handle(|_: Count, run: Run<()>| async move {
        run.cancelled().await;
        TaskResult::Ok("just in time")
    });
    worker.build().unwrap().drain().await.unwrap();
    assert_eq!(stage.state(&id).await, State::Completed);
}

/// A handler that never lets go of its thread: told from outside, its task goes on without it, and
/// the worker serves the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_handler_that_computes_without_end_is_reported_and_its_task_ends_without_it() {
    let stage = Stage::fresh().await;
    let (stuck, ends) = (Journal::<String>::new(), Journal::new());
    let worker = stage.worker().state(stuck.clone()).concurrency(2);
    let worker = worker.lease(Duration::from_millis(600));
    let worker = worker.handle(|task: Count, run: Run<Journal<String>>| async move {
        if task.n == 1 {
            let told = std::sync::mpsc::sync_channel::<()>(0);
            while run.state().read().is_empty() {
                let wait = told.1.recv_timeout(Duration::from_millis(20));
                assert!(wait.is_err(), "nobody sends");
            }
            assert_eq!(run.cancel_reason(), Some(CancelReason::Timeout));
        }
        TaskResult::Ok(())
    });
    let note = stuck.clone();
    let worker = worker.on_event(move |event| {
        if let Event::StuckHandler { run, .. } = event {
            note.note(run.task_id().as_str());
        }
    });
    let running = Running::start(worker.on_event(ends.ends()).build().unwrap());
    let mut endless = stage.count(1);
    endless.timeout = Duration::from_millis(50);
    endless.retry.max_attempts = 1;
    let endless = stage.enqueue(endless).await;
    ends.until_ended(&endless, RunStatus::Dead).await;
    assert_eq!(stuck.read(), [endless.as_str()]);
    assert_eq!(stage.task(&endless).await.error.unwrap().class, "timeout");
    let next = stage.enqueue(stage.count(2)).await;
    ends.until_ended(&next, RunStatus::Completed).await;
    running.stop().await;
}

#[tokio::test]
async fn a_far_deadline_and_a_huge_timeout_are_no_limits() {
    let stage = Stage::fresh().await;
    let mut envelope = stage.count(1);
    envelope.timeout = Duration::MAX;
    envelope.deadline = Some(Timestamp::from_millis(253_402_300_799_000));
    let id = stage.enqueue(envelope).await;
    let worker = stage.worker().handle(|_: Count, _: Run<()>| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        TaskResult::Ok(())
    });
    worker.build().unwrap().drain().await.unwrap();
    assert_eq!(stage.state(&id).await, State::Completed);
}
