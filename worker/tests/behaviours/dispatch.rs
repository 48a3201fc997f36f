//! Which task is run when, where and by whom.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use tidemill_shared::{BuryReason, ErrorKind, Kind, Priority, QueueName, State, Task};
use tidemill_worker::{
    Event, HandlerOptions, Middleware, Next, Outcome, Run, RunContext, RunStatus, TaskResult,
};

use crate::journal::Journal;
use crate::stage::{Count, Running, Stage};

const PATIENCE: Duration = Duration::from_secs(20);

async fn note(task: Count, run: Run<Journal<u64>>) -> TaskResult {
    run.state().note(task.n);
    Ok(())
}

/// Behaviour 25.
#[tokio::test]
async fn tasks_of_a_queue_start_first_in_first_out_within_a_priority() {
    for stage in Stage::each().await {
        let journal = Journal::new();
        let mut envelopes: Vec<_> = (0..40).map(|n| stage.count(n)).collect();
        for envelope in &mut envelopes[30..] {
            envelope.priority = Priority::HIGHEST;
        }
        stage.enqueue_all(envelopes).await;
        let worker = stage.worker().state(journal.clone()).concurrency(1);
        let runs = worker.handle(note).build().unwrap().drain().await.unwrap();
        assert_eq!(runs, 40);
        let expected: Vec<u64> = (30..40).chain(0..30).collect();
        assert_eq!(journal.read(), expected);
    }
}

async fn note_queue(_: Count, run: Run<Journal>) -> TaskResult {
    run.state().note(run.queue().as_str());
    Ok(())
}

/// Queues that are full at different moments are asked by calls of their own, of which one may always be
/// under way; draining ends all the same, and not before all of them are empty.
#[tokio::test(flavor = "multi_thread")]
async fn draining_ends_when_a_queue_of_several_takes_one_at_a_time() {
    for _ in 0..60 {
        let stage = Stage::fresh().await;
        for queue in ["a", "b", "c"] {
            let backlog = (0..50).map(|n| stage.count_in(queue, n)).collect();
            stage.enqueue_all(backlog).await;
        }
        let journal = Journal::new();
        let worker = stage.worker().state(journal).concurrency(10);
        let worker = worker.queue("a", 6).queue("b", 3).queue("c", 1);
        let worker = worker.queue_concurrency("c", 1).handle(note);
        let worker = worker.build().unwrap();
        let drained = tokio::time::timeout(PATIENCE, worker.drain());
        assert_eq!(drained.await.expect("draining ends").unwrap(), 150);
    }
}

/// Behaviour 26.
#[tokio::test]
async fn weights_of_6_3_1_hold_over_a_backlog_and_none_starves() {
    for concurrency in [1, 4, 64] {
        let stage = Stage::fresh().await;
        for queue in ["a", "b", "c"] {
            let backlog = (0..600).map(|n| stage.count_in(queue, n)).collect();
            stage.enqueue_all(backlog).await;
        }
        let journal = Journal::new();
        let worker = stage
            .worker()
            .state(journal.clone())
            .queue("a", 6)
            .queue("b", 3)
            .queue("c", 1)
            .concurrency(concurrency)
            .handle(note_queue)
            .build()
            .unwrap();
        assert_eq!(worker.drain().await.unwrap(), 1_800);
        // While all three have a backlog.
        let mut counts: HashMap<_, usize> = HashMap::new();
        for queue in journal.read().into_iter().take(500) {
            *counts.entry(queue).or_default() += 1;
        }
        for (queue, share) in [("a", 300), ("b", 150), ("c", 50)] {
            let count = counts.get(queue).copied().unwrap_or(0);
            assert!(
                count.abs_diff(share) <= 5 + concurrency / 2,
                "{queue} got {count} of 500 with {concurrency} slots: {counts:?}"
            );
        }
    }
}

/// Behaviour 27.
#[tokio::test]
async fn strict_order_drains_the_higher_queue_first() {
    let stage = Stage::fresh().await;
    for queue in ["low", "high"] {
        let backlog = (0..100).map(|n| stage.count_in(queue, n)).collect();
        stage.enqueue_all(backlog).await;
    }
    let journal = Journal::new();
    let worker = stage
        .worker()
        .state(journal.clone())
        .queue("high", 1)
        .queue("low", 1)
        .strict()
        .concurrency(1)
        .handle(note_queue)
        .build()
        .unwrap();
    worker.drain().await.unwrap();
    let order = journal.read();
    assert!(order[..100].iter().all(|queue| queue == "high"));
    assert!(order[100..].iter().all(|queue| queue == "low"));
}

/// Behaviour 28.
#[tokio::test]
async fn a_paused_queue_yields_nothing_while_others_go_on() {
    let stage = Stage::fresh().await;
    stage.enqueue(stage.count_in("paused", 1)).await;
    stage.enqueue(stage.count_in("open", 2)).await;
    let paused = QueueName::new("paused").unwrap();
    let inspect = stage.connection.broker.inspect().unwrap();
    inspect.pause(&paused, Some("a test")).await.unwrap();
    let journal = Journal::new();
    let worker = stage.worker().state(journal.clone());
    let worker = worker.queue("paused", 9).queue("open", 1).handle(note);
    let worker = worker.build().unwrap();
    worker.drain().await.unwrap();
    assert_eq!(journal.read(), [2]);
    inspect.resume(&paused).await.unwrap();
    worker.drain().await.unwrap();
    assert_eq!(journal.read(), [2, 1]);
}

/// Counts who is inside at once.
#[derive(Clone, Default)]
struct Room {
    inside: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

struct Visit(Room);

impl Room {
    fn enter(&self) -> Visit {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        Visit(self.clone())
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Ignores that it was told to stop.
async fn overstay(_: Count, run: Run<Room>) -> TaskResult {
    let _visit = run.state().enter();
    tokio::time::sleep(Duration::from_secs(60)).await;
    Ok(())
}

/// How long a blocking handler ignores that it was told to stop.
const OVERSTAY: Duration = Duration::from_millis(400);

/// The same, on a thread that nobody can stop.
#[expect(
    clippy::needless_pass_by_value,
    reason = "this is the shape of a handler"
)]
fn overstay_blocking(_: Count, run: Run<Room>) -> TaskResult {
    let _visit = run.state().enter();
    #[expect(
        clippy::disallowed_methods,
        reason = "a handler that blocks is what is tried"
    )]
    std::thread::sleep(OVERSTAY);
    Ok(())
}

/// Behaviour 29.
#[tokio::test]
async fn never_more_than_the_slots_run_at_once_also_after_timeouts() {
    let stage = Stage::fresh().await;
    let mut backlog: Vec<_> = (0..12).map(|n| stage.count(n)).collect();
    for envelope in &mut backlog {
        envelope.timeout = Duration::from_millis(30);
        envelope.retry.max_attempts = 2;
    }
    stage.enqueue_all(backlog).await;
    let room = Room::default();
    let worker = stage.worker().state(room.clone()).concurrency(3);
    let worker = worker.handle(overstay).build().unwrap();
    assert_eq!(worker.drain().await.unwrap(), 24);
    assert_eq!(room.most.load(Ordering::SeqCst), 3);
    assert_eq!(stage.stats("default").await.dead, 12);
}

/// Behaviour 29.
#[tokio::test]
async fn a_blocking_handler_that_overstays_keeps_its_slot_until_it_ends() {
    let stage = Stage::fresh().await;
    let mut backlog: Vec<_> = (0..4).map(|n| stage.count(n)).collect();
    for envelope in &mut backlog {
        envelope.timeout = Duration::from_millis(30);
        envelope.retry.max_attempts = 1;
    }
    stage.enqueue_all(backlog).await;
    let room = Room::default();
    let stuck = Journal::<String>::new();
    let worker = stage.worker().state(room.clone()).concurrency(2);
    let worker = worker.handle_blocking(overstay_blocking);
    let note = stuck.clone();
    let worker = worker.on_event(move |event| {
        if let Event::StuckHandler { run, .. } = event {
            note.note(run.task_id().as_str());
        }
    });
    let begun = tokio::time::Instant::now();
    assert_eq!(worker.build().unwrap().drain().await.unwrap(), 4);
    // The second two had to wait for the first two to end, not for their timeouts.
    assert!(begun.elapsed() >= OVERSTAY, "{:?}", begun.elapsed());
    assert_eq!(room.most.load(Ordering::SeqCst), 2);
    assert_eq!(stuck.read().len(), 4);
    assert_eq!(stage.stats("default").await.dead, 4);
}

/// Behaviour 29.
#[tokio::test]
async fn never_more_than_the_queues_own_limit_run_at_once_and_none_waits_for_it() {
    let stage = Stage::fresh().await;
    let narrow = (0..20).map(|n| stage.count_in("narrow", n)).collect();
    let (narrow_room, journal) = (Room::default(), Journal::new());
    let ends = Journal::new();
    let worker = stage
        .worker()
        .state((narrow_room.clone(), journal.clone()))
        .queue("narrow", 1)
        .queue("idle", 1)
        .queue_concurrency("narrow", 2)
        .concurrency(8)
        .handle(|task: Count, run: Run<(Room, Journal<u64>)>| async move {
            let _visit = run.state().0.enter();
            tokio::time::sleep(Duration::from_millis(5)).await;
            run.state().1.note(task.n);
            TaskResult::Ok(())
        })
        .on_event(ends.ends())
        .build()
        .unwrap();
    let running = Running::start(worker);
    stage.enqueue_all(narrow).await;
    let begun = tokio::time::Instant::now();
    ends.until_count(20).await;
    // A call that waits for the idle queue must not hold up the narrow one.
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(narrow_room.most.load(Ordering::SeqCst), 2);
    running.stop().await;
}

struct Named(&'static str, Journal);

impl Middleware for Named {
    fn around<'a>(&'a self, run: &'a RunContext, next: Next<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            self.1.note(format!("{} before {}", self.0, run.kind()));
            let outcome = next.run().await;
            self.1.note(format!("{} after", self.0));
            outcome
        })
    }
}

/// Behaviour 30.
#[tokio::test]
async fn middleware_runs_in_the_order_of_its_registration() {
    let stage = Stage::fresh().await;
    stage.enqueue(stage.count(1)).await;
    let journal = Journal::new();
    let worker = stage.worker().state(journal.clone());
    let worker = worker.middleware(Named("outer", journal.clone()));
    let worker = worker.middleware(Named("inner", journal.clone()));
    let worker = worker.handle(note_queue).build().unwrap();
    worker.drain().await.unwrap();
    assert_eq!(
        journal.read(),
        [
            "outer before count",
            "inner before count",
            "default",
            "inner after",
            "outer after"
        ]
    );
}

/// Behaviour 31.
#[tokio::test]
async fn an_unknown_kind_is_released_and_counted_and_buried_after_the_limit() {
    let (stage, clock) = Stage::manual().await;
    let mut stranger = stage.count(1);
    stranger.kind = Kind::new("stranger").unwrap();
    let id = stage.enqueue(stranger).await;
    let seen = Journal::<u32>::new();
    let note = seen.clone();
    let worker = stage
        .worker()
        .unknown_kind_limit(3)
        .handle(|_: Count, _: Run<()>| async { TaskResult::Ok(()) })
        .on_event(move |event| {
            if let Event::UnknownKind { releases, .. } = event {
                note.note(*releases);
            }
        })
        .build()
        .unwrap();
    for _ in 0..3 {
        assert_eq!(worker.drain().await.unwrap(), 1);
        let task = stage.task(&id).await;
        assert!(!task.state.is_final(), "{:?}", task.state);
        assert_eq!((task.failures, task.crashes), (0, 0));
        clock.advance(Duration::from_secs(61));
    }
    worker.drain().await.unwrap();
    let task = stage.task(&id).await;
    assert_eq!(task.state, State::Dead);
    assert_eq!(task.bury_reason, Some(BuryReason::UnknownKind));
    assert_eq!(seen.read(), [0, 1, 2, 3]);
}

/// Behaviour 32.
#[tokio::test]
async fn a_worker_leases_no_more_than_it_can_start() {
    let stage = Stage::fresh().await;
    let backlog = (0..50).map(|n| stage.count(n)).collect();
    stage.enqueue_all(backlog).await;
    let (journal, gate) = (Journal::new(), tokio_util::sync::CancellationToken::new());
    let worker = stage
        .worker()
        .state((journal.clone(), gate.clone()))
        .concurrency(4)
        .handle(|task: Count, run: Run<(Journal<u64>, tokio_util::sync::CancellationToken)>| async move {
            run.state().0.note(task.n);
            run.state().1.cancelled().await;
            TaskResult::Ok(())
        });
    let running = Running::start(worker.build().unwrap());
    journal.until_count(4).await;
    let stats = stage.stats("default").await;
    assert_eq!((stats.active, stats.pending), (4, 46));
    gate.cancel();
    journal.until_count(50).await;
    running.stop().await;
}

/// Behaviour 32.
#[tokio::test]
async fn two_workers_share_a_backlog() {
    let stage = Stage::on_disk().await;
    let backlog = (0..200).map(|n| stage.count(n)).collect();
    stage.enqueue_all(backlog).await;
    let ends = Journal::new();
    let by = Journal::<String>::new();
    let worker = || {
        let worker = stage.worker().state(by.clone()).concurrency(4);
        let worker = worker.handle(|_: Count, run: Run<Journal<String>>| async move {
            tokio::time::sleep(Duration::from_millis(2)).await;
            run.state().note(run.worker_id().as_str());
            TaskResult::Ok(())
        });
        Running::start(worker.on_event(ends.ends()).build().unwrap())
    };
    let (one, two) = (worker(), worker());
    ends.until_count(200).await;
    let mut shares: HashMap<_, usize> = HashMap::new();
    for worker in by.read() {
        *shares.entry(worker).or_default() += 1;
    }
    assert_eq!(shares.values().sum::<usize>(), 200);
    assert!(shares.values().all(|share| *share >= 50), "{shares:?}");
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn a_task_that_is_enqueued_while_the_worker_waits_starts_at_once() {
    for stage in Stage::each().await {
        let ends = Journal::new();
        let worker = stage
            .worker()
            .handle(|_: Count, _: Run<()>| async { TaskResult::Ok(()) });
        let running = Running::start(worker.on_event(ends.ends()).build().unwrap());
        for n in 0..5 {
            let begun = tokio::time::Instant::now();
            let id = stage.enqueue(stage.count(n)).await;
            ends.until_ended(&id, RunStatus::Completed).await;
            assert!(
                begun.elapsed() < Duration::from_secs(1),
                "{:?}",
                begun.elapsed()
            );
        }
        running.stop().await;
    }
}

#[tokio::test]
async fn wrong_settings_are_refused_before_anything_runs() {
    let stage = Stage::fresh().await;
    let handler = |_: Count, _: Run<()>| async { TaskResult::Ok(()) };
    let refused = |worker: tidemill_worker::WorkerBuilder<()>| worker.build().unwrap_err();
    let plain = || stage.worker().handle(handler);
    let twice = refused(plain().handle(handler));
    assert_eq!(twice.kind(), ErrorKind::Conflict);
    assert!(twice.to_string().contains(Count::KIND));
    for (error, part) in [
        (refused(stage.worker()), "no handler"),
        (refused(plain().queue("a:b", 1)), "':'"),
        (refused(plain().queue("a", 0)), "weight"),
        (refused(plain().queue("a", 1).queue("a", 2)), "twice"),
        (refused(plain().concurrency(0)), "concurrency"),
        (refused(plain().queue_concurrency("a", 1)), "not served"),
        (refused(plain().lease(Duration::ZERO)), "lease"),
        (refused(plain().blocking_threads(0)), "threads"),
        (refused(plain().cancel_grace(Duration::MAX)), "cancel grace"),
        (
            refused(
                stage
                    .worker()
                    .handle_with(handler, HandlerOptions::new().cancel_grace(Duration::MAX)),
            ),
            "cancel grace",
        ),
    ] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn what_a_handler_says_about_itself_is_listed_and_its_policy_holds() {
    let stage = Stage::fresh().await;
    let id = stage.enqueue(stage.count(1)).await;
    let options = HandlerOptions::new()
        .version("2.1")
        .resources("1 core, 64 MiB")
        .timeout(Duration::from_millis(50))
        .retry(tidemill_shared::RetryPolicy {
            max_attempts: 1,
            ..tidemill_shared::RetryPolicy::default()
        });
    let worker = stage.worker().handle_with(
        |_: Count, run: Run<()>| async move {
            assert_eq!(run.max_attempts(), 1);
            assert_eq!(run.timeout(), Duration::from_millis(50));
            run.cancelled().await;
            TaskResult::<()>::Err("told".parse::<u8>().unwrap_err().into())
        },
        options,
    );
    let worker = worker.build().unwrap();
    let listed = worker.handlers();
    assert_eq!(listed[0].kind.as_str(), "count");
    assert_eq!(listed[0].version.as_deref(), Some("2.1"));
    assert_eq!(listed[0].resources.as_deref(), Some("1 core, 64 MiB"));
    worker.drain().await.unwrap();
    let task = stage.task(&id).await;
    assert_eq!(task.bury_reason, Some(BuryReason::AttemptsExhausted));
    assert_eq!(task.error.unwrap().class, "timeout");
}
