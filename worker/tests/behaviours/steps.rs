//! Steps that are done once.

use std::time::Duration;

use tidemill_shared::{Demand, QueueDemand, QueueName, State, WorkerId};
use tidemill_worker::{Failure, Run, TaskResult};

use crate::journal::Journal;
use crate::stage::{Count, Stage};

#[tokio::test]
async fn a_retry_gets_the_result_of_a_step_instead_of_repeating_it() {
    for stage in Stage::each().await {
        let id = stage.enqueue(stage.count(7)).await;
        let journal = Journal::<String>::new();
        let worker = stage.worker().state(journal.clone());
        let worker = worker.handle(|task: Count, run: Run<Journal<String>>| async move {
            let charged = run
                .once("charge", async {
                    run.state().note("charged");
                    Ok(task.n * 6)
                })
                .await?;
            run.once("mail", async {
                run.state().note(format!("mailed {charged}"));
                if run.attempt() < 3 {
                    return Err(Failure::new("no mail server"));
                }
                Ok(())
            })
            .await?;
            TaskResult::Ok(charged)
        });
        assert_eq!(worker.build().unwrap().drain().await.unwrap(), 3);
        assert_eq!(
            journal.read(),
            ["charged", "mailed 42", "mailed 42", "mailed 42"]
        );
        let task = stage.task(&id).await;
        assert_eq!(task.state, State::Completed);
        assert_eq!(task.result.unwrap().as_bytes(), b"42");
    }
}

#[tokio::test]
async fn a_blocking_handler_has_steps_and_progress_too() {
    let stage = Stage::fresh().await;
    let id = stage.enqueue(stage.count(7)).await;
    let journal = Journal::<String>::new();
    let worker = stage.worker().state(journal.clone());
    let worker = worker.handle_blocking(|task: Count, run: Run<Journal<String>>| {
        let doubled = run.once_blocking("double", || {
            run.state().note("doubled");
            Ok(task.n * 2)
        })?;
        run.progress_blocking(&doubled)?;
        run.log("blocking");
        if run.attempt() == 1 {
            return Err(Failure::new("once more"));
        }
        Ok(doubled)
    });
    assert_eq!(worker.build().unwrap().drain().await.unwrap(), 2);
    assert_eq!(journal.read(), ["doubled"]);
    let task = stage.task(&id).await;
    assert_eq!(task.result.unwrap().as_bytes(), b"14");
    assert_eq!(task.progress.unwrap().as_bytes(), b"14");
    assert_eq!(stage.log(&id).await.len(), 2);
}

/// A paused owner that wakes up after its task has passed on can neither begin a step that its
/// successor has begun, nor leave a result in its place.
#[tokio::test]
async fn a_run_with_a_stale_fence_can_neither_claim_nor_commit_a_step() {
    let unbegun = Stage::each().await.into_iter().map(|stage| (stage, false));
    let begun = Stage::each().await.into_iter().map(|stage| (stage, true));
    for (stage, begun_before) in unbegun.chain(begun) {
        let mut envelope = stage.count(1);
        envelope.timeout = Duration::from_secs(60);
        let id = stage.enqueue(envelope).await;
        let ledger = &stage.connection.ledger;
        let broker = &stage.connection.broker;
        let journal = Journal::<String>::new();
        let lease = || async {
            let demand = Demand {
                worker: WorkerId::random(),
                queues: vec![QueueDemand {
                    queue: QueueName::default(),
                    max: 1,
                }],
                max: 1,
                ttl: Duration::from_millis(50),
                wait: Duration::from_secs(1),
            };
            broker.lease(&demand).await.unwrap().pop().expect("a task")
        };
        let stale = lease().await;
        if begun_before {
            let claim = ledger.claim_step(&stale.token, "charge").await.unwrap();
            assert_eq!(claim, tidemill_shared::ledger::StepClaim::Run);
        }
        let state = journal.clone();
        let ends = Journal::new();
        let worker = stage.worker().state(state);
        let worker = worker.handle(|_: Count, run: Run<Journal<String>>| async move {
            run.once("charge", async {
                run.state().note("charged");
                run.state().until_count(2).await;
                Ok("by the second".to_owned())
            })
            .await
        });
        let running = crate::stage::Running::start(worker.on_event(ends.ends()).build().unwrap());
        journal.until_count(1).await;
        if begun_before {
            let result = tidemill_shared::Payload::json("by the first").unwrap();
            let keep = Duration::from_secs(60);
            let committed = ledger
                .commit_step(&stale.token, "charge", &result, keep)
                .await;
            assert!(!committed.unwrap());
        } else {
            let claim = ledger.claim_step(&stale.token, "charge").await.unwrap();
            assert_eq!(claim, tidemill_shared::ledger::StepClaim::Fenced);
        }
        journal.note("the first has tried");
        ends.until_ended(&id, tidemill_worker::RunStatus::Completed)
            .await;
        let result = stage.task(&id).await.result.unwrap();
        assert_eq!(result.as_bytes(), br#""by the second""#);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_malformed_step_name_fails_the_run_and_says_why() {
    let stage = Stage::fresh().await;
    let mut envelope = stage.count(1);
    envelope.retry.max_attempts = 1;
    let id = stage.enqueue(envelope).await;
    let worker = stage.worker().handle(|_: Count, run: Run<()>| async move {
        run.once("two words", async { Ok(()) }).await
    });
    worker.build().unwrap().drain().await.unwrap();
    let error = stage.task(&id).await.error.unwrap();
    assert!(error.message.contains("step name"), "{error}");
}

#[tokio::test]
async fn the_idempotency_token_is_the_same_for_every_run() {
    let stage = Stage::fresh().await;
    let id = stage.enqueue(stage.count(1)).await;
    let tokens = Journal::<String>::new();
    let worker = stage.worker().state(tokens.clone());
    let worker = worker.handle(|_: Count, run: Run<Journal<String>>| async move {
        run.state().note(run.idempotency_token());
        TaskResult::<()>::Err(Failure::new("again"))
    });
    worker.build().unwrap().drain().await.unwrap();
    assert_eq!(tokens.read(), [id.as_str(); 3]);
}
