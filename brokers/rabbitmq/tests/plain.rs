//! Tasks that travel through RabbitMQ, and what becomes of them when a run does not simply end well.
#![expect(
    clippy::unwrap_used,
    reason = "these are tests, their helpers included"
)]

#[path = "plain/lives.rs"]
mod lives;
#[path = "harness/plain_scene.rs"]
mod plain_scene;
#[path = "harness/rabbit.rs"]
mod rabbit;

use std::time::Duration;

use lapin::message::Delivery;
use lapin::types::{AMQPValue, ShortString};
use plain_scene::{Scene, TTL, WORKER};
use tidemill_shared::ledger::{LogLine, LogStream, StepClaim};
use tidemill_shared::{
    BuryReason, Change, Changed, FailureRecord, Payload, Priority, ReleaseCause, Renewal, Settled,
    State, Verdict,
};

const MINUTE: Duration = Duration::from_secs(60);

fn boom() -> FailureRecord {
    FailureRecord::new("error", "boom")
}

#[tokio::test]
async fn a_plain_task_leaves_nothing_in_the_ledger() {
    let scene = Scene::new().await;
    let id = scene.enqueue(|_| {}).await;
    assert!(scene.in_ledger(&id).await.is_none());
    assert_eq!(scene.pending().await, 1);
    let lease = scene.take().await;
    assert_eq!((&lease.token.task, lease.attempt), (&id, 1));
    let done = scene.settle(&lease, Verdict::Ack { result: None }).await;
    assert_eq!(done, Settled::Done(State::Completed));
    assert!(scene.in_ledger(&id).await.is_none());
    let again = scene.settle(&lease, Verdict::Ack { result: None }).await;
    assert_eq!(again, Settled::Stale);
    assert_eq!(scene.pending().await, 0);
}

/// What RabbitMQ's own tools, and those of tracing, see of a task.
#[tokio::test]
async fn a_message_says_what_it_is_and_of_which_trace() {
    let scene = Scene::new().await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let id = scene
        .enqueue(|task| {
            for (name, value) in [("traceparent", parent), ("tracestate", "a=b")] {
                task.headers.insert(name.to_owned(), value.to_owned());
            }
        })
        .await;
    let message = scene.look_at_message().await;
    let found = |name| header(&message, name);
    assert_eq!(found("traceparent").as_deref(), Some(parent));
    assert_eq!(found("tracestate").as_deref(), Some("a=b"));
    let properties = &message.properties;
    let text = |text: &Option<ShortString>| text.as_ref().map(ToString::to_string);
    assert_eq!(text(properties.message_id()).as_deref(), Some(id.as_str()));
    assert_eq!(*properties.delivery_mode(), Some(2));
}

fn header(message: &Delivery, name: &str) -> Option<String> {
    let headers = message.properties.headers().as_ref()?;
    match headers.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        other => Some(format!("{other:?}")),
    }
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_passed_over() {
    let url = rabbit::url(rabbit::NODE).replacen("@", "@127.0.0.1:1,", 1);
    let scene = Scene::at(&url).await;
    let id = scene.enqueue(|_| {}).await;
    assert_eq!(scene.take().await.token.task, id);
}

#[tokio::test]
async fn a_failed_run_is_kept_with_its_history_and_runs_again_from_the_ledger() {
    let scene = Scene::new().await;
    let id = scene.enqueue(|_| {}).await;
    let lease = scene.take().await;
    let at = scene.now() + MINUTE;
    let verdict = Verdict::Retry {
        at,
        failure: boom(),
    };
    assert_eq!(
        scene.settle(&lease, verdict).await,
        Settled::Done(State::Retry)
    );
    let record = scene.in_ledger(&id).await.unwrap();
    assert_eq!(
        (record.state, record.failures, record.due_at),
        (State::Retry, 1, at)
    );
    assert_eq!(scene.attempts(&id).await.len(), 1);
    scene.advance(MINUTE);
    let second = scene.take().await;
    assert_eq!(
        (&second.token.task, second.attempt, second.failures),
        (&id, 2, 1)
    );
    assert!(second.token.fence > lease.token.fence);
    assert_eq!(
        scene.pending().await,
        0,
        "RabbitMQ has nothing of it any more"
    );
}

#[tokio::test]
async fn a_rejected_task_is_a_dead_letter_and_can_be_replayed() {
    let scene = Scene::new().await;
    let id = scene.enqueue(|_| {}).await;
    let lease = scene.take().await;
    let verdict = Verdict::Bury {
        reason: BuryReason::Rejected,
        failure: boom(),
    };
    assert_eq!(
        scene.settle(&lease, verdict).await,
        Settled::Done(State::Dead)
    );
    let record = scene.in_ledger(&id).await.unwrap();
    assert_eq!(record.bury_reason, Some(BuryReason::Rejected));
    assert_eq!(record.error.unwrap().message, "boom");
    let replayed = scene.change(&id, &Change::Replay(Default::default())).await;
    assert!(matches!(replayed, Changed::Done { .. }), "{replayed:?}");
    assert_eq!(scene.take().await.token.task, id);
}

#[tokio::test]
async fn a_released_task_goes_ahead_of_what_waits_in_rabbitmq() {
    let scene = Scene::new().await;
    let first = scene.enqueue(|_| {}).await;
    scene.enqueue(|_| {}).await;
    let lease = scene.take().await;
    let verdict = Verdict::Release {
        at: None,
        cause: ReleaseCause::Shutdown,
    };
    assert_eq!(
        scene.settle(&lease, verdict).await,
        Settled::Done(State::Pending)
    );
    let again = scene.take().await;
    assert_eq!((&again.token.task, again.attempt), (&first, 1));
}

#[tokio::test]
async fn a_task_that_is_to_be_kept_is_kept_with_its_result() {
    let scene = Scene::new().await;
    let id = scene.enqueue(|task| task.retention = MINUTE).await;
    let lease = scene.take().await;
    let result = Some(Payload::json(&42).unwrap());
    let verdict = Verdict::Ack { result };
    assert_eq!(
        scene.settle(&lease, verdict).await,
        Settled::Done(State::Completed)
    );
    let record = scene.in_ledger(&id).await.unwrap();
    assert_eq!(record.state, State::Completed);
    assert_eq!(record.result.unwrap().as_bytes(), b"42");
}

#[tokio::test]
async fn a_run_that_reports_can_be_seen_and_cancelled() {
    let scene = Scene::new().await;
    let id = scene.enqueue(|_| {}).await;
    let lease = scene.take().await;
    scene.report(&lease, "half").await;
    let record = scene.in_ledger(&id).await.unwrap();
    assert_eq!(
        (record.state, record.worker.unwrap().as_str()),
        (State::Active, WORKER)
    );
    assert_eq!(record.progress.unwrap().as_bytes(), b"half");
    scene.change(&id, &Change::Cancel).await;
    assert!(matches!(scene.renew(&lease).await, Renewal::Cancelled(_)));
    let verdict = Verdict::Bury {
        reason: BuryReason::Rejected,
        failure: boom(),
    };
    assert_eq!(
        scene.settle(&lease, verdict).await,
        Settled::Done(State::Cancelled)
    );
    assert_eq!(scene.pending().await, 0);
}

/// RabbitMQ takes a message back that is out for longer than its `consumer_timeout`.
#[tokio::test]
async fn a_run_that_goes_on_for_long_is_the_ledgers() {
    let scene = Scene::new().await;
    let id = scene.enqueue(|_| {}).await;
    let lease = scene.take().await;
    for _ in 0..7 {
        assert!(matches!(scene.renew(&lease).await, Renewal::Held(_)));
        assert!(scene.in_ledger(&id).await.is_none());
        scene.advance(TTL - Duration::from_secs(1));
    }
    assert!(matches!(scene.renew(&lease).await, Renewal::Held(_)));
    assert_eq!(scene.in_ledger(&id).await.unwrap().state, State::Active);
    let done = scene.settle(&lease, Verdict::Ack { result: None }).await;
    assert_eq!(done, Settled::Done(State::Completed));
    // Acknowledged once, long ago: a second time would have cost the channel.
    let next = scene.enqueue(|_| {}).await;
    let lease = scene.take().await;
    assert_eq!((&lease.token.task, lease.attempt), (&next, 1));
    let done = scene.settle(&lease, Verdict::Ack { result: None }).await;
    assert_eq!(done, Settled::Done(State::Completed));
}

#[tokio::test]
async fn steps_and_logs_of_a_plain_task_are_kept_for_its_next_run() {
    let scene = Scene::new().await;
    let id = scene.enqueue(|_| {}).await;
    let lease = scene.take().await;
    let ledger = scene.ledger();
    let claimed = ledger.claim_step(&lease.token, "charge").await.unwrap();
    assert_eq!(claimed, StepClaim::Run);
    let receipt = Payload::json(&"receipt").unwrap();
    let committed = ledger.commit_step(&lease.token, "charge", &receipt, MINUTE);
    assert!(committed.await.unwrap());
    let line = LogLine {
        at: scene.now(),
        attempt: 1,
        stream: LogStream::Handler,
        text: "charged".into(),
    };
    ledger.append_log(&id, vec![line.clone()]).await.unwrap();
    let verdict = Verdict::Retry {
        at: scene.now(),
        failure: boom(),
    };
    scene.settle(&lease, verdict).await;
    let second = scene.take().await;
    let claimed = ledger.claim_step(&second.token, "charge").await.unwrap();
    assert_eq!(claimed, StepClaim::Finished(receipt));
    assert_eq!(ledger.read_log(&id, None, 10).await.unwrap().lines, [line]);
}

#[tokio::test]
async fn a_lapsed_lease_is_a_crash_that_the_ledger_counts() {
    let scene = Scene::new().await;
    let id = scene.enqueue(|_| {}).await;
    let lease = scene.take().await;
    scene.advance(TTL);
    let swept = scene.sweep().await;
    assert_eq!(swept.reclaimed.len(), 1);
    assert_eq!(
        (&swept.reclaimed[0].task, swept.reclaimed[0].worker.as_str()),
        (&id, WORKER)
    );
    let second = scene.take().await;
    assert_eq!((second.crashes, second.attempt), (1, 2));
    let late = scene.settle(&lease, Verdict::Ack { result: None }).await;
    assert_eq!(late, Settled::Stale);
}

/// What a process leaves behind that was killed: its connection ends, and RabbitMQ delivers again.
#[tokio::test]
async fn what_a_dead_process_held_is_run_again_as_a_crash() {
    let scene = Scene::new().await;
    let id = scene.enqueue(|_| {}).await;
    let dead = scene.another_process().await;
    let lease = dead.take().await;
    assert_eq!(lease.token.task, id);
    drop(dead);
    let second = scene.take_in_time().await;
    assert_eq!(
        (&second.token.task, second.crashes, second.attempt),
        (&id, 1, 2)
    );
    assert_eq!(scene.pending().await, 0);
}

#[tokio::test]
async fn a_task_that_kills_its_workers_becomes_a_dead_letter() {
    let scene = Scene::new().await;
    let id = scene.enqueue(|task| task.retry.crash_limit = 1).await;
    let dead = scene.another_process().await;
    dead.take().await;
    drop(dead);
    scene.state_in_time(&id, State::Dead).await;
    let record = scene.in_ledger(&id).await.unwrap();
    assert_eq!(record.bury_reason, Some(BuryReason::CrashLoop));
}

#[tokio::test]
async fn a_message_that_is_no_task_becomes_a_dead_letter_with_its_bytes() {
    let scene = Scene::new().await;
    let id = scene.enqueue(|_| {}).await;
    scene.publish_garbage(b"not an envelope").await;
    assert_eq!(scene.take().await.token.task, id);
    assert!(scene.lease(1).await.is_empty());
    let dead = scene.dead_letters().await;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].bury_reason, Some(BuryReason::Undecodable));
    assert_eq!(dead[0].envelope.payload.as_bytes(), b"not an envelope");
}

#[tokio::test]
async fn what_rabbitmq_sets_aside_becomes_a_dead_letter() {
    let scene = Scene::new().await;
    let id = scene.enqueue(|_| {}).await;
    scene.reject_message().await;
    scene.state_in_time(&id, State::Dead).await;
    let record = scene.in_ledger(&id).await.unwrap();
    assert!(record.error.unwrap().message.contains("set it aside"));
}

#[tokio::test]
async fn a_paused_queue_keeps_what_rabbitmq_has() {
    let scene = Scene::new().await;
    scene.pause().await;
    scene.enqueue(|_| {}).await;
    assert!(scene.lease(5).await.is_empty());
    assert_eq!(scene.pending().await, 1);
    scene.resume().await;
    assert_eq!(scene.lease(5).await.len(), 1);
}

#[tokio::test]
async fn the_tasks_of_a_limited_queue_are_the_ledgers() {
    let scene = Scene::new().await;
    scene.limit(1).await;
    let id = scene.enqueue(|_| {}).await;
    assert_eq!(scene.in_ledger(&id).await.unwrap().state, State::Pending);
}

#[tokio::test]
async fn higher_bands_go_first() {
    let scene = Scene::new().await;
    let mut ids = Vec::new();
    for level in [1, 5, 9] {
        let priority = Priority::new(level).unwrap();
        ids.push(scene.enqueue(|task| task.priority = priority).await);
    }
    ids.reverse();
    let leases = scene.lease(5).await;
    let found: Vec<_> = leases
        .iter()
        .map(|lease| lease.token.task.clone())
        .collect();
    assert_eq!(found, ids);
}

#[tokio::test]
async fn a_queue_is_listed_and_removed_with_what_rabbitmq_has() {
    let scene = Scene::new().await;
    scene.enqueue(|_| {}).await;
    assert_eq!(scene.queues().await, ["default"]);
    assert_eq!(
        scene.remove_queue(false).await,
        tidemill_shared::Removed::Holds(1)
    );
    assert_eq!(
        scene.remove_queue(true).await,
        tidemill_shared::Removed::Done
    );
    assert_eq!(scene.queues().await, [""; 0]);
    assert_eq!(scene.pending().await, 0);
}

/// A worker that no longer asks leaves nothing on its shelf.
#[tokio::test]
async fn what_was_sent_to_a_worker_that_asks_no_more_goes_back() {
    let scene = Scene::new().await;
    scene.subscribe_and_leave(5).await;
    let id = scene.enqueue(|_| {}).await;
    scene.arrived_somewhere().await;
    scene.advance(MINUTE);
    scene.sweep().await;
    let lease = scene.take().await;
    assert_eq!(
        (&lease.token.task, lease.crashes, lease.attempt),
        (&id, 0, 1)
    );
}
