//! What an enqueue takes in, and what it refuses.

use std::time::Duration;

use tidemill_shared::{
    Admission, Change, ContentType, Envelope, ErrorKind, Jitter, Payload, Priority, RetryPolicy,
    State, Timestamp,
};

use crate::scene::{QUEUE, Scene, claim, id, ids, kind, millis, queue, seconds};
use crate::verdicts::ack;

/// Behaviour 6.
pub(crate) async fn a_taken_id_is_a_conflict_and_the_first_stays_intact(scene: &Scene) {
    let first = scene.task("a");
    scene.admit(first.clone()).await;
    let mut second = scene.task_in("other", "a");
    second.kind = kind("other.kind");
    second.payload = Payload::bytes(*b"another");
    assert_eq!(scene.enqueue_one(second).await, Admission::IdConflict);
    assert_eq!(scene.record("a").await.envelope, first);
    assert_eq!(scene.stats(QUEUE).await.enqueued_total, 1);
}

/// Behaviour 6. Behaviour 13.
pub(crate) async fn an_id_is_taken_in_every_state(scene: &Scene) {
    scene.put_one_of_each().await;
    for state in State::ALL {
        let again = scene.enqueue_one(scene.task(state.as_str())).await;
        assert_eq!(again, Admission::IdConflict, "{state}");
        assert_eq!(scene.state(state.as_str()).await, Some(state));
    }
}

/// Behaviour 6.
pub(crate) async fn an_id_is_free_again_once_its_task_is_gone(scene: &Scene) {
    scene.admit_all(&["done", "deleted"]).await;
    let lease = scene.take("done").await;
    scene.end(&lease, ack(), State::Completed).await;
    scene.change("deleted", Change::Delete).await;
    scene.admit_all(&["done", "deleted"]).await;
    assert_eq!(ids(&scene.ready(5).await), ["done", "deleted"]);
}

/// Behaviour 7.
pub(crate) async fn a_past_due_time_runs_now(scene: &Scene) {
    let mut past = scene.kept("a");
    past.due_at = scene.now() - seconds(3_600);
    scene.admit(past).await;
    let mut longest = scene.kept("b");
    longest.due_at = Timestamp::MIN;
    scene.admit(longest).await;
    assert_eq!(scene.state("a").await, Some(State::Pending));
    assert_eq!(scene.ready(5).await.len(), 2);
}

/// Behaviour 8.
pub(crate) async fn a_future_task_is_invisible_until_it_is_due(scene: &Scene) {
    scene.admit(scene.delayed("a", seconds(60))).await;
    assert_eq!(scene.state("a").await, Some(State::Scheduled));
    scene.advance(seconds(60) - millis(1));
    scene.nothing_ready().await;
    scene.advance(millis(1));
    let lease = scene.take("a").await;
    assert_eq!(lease.ready_at, scene.now());
}

/// Behaviour 8.
pub(crate) async fn a_task_of_the_far_future_waits(scene: &Scene) {
    let mut never = scene.kept("a");
    never.due_at = Timestamp::MAX;
    scene.admit(never).await;
    scene.advance(seconds(100 * 365 * 86_400));
    scene.nothing_ready().await;
    assert_eq!(scene.state("a").await, Some(State::Scheduled));
}

/// Behaviour 9.
pub(crate) async fn a_payload_arrives_byte_for_byte(scene: &Scene) {
    let binary: Vec<u8> = (0..=255).collect();
    let text = |text: &str| text.as_bytes().to_vec();
    let html = ContentType::new("text/html; charset=utf-8").expect("a media type");
    let payloads = [
        Payload::default(),
        Payload::bytes(Vec::new()),
        Payload::bytes(binary),
        Payload::new(html, text("<p>añó 😀</p>")),
        Payload::new(ContentType::json(), Vec::new()),
        Payload::new(ContentType::json(), text("18446744073709551616")),
        Payload::new(
            ContentType::json(),
            text("{\"a\" :  [1.0, 1e3, -0, 9007199254740993]}"),
        ),
        Payload::new(
            ContentType::json(),
            text(" {\n \"b\":1,\"a\":\"\\u00e9é😀\"}\n"),
        ),
        Payload::new(ContentType::json(), text("{\"dup\":1,\"dup\":2}")),
    ];
    for (n, payload) in payloads.into_iter().enumerate() {
        let task = format!("t{n}");
        let mut envelope = scene.task(&task);
        envelope.payload = payload.clone();
        scene.admit(envelope).await;
        let lease = scene.take(&task).await;
        let arrived = lease.envelope.payload.as_bytes();
        assert_eq!(arrived, payload.as_bytes(), "payload {n}");
        assert_eq!(
            lease.envelope.payload.content_type(),
            payload.content_type()
        );
    }
}

/// Behaviour 9.
pub(crate) async fn headers_arrive_as_they_were(scene: &Scene) {
    let mut envelope = scene.task("a");
    for (name, value) in [
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        ("empty", ""),
        ("X-Case", "Kept"),
        ("x-case", "añó \u{1F600} \" \\ \t\r\n"),
    ] {
        envelope.headers.insert(name.into(), value.into());
    }
    scene.admit(envelope.clone()).await;
    assert_eq!(scene.take("a").await.envelope.headers, envelope.headers);
}

/// An envelope with no field at its default.
fn unusual(scene: &Scene) -> Envelope {
    let mut envelope = scene.task_in("unusual", "Unusual_1.x-y");
    envelope.kind = kind("Other.Kind-2");
    envelope.headers.insert("a".into(), "b".into());
    envelope.priority = Priority::HIGHEST;
    envelope.due_at = scene.after(Duration::from_micros(61_000_001));
    envelope.key = Some(claim("clé 😀: {x}*", seconds(77)));
    envelope.retry = RetryPolicy {
        max_attempts: 3,
        initial: millis(250),
        multiplier: 1.5,
        max: seconds(9),
        jitter: Jitter::Equal,
        max_elapsed: Some(seconds(1_000)),
        non_retryable: vec!["bad_input".into()],
        crash_limit: 7,
    };
    envelope.timeout = millis(1_500);
    envelope.deadline = Some(scene.after(seconds(9_000)));
    envelope.retention = seconds(86_400);
    envelope
}

/// Behaviour 9.
pub(crate) async fn every_field_of_an_envelope_arrives(scene: &Scene) {
    let envelope = unusual(scene);
    scene.admit(envelope.clone()).await;
    assert_eq!(scene.record("Unusual_1.x-y").await.envelope, envelope);
    scene.advance(seconds(62));
    let demand = crate::scene::demand(&[("unusual", 1)], 1);
    assert_eq!(scene.lease(&demand).await[0].envelope, envelope);
}

/// Behaviour 14.
pub(crate) async fn the_largest_payload_arrives_whole(scene: &Scene) {
    let limit = scene.broker.capabilities().max_payload;
    let bytes: Vec<u8> = (0..=255).cycle().take(limit).collect();
    let mut envelope = scene.task("a");
    envelope.payload = Payload::bytes(bytes.clone());
    envelope.check(limit).expect("it is within the limit");
    scene.admit(envelope).await;
    let lease = scene.take("a").await;
    assert!(
        lease.envelope.payload.as_bytes() == bytes,
        "all bytes arrive"
    );
}

/// Behaviour 14.
pub(crate) async fn a_larger_payload_is_refused_with_the_limit_named(scene: &Scene) {
    let limit = scene.broker.capabilities().max_payload;
    let mut envelope = scene.task("a");
    envelope.payload = Payload::bytes(vec![0; limit + 1]);
    let refused = envelope.check(limit).expect_err("it is over the limit");
    assert!(
        refused.to_string().contains(&limit.to_string()),
        "{refused}"
    );
}

/// Clause 1. Behaviour 14.
pub(crate) async fn an_envelope_that_nobody_could_keep_refuses_the_batch(scene: &Scene) {
    let limit = scene.broker.capabilities().max_payload;
    let mut large = scene.task("large");
    large.payload = Payload::bytes(vec![0; limit + 1]);
    let batch = vec![scene.task("good"), large];
    let refused = scene.broker.enqueue(batch).await;
    let refused = refused.expect_err("no broker could keep it");
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(
        refused.to_string().contains(&limit.to_string()),
        "{refused}"
    );
    scene.nothing_ready().await;
    scene.admit_all(&["good"]).await;
}

/// Behaviour 13.
pub(crate) async fn two_processes_admit_an_id_and_a_key_once(scene: &Scene) {
    let other = scene.another_process().await.broker;
    for n in 0..20 {
        let twin = |who: &str| {
            let claim = claim(&format!("k{n}"), seconds(60));
            vec![
                scene.task(&format!("same-{n}")),
                scene.keyed(&format!("{who}-{n}"), claim),
            ]
        };
        let (own, theirs) = tokio::join!(
            scene.broker.enqueue(twin("own")),
            other.enqueue(twin("other"))
        );
        let own = own.expect("enqueue answers");
        let theirs = theirs.expect("enqueue answers");
        for at in 0..2 {
            let admitted = [&own[at], &theirs[at]].map(|answer| *answer == Admission::Admitted);
            assert!(admitted[0] != admitted[1], "{:?} {:?}", own[at], theirs[at]);
        }
    }
    assert_eq!(scene.stats(QUEUE).await.pending, 40);
}

/// Behaviour 15.
pub(crate) async fn a_full_queue_refuses_until_it_has_room(scene: &Scene) {
    let name = queue(QUEUE);
    let limited = scene.inspect().set_limit(&name, Some(3)).await;
    limited.expect("a limit can be set");
    scene.put("retry", State::Retry).await;
    scene.put("scheduled", State::Scheduled).await;
    scene.put("pending", State::Pending).await;
    let full = Admission::QueueFull { limit: 3 };
    assert_eq!(scene.enqueue_one(scene.task("more")).await, full);
    scene.admit(scene.task_in("other", "elsewhere")).await;
    // What runs does not wait.
    scene.take("pending").await;
    scene.admit(scene.task("more")).await;
    assert_eq!(scene.enqueue_one(scene.task("again")).await, full);
    let lifted = scene.inspect().set_limit(&name, None).await;
    lifted.expect("a limit can be lifted");
    scene.admit(scene.task("again")).await;
}

/// Behaviour 15.
pub(crate) async fn a_limit_counts_the_earlier_items_of_a_batch(scene: &Scene) {
    let limited = scene.inspect().set_limit(&queue(QUEUE), Some(2)).await;
    limited.expect("a limit can be set");
    let batch = ["a", "b", "c"].map(|task| scene.task(task)).to_vec();
    let full = Admission::QueueFull { limit: 2 };
    let answers = scene.enqueue(batch).await;
    assert_eq!(answers, [Admission::Admitted, Admission::Admitted, full]);
    assert_eq!(scene.stats(QUEUE).await.limit, Some(2));
}

/// Clause 9. Behaviour 15.
pub(crate) async fn a_refused_enqueue_leaves_nothing_behind(scene: &Scene) {
    let name = queue(QUEUE);
    let limited = scene.inspect().set_limit(&name, Some(0)).await;
    limited.expect("a limit can be set");
    let task = scene.keyed("a", claim("k", seconds(60)));
    let full = Admission::QueueFull { limit: 0 };
    assert_eq!(scene.enqueue_one(task.clone()).await, full);
    assert_eq!(scene.state("a").await, None);
    let stats = scene.stats(QUEUE).await;
    assert_eq!((stats.pending, stats.enqueued_total), (0, 0));
    let lifted = scene.inspect().set_limit(&name, None).await;
    lifted.expect("a limit can be lifted");
    let mut other = scene.keyed("b", claim("k", seconds(60)));
    other.id = id("b");
    scene.admit(other).await;
    scene.admit_all(&["a"]).await;
}

/// Behaviour 15.
pub(crate) async fn a_conflict_is_named_before_a_full_queue(scene: &Scene) {
    let limited = scene.inspect().set_limit(&queue(QUEUE), Some(1)).await;
    limited.expect("a limit can be set");
    let claimed = scene.keyed("a", claim("k", seconds(60)));
    scene.admit(claimed.clone()).await;
    assert_eq!(scene.enqueue_one(claimed).await, Admission::IdConflict);
    let second = scene.keyed("b", claim("k", seconds(60)));
    let duplicate = Admission::Duplicate(id("a"));
    assert_eq!(scene.enqueue_one(second).await, duplicate);
}
