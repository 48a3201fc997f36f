//! What follows from the end of a handler.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidemill_shared::ledger::LogStream;
use tidemill_shared::{
    AttemptOutcome, BuryReason, Change, Changed, ContentType, ErrorKind, Payload, State, Task,
};
use tidemill_worker::{Event, Failure, FailureError, Run, RunStatus, TaskResult};

use crate::journal::Journal;
use crate::stage::{Count, Running, Stage};

/// Behaviour 33.
#[tokio::test]
async fn success_removes_or_retains_the_task_as_asked_and_counts_it() {
    for stage in Stage::each().await {
        let kept = stage.enqueue(stage.count(1)).await;
        let mut fleeting = stage.count(2);
        fleeting.retention = Duration::ZERO;
        let fleeting = stage.enqueue(fleeting).await;
        let worker = stage
            .worker()
            .handle(|_: Count, _: Run<()>| async { TaskResult::Ok(()) });
        worker.build().unwrap().drain().await.unwrap();
        assert_eq!(stage.state(&kept).await, State::Completed);
        assert!(stage.get(&fleeting).await.is_none());
        let stats = stage.stats("default").await;
        assert_eq!((stats.succeeded_total, stats.completed), (2, 1));
    }
}

/// Behaviour 34.
#[tokio::test]
async fn retention_keeps_result_and_log_until_it_has_passed() {
    let (stage, clock) = Stage::manual().await;
    let id = stage.enqueue(stage.count(20)).await;
    let worker = stage
        .worker()
        .handle(|task: Count, run: Run<()>| async move {
            run.log("halfway\nthere");
            TaskResult::Ok(task.n + 1)
        });
    worker.build().unwrap().drain().await.unwrap();
    clock.advance(Duration::from_secs(3_500));
    stage.connection.broker.sweep(100).await.unwrap();
    let result = stage.task(&id).await.result.unwrap();
    assert_eq!(result.as_bytes(), b"21");
    let log = stage.log(&id).await;
    let lines: Vec<_> = log.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(lines, ["halfway", "there"]);
    assert!(
        log.iter()
            .all(|line| line.stream == LogStream::Handler && line.attempt == 1)
    );
    clock.advance(Duration::from_secs(101));
    stage.connection.broker.sweep(100).await.unwrap();
    assert!(stage.get(&id).await.is_none());
    assert!(stage.log(&id).await.is_empty());
}

async fn fail(_: Count, run: Run<()>) -> TaskResult {
    Err(Failure::new(format!(
        "no luck in attempt {}",
        run.attempt()
    )))
}

/// Behaviour 35.
#[tokio::test]
async fn an_error_is_retried_at_the_policys_time_with_the_attempt_counted_and_the_error_kept() {
    let (stage, clock) = Stage::manual().await;
    let mut envelope = stage.count(1);
    envelope.retry.initial = Duration::from_secs(10);
    let id = stage.enqueue(envelope).await;
    let worker = stage.worker().handle(fail).build().unwrap();
    assert_eq!(worker.drain().await.unwrap(), 1);
    let task = stage.task(&id).await;
    assert_eq!((task.state, task.failures), (State::Retry, 1));
    assert_eq!(task.due_at, stage.now() + Duration::from_secs(10));
    assert_eq!(
        task.error.unwrap().to_string(),
        "error: no luck in attempt 1"
    );
    clock.advance(Duration::from_millis(9_999));
    assert_eq!(worker.drain().await.unwrap(), 0);
    clock.advance(Duration::from_millis(1));
    assert_eq!(worker.drain().await.unwrap(), 1);
    let task = stage.task(&id).await;
    assert_eq!((task.attempt, task.failures), (2, 2));
    assert_eq!(task.due_at, stage.now() + Duration::from_secs(20));
}

/// Behaviour 36.
#[tokio::test]
async fn the_last_failure_makes_a_dead_letter_with_its_history() {
    for stage in Stage::each().await {
        let id = stage.enqueue(stage.count(1)).await;
        let worker = stage.worker().handle(fail).build().unwrap();
        assert_eq!(worker.drain().await.unwrap(), 3);
        let task = stage.task(&id).await;
        assert_eq!(task.state, State::Dead);
        assert_eq!(task.bury_reason, Some(BuryReason::AttemptsExhausted));
        let history: Vec<_> = stage
            .attempts(&id)
            .await
            .into_iter()
            .map(|attempt| {
                (
                    attempt.attempt,
                    attempt.outcome,
                    attempt.failure.unwrap().message,
                )
            })
            .collect();
        let text = |n| format!("no luck in attempt {n}");
        assert_eq!(
            history,
            [
                (1, AttemptOutcome::Failed, text(1)),
                (2, AttemptOutcome::Failed, text(2)),
                (3, AttemptOutcome::Buried, text(3)),
            ]
        );
    }
}

#[derive(Debug)]
struct Wrapper(FailureError);

impl fmt::Display for Wrapper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("charging the card")
    }
}

impl std::error::Error for Wrapper {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// Behaviour 37.
#[tokio::test]
async fn a_reject_buries_at_once_also_when_it_is_wrapped() {
    let stage = Stage::fresh().await;
    let plain = stage.enqueue(stage.count(0)).await;
    let wrapped = stage.enqueue(stage.count(1)).await;
    let worker = stage.worker().handle(|task: Count, _: Run<()>| async move {
        let reject = Failure::reject("no such account");
        if task.n == 0 {
            return Err(reject);
        }
        Err(Wrapper(reject.into_error()))?;
        TaskResult::Ok(())
    });
    assert_eq!(worker.build().unwrap().drain().await.unwrap(), 2);
    for (id, message) in [
        (plain, "no such account"),
        (wrapped, "charging the card: no such account"),
    ] {
        let task = stage.task(&id).await;
        assert_eq!(task.state, State::Dead);
        assert_eq!(task.bury_reason, Some(BuryReason::Rejected));
        assert_eq!(task.error.unwrap().message, message);
    }
}

/// Behaviour 38.
#[tokio::test]
async fn a_snooze_does_not_count() {
    let (stage, clock) = Stage::manual().await;
    let id = stage.enqueue(stage.count(1)).await;
    let journal = Journal::<u32>::new();
    let worker = stage.worker().state(journal.clone());
    let worker = worker.handle(|_: Count, run: Run<Journal<u32>>| async move {
        run.state().note(run.attempt());
        if run.state().read().len() < 10 {
            return Err(Failure::snooze(Duration::from_secs(5)));
        }
        TaskResult::Ok(())
    });
    let worker = worker.build().unwrap();
    for _ in 0..10 {
        assert_eq!(worker.drain().await.unwrap(), 1);
        assert_eq!(worker.drain().await.unwrap(), 0);
        clock.advance(Duration::from_secs(5));
    }
    assert_eq!(journal.read(), [1; 10]);
    let task = stage.task(&id).await;
    assert_eq!((task.state, task.failures), (State::Completed, 0));
}

/// Behaviour 39.
#[tokio::test]
async fn a_panic_is_a_failure_with_place_and_message_and_the_worker_survives() {
    let stage = Stage::fresh().await;
    let mut envelopes: Vec<_> = (0..4).map(|n| stage.count(n)).collect();
    for envelope in &mut envelopes {
        envelope.retry.max_attempts = 1;
    }
    let ids: Vec<_> = envelopes
        .iter()
        .map(|envelope| envelope.id.clone())
        .collect();
    stage.enqueue_all(envelopes).await;
    let worker = stage.worker().handle(|task: Count, _: Run<()>| {
        assert!(task.n != 1, "before the future");
        async move {
            tokio::task::yield_now().await;
            assert!(task.n != 2, "the number is {}", task.n);
            TaskResult::Ok(())
        }
    });
    assert_eq!(worker.build().unwrap().drain().await.unwrap(), 4);
    for (id, message) in [(&ids[1], "before the future"), (&ids[2], "the number is 2")] {
        let error = stage.task(id).await.error.unwrap();
        assert_eq!(error.class, "panic");
        assert!(error.message.contains(message), "{error}");
        assert!(error.message.contains("outcomes.rs:"), "{error}");
    }
    assert_eq!(stage.state(&ids[0]).await, State::Completed);
    assert_eq!(stage.state(&ids[3]).await, State::Completed);
}

/// Behaviour 39.
#[tokio::test]
async fn a_panic_of_a_blocking_handler_is_a_failure_too() {
    let stage = Stage::fresh().await;
    let mut envelope = stage.count(1);
    envelope.retry.max_attempts = 1;
    let id = stage.enqueue(envelope).await;
    let worker = stage
        .worker()
        .handle_blocking(|task: Count, _: Run<()>| -> TaskResult {
            panic!("no {} here", task.n);
        });
    worker.build().unwrap().drain().await.unwrap();
    let error = stage.task(&id).await.error.unwrap();
    assert_eq!(error.class, "panic");
    assert!(error.message.contains("no 1 here"), "{error}");
}

/// Behaviour 40.
#[tokio::test]
async fn observers_see_every_failure_of_a_handler() {
    let stage = Stage::fresh().await;
    let id = stage.enqueue(stage.count(1)).await;
    let ends = Journal::new();
    let worker = stage.worker().handle(fail).on_event(ends.ends());
    // One who panics harms nobody.
    let worker = worker.on_event(|_: &Event<'_>| panic!("a bad observer"));
    worker.build().unwrap().drain().await.unwrap();
    let ends: Vec<_> = ends
        .read()
        .into_iter()
        .map(|end| (end.task == id, end.attempt, end.status))
        .collect();
    assert_eq!(
        ends,
        [
            (true, 1, RunStatus::Retry),
            (true, 2, RunStatus::Retry),
            (true, 3, RunStatus::Dead)
        ]
    );
}

/// Behaviour 44.
#[tokio::test]
async fn a_cancel_reaches_that_task_alone_and_is_final() {
    for stage in Stage::each().await {
        let started = Journal::<u64>::new();
        let ends = Journal::new();
        let worker = stage.worker().state(started.clone()).concurrency(4);
        let worker = worker.handle(|task: Count, run: Run<Journal<u64>>| async move {
            run.state().note(task.n);
            if task.n == 3 {
                return TaskResult::Ok(());
            }
            run.cancelled().await;
            Err(Failure::new("stopped as told"))
        });
        let running = Running::start(worker.on_event(ends.ends()).build().unwrap());
        let wanted = stage.enqueue(stage.count(1)).await;
        let other = stage.enqueue(stage.count(2)).await;
        started.until_count(2).await;
        let inspect = stage.connection.broker.inspect().unwrap();
        let begun = tokio::time::Instant::now();
        let changed = inspect.change(&wanted, &Change::Cancel).await.unwrap();
        assert!(matches!(changed, Changed::Done { .. }), "{changed:?}");
        ends.until_ended(&wanted, RunStatus::Cancelled).await;
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
        let task = stage.task(&wanted).await;
        assert_eq!((task.state, task.failures), (State::Cancelled, 0));
        assert_eq!(stage.state(&other).await, State::Active);
        let changed = inspect.change(&other, &Change::Cancel).await.unwrap();
        assert!(matches!(changed, Changed::Done { .. }), "{changed:?}");
        ends.until_ended(&other, RunStatus::Cancelled).await;
        // Neither was run again.
        let last = stage.enqueue(stage.count(3)).await;
        ends.until_ended(&last, RunStatus::Completed).await;
        assert_eq!(started.read().len(), 3);
        running.stop().await;
    }
}

/// Behaviour 45.
#[tokio::test]
async fn progress_and_results_can_be_read_while_and_after_a_task_runs() {
    #[derive(Serialize)]
    struct Progress {
        done: u32,
        of: u32,
    }
    for stage in Stage::each().await {
        let (half, ends) = (Journal::<u64>::new(), Journal::new());
        let gate = tokio_util::sync::CancellationToken::new();
        let worker = stage.worker().state((half.clone(), gate.clone()));
        type State_ = (Journal<u64>, tokio_util::sync::CancellationToken);
        let worker = worker.handle(|task: Count, run: Run<State_>| async move {
            run.progress(&Progress { done: 1, of: 2 }).await?;
            run.log("one of two");
            run.state().0.note(task.n);
            run.state().1.cancelled().await;
            TaskResult::Ok(vec!["a", "b"])
        });
        let running = Running::start(worker.on_event(ends.ends()).build().unwrap());
        let id = stage.enqueue(stage.count(1)).await;
        half.until_count(1).await;
        let progress = stage.task(&id).await.progress.unwrap();
        assert_eq!(progress.as_bytes(), br#"{"done":1,"of":2}"#);
        gate.cancel();
        ends.until_ended(&id, RunStatus::Completed).await;
        let result = stage.task(&id).await.result.unwrap();
        assert_eq!(result.as_bytes(), br#"["a","b"]"#);
        running.stop().await;
    }
}

/// A task with a shape.
#[derive(Serialize, Deserialize)]
struct Order {
    lines: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    amount: u32,
}

impl Task for Order {
    const KIND: &'static str = "order";
}

#[tokio::test]
async fn a_payload_that_is_not_the_task_is_buried_with_path_and_position() {
    let stage = Stage::fresh().await;
    let mut wrong = stage.envelope(&Order { lines: Vec::new() });
    let text = r#"{"lines":[{"amount":1},{"amount":"two"}]}"#;
    wrong.payload = Payload::new(ContentType::json(), text.as_bytes());
    let wrong = stage.enqueue(wrong).await;
    let mut bytes = stage.envelope(&Order { lines: Vec::new() });
    bytes.payload = Payload::bytes(*b"\x00\x01");
    let bytes = stage.enqueue(bytes).await;
    let worker = stage
        .worker()
        .handle(|_: Order, _: Run<()>| async { TaskResult::Ok(()) });
    assert_eq!(worker.build().unwrap().drain().await.unwrap(), 2);
    let task = stage.task(&wrong).await;
    assert_eq!(task.bury_reason, Some(BuryReason::Rejected));
    let error = task.error.unwrap();
    assert_eq!(error.class, "payload");
    assert!(error.message.contains("lines[1].amount"), "{error}");
    assert!(error.message.contains("line 1 column"), "{error}");
    let error = stage.task(&bytes).await.error.unwrap();
    assert!(
        error.message.contains("application/octet-stream"),
        "{error}"
    );
}

#[tokio::test]
async fn a_raw_handler_gets_the_payload_byte_for_byte() {
    let stage = Stage::fresh().await;
    let mut envelope = stage.count(1);
    envelope.payload = Payload::bytes(*b"\x00\xff\n");
    let id = stage.enqueue(envelope).await;
    let worker = stage
        .worker()
        .handle_raw("count", |payload: Payload, _: Run<()>| async move {
            TaskResult::Ok(payload.as_bytes().to_vec())
        });
    worker.build().unwrap().drain().await.unwrap();
    let result = stage.task(&id).await.result.unwrap();
    assert_eq!(result.as_bytes(), b"[0,255,10]");
}

#[tokio::test]
async fn a_result_that_is_too_large_fails_with_the_limit_named() {
    let stage = Stage::fresh().await;
    let limit = stage.connection.broker.capabilities().max_payload;
    let mut envelope = stage.count(1);
    envelope.retry.max_attempts = 1;
    let id = stage.enqueue(envelope).await;
    let worker = stage.worker().state(limit);
    let worker = worker.handle(|_: Count, run: Run<usize>| async move {
        let error = run.progress(&"x".repeat(*run.state())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        TaskResult::Ok("x".repeat(*run.state()))
    });
    worker.build().unwrap().drain().await.unwrap();
    let error = stage.task(&id).await.error.unwrap();
    assert_eq!(error.class, "result");
    assert!(error.message.contains(&limit.to_string()), "{error}");
}

#[tokio::test]
async fn a_log_beyond_its_limit_is_cut_and_the_cut_is_counted() {
    for stage in Stage::each().await {
        let id = stage.enqueue(stage.count(1)).await;
        let worker = stage.worker().log_limit(1_000);
        let worker = worker.handle(|_: Count, run: Run<()>| async move {
            for n in 0..150 {
                run.log(format!("line {n:04}"));
            }
            TaskResult::Ok(())
        });
        worker.build().unwrap().drain().await.unwrap();
        let mut log = stage.log(&id).await;
        let last = log.pop().unwrap();
        let kept = log.len();
        assert_eq!(kept, 100, "a line counts its text and its end");
        for (n, line) in log.iter().enumerate() {
            assert_eq!(line.text, format!("line {n:04}"));
        }
        assert_eq!(last.stream, LogStream::System);
        assert_eq!(
            last.text,
            "… 50 lines (500 bytes) dropped: the limit is 1000 bytes an attempt"
        );
    }
}
