//! How a worker ends.

use std::time::Duration;

use tidemill_shared::ledger::Role;
use tidemill_shared::{AttemptOutcome, State};
use tidemill_worker::{CancelReason, Failure, Run, RunStatus, TaskResult};
use tokio::time::Instant;

use crate::journal::Journal;
use crate::stage::{Count, Running, Stage, eventually};

/// Behaviour 53. Behaviour 54.
#[tokio::test]
async fn a_graceful_stop_tells_the_handlers_and_finishes_what_runs() {
    for stage in Stage::each().await {
        let (journal, ends) = (Journal::<String>::new(), Journal::new());
        let worker = stage.worker().state(journal.clone()).concurrency(1);
        let worker = worker.handle(|task: Count, run: Run<Journal<String>>| async move {
            run.state().note(format!("start {}", task.n));
            run.shutting_down().await;
            assert!(run.is_shutting_down() && !run.is_cancelled());
            tokio::time::sleep(Duration::from_millis(50)).await;
            run.state().note(format!("end {}", task.n));
            TaskResult::Ok(())
        });
        let running = Running::start(worker.on_event(ends.ends()).build().unwrap());
        let first = stage.enqueue(stage.count(1)).await;
        let second = stage.enqueue(stage.count(2)).await;
        journal.until_count(1).await;
        running.stop().await;
        assert_eq!(journal.read(), ["start 1", "end 1"]);
        assert_eq!(stage.state(&first).await, State::Completed);
        // Nothing new was begun.
        assert_eq!(stage.state(&second).await, State::Pending);
    }
}

/// Behaviour 53. Behaviour 54.
#[tokio::test]
async fn what_overruns_the_grace_is_told_then_goes_back_to_the_front_uncounted() {
    for stage in Stage::each().await {
        let journal = Journal::<String>::new();
        let worker = stage.worker().state(journal.clone()).concurrency(2);
        let worker = worker.grace(Duration::from_millis(400));
        let worker = worker.handle(|task: Count, run: Run<Journal<String>>| async move {
            run.state().note(format!("start {}", task.n));
            run.shutting_down().await;
            run.state().note("notice");
            let reason = run.cancelled().await;
            run.state().note(format!("told of {}", reason.as_str()));
            if task.n == 1 {
                return TaskResult::<()>::Err(Failure::new("gave up"));
            }
            std::future::pending().await
        });
        let running = Running::start(worker.build().unwrap());
        let ids = [
            stage.enqueue(stage.count(1)).await,
            stage.enqueue(stage.count(2)).await,
            stage.enqueue(stage.count(3)).await,
        ];
        journal.until_count(2).await;
        let begun = Instant::now();
        running.stop().await;
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(300), "{took:?}");
        assert!(took < Duration::from_secs(2), "{took:?}");
        let seen = journal.read();
        assert_eq!(seen.iter().filter(|entry| *entry == "notice").count(), 2);
        assert_eq!(
            seen.iter()
                .filter(|entry| *entry == "told of shutdown")
                .count(),
            2
        );
        for id in &ids {
            let task = stage.task(id).await;
            assert_eq!(task.state, State::Pending);
            assert_eq!((task.failures, task.crashes), (0, 0));
        }
        let outcomes: Vec<_> = stage
            .attempts(&ids[0])
            .await
            .iter()
            .map(|a| a.outcome)
            .collect();
        assert_eq!(outcomes, [AttemptOutcome::Released]);
        // They are at the front, in their old order, and it is still their first attempt.
        let order = Journal::<(u64, u32)>::new();
        let worker = stage.worker().state(order.clone()).concurrency(1);
        let worker = worker.handle(|task: Count, run: Run<Journal<(u64, u32)>>| async move {
            run.state().note((task.n, run.attempt()));
            TaskResult::Ok(())
        });
        worker.build().unwrap().drain().await.unwrap();
        assert_eq!(order.read(), [(1, 1), (2, 1), (3, 1)]);
    }
}

#[tokio::test]
async fn a_second_signal_ends_at_once_and_puts_back_what_runs() {
    let stage = Stage::fresh().await;
    let journal = Journal::<u64>::new();
    let worker = stage.worker().state(journal.clone());
    let worker = worker.grace(Duration::from_secs(3_600));
    let worker = worker.handle(|task: Count, run: Run<Journal<u64>>| async move {
        run.state().note(task.n);
        std::future::pending::<()>().await;
        TaskResult::Ok(())
    });
    let running = Running::start(worker.build().unwrap());
    let id = stage.enqueue(stage.count(1)).await;
    journal.until_count(1).await;
    running.stop.cancel();
    let begun = Instant::now();
    running.at_once.cancel();
    running.ended().await;
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    let task = stage.task(&id).await;
    assert_eq!(
        (task.state, task.failures, task.crashes),
        (State::Pending, 0, 0)
    );
}

#[tokio::test]
async fn a_blocking_handler_that_goes_on_does_not_hold_up_the_end() {
    let stage = Stage::fresh().await;
    let journal = Journal::<CancelReason>::new();
    let (release, released) = std::sync::mpsc::sync_channel::<()>(1);
    let released = std::sync::Mutex::new(released);
    let worker = stage.worker().state((journal.clone(), released));
    let worker = worker.grace(Duration::from_millis(200));
    type State_ = (
        Journal<CancelReason>,
        std::sync::Mutex<std::sync::mpsc::Receiver<()>>,
    );
    let started = Journal::<u64>::new();
    let note = started.clone();
    let worker = worker.handle_blocking(move |task: Count, run: Run<State_>| {
        note.note(task.n);
        let wait = run.state().1.lock().unwrap();
        wait.recv().unwrap();
        run.state().0.note(run.cancel_reason().unwrap());
        TaskResult::Ok(())
    });
    let running = Running::start(worker.build().unwrap());
    let id = stage.enqueue(stage.count(1)).await;
    started.until_count(1).await;
    let begun = Instant::now();
    running.stop().await;
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(stage.state(&id).await, State::Pending);
    release.send(()).unwrap();
    assert_eq!(journal.until_count(1).await, [CancelReason::Shutdown]);
}

/// Behaviour 76.
#[tokio::test]
async fn a_worker_is_listed_while_it_lives_and_gone_after_its_end() {
    for stage in Stage::each().await {
        let journal = Journal::<u64>::new();
        let ends = Journal::new();
        let worker = stage.worker().state(journal.clone()).concurrency(3);
        let worker = worker.queue("mail", 2).queue("default", 1);
        let worker = worker.handle(|task: Count, run: Run<Journal<u64>>| async move {
            run.state().note(task.n);
            TaskResult::Ok(())
        });
        let worker = worker.on_event(ends.ends()).build().unwrap();
        let id = worker.id().clone();
        let running = Running::start(worker);
        let task = stage.enqueue(stage.count(1)).await;
        ends.until_ended(&task, RunStatus::Completed).await;
        let ledger = &stage.connection.ledger;
        eventually(async || ledger.present(Role::Worker).await.unwrap().len() == 1).await;
        let present = ledger.present(Role::Worker).await.unwrap();
        assert_eq!((&present[0].id, present[0].slots), (&id, 3));
        let queues: Vec<_> = present[0]
            .queues
            .iter()
            .map(|queue| queue.as_str())
            .collect();
        assert_eq!(queues, ["mail", "default"]);
        assert_eq!(present[0].pid, std::process::id());
        running.stop().await;
        let present = stage.connection.ledger.present(Role::Worker).await.unwrap();
        assert!(present.is_empty());
    }
}

#[tokio::test]
async fn dropping_a_running_worker_ends_its_handlers() {
    let stage = Stage::fresh().await;
    let journal = Journal::<&'static str>::new();
    struct Dropped(Journal<&'static str>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.note("dropped");
        }
    }
    let worker = stage.worker().state(journal.clone());
    let worker = worker.handle(|_: Count, run: Run<Journal<&'static str>>| async move {
        let _note = Dropped(run.state().clone());
        run.state().note("started");
        std::future::pending::<()>().await;
        TaskResult::Ok(())
    });
    let running = Running::start(worker.build().unwrap());
    stage.enqueue(stage.count(1)).await;
    journal.until_count(1).await;
    drop(running);
    assert_eq!(journal.until_count(2).await, ["started", "dropped"]);
}
