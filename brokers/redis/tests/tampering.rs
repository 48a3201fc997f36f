//! What somebody else deleted, evicted or overwrote is mended, and stops nothing else.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[path = "harness/redis.rs"]
mod harness;
#[path = "harness/scene.rs"]
mod scene;

use std::time::Duration;

use scene::{MINUTE, Scene, ids};
use tidemill_conformance::Fixture;
use tidemill_shared::{
    Admission, BuryReason, Change, Key, KeyClaim, QueueName, Removed, Renewal, Settled, Settlement,
    State, TaskId, Verdict,
};

/// F24. The leases are gone: what runs comes back, and a worker that is alive loses nothing.
#[tokio::test]
async fn active_tasks_without_a_lease_come_back() {
    for lost in ["leases", "groups", "group-owners"] {
        let mut scene = Scene::new().await;
        scene.admit(&["a", "b"]).await;
        let held = scene.lease(2).await;
        let broker = scene.space.connection().broker;
        let renewed = broker.renew(&[held[0].token.clone()], MINUTE).await;
        assert!(matches!(renewed.unwrap()[0], Renewal::Held(_)));
        scene.tamper("DEL", lost, &[]);
        scene.space.clock().advance(Duration::from_secs(90));
        scene.sweep().await;
        assert_eq!(ids(&scene.lease(10).await), ["a", "b"], "without {lost}");
    }
}

/// F24.
#[tokio::test]
async fn a_line_that_was_lost_is_made_again_in_its_order() {
    let mut scene = Scene::new().await;
    scene.admit(&["a", "b", "c"]).await;
    scene.tamper("DEL", "line:5:default", &[]);
    assert_eq!(scene.lease(10).await.len(), 0);
    scene.sweep().await;
    assert_eq!(ids(&scene.lease(10).await), ["a", "b", "c"]);
    let broker = scene.space.connection().broker;
    let stats = broker.stats(&[]).await.unwrap().remove(0);
    assert_eq!((stats.pending, stats.active), (0, 3));
}

/// F24.
#[tokio::test]
async fn garbage_in_a_line_is_passed_over() {
    let mut scene = Scene::new().await;
    scene.admit(&["a"]).await;
    let garbage = ["", "x", "12 nobody", "\u{0}\u{1}"];
    scene.tamper("LPUSH", "line:5:default", &garbage);
    scene.tamper("RPUSH", "line:5:default", &garbage);
    scene.admit(&["b"]).await;
    assert_eq!(ids(&scene.lease(10).await), ["a", "b"]);
}

/// F24.
#[tokio::test]
async fn a_record_that_is_garbage_or_gone_becomes_a_dead_letter() {
    let mut scene = Scene::new().await;
    scene.admit(&["a", "b", "c"]).await;
    scene.tamper("HSET", "tasks", &["a", "garbage"]);
    scene.tamper("HDEL", "tasks", &["b"]);
    assert_eq!(ids(&scene.lease(10).await), ["c"]);
    assert_eq!(scene.state("a").await, Some(State::Dead));
    assert_eq!(scene.state("b").await, Some(State::Dead));
    let record = scene.record("a").await.unwrap();
    assert_eq!(record.bury_reason, Some(BuryReason::Undecodable));
    assert_eq!(record.envelope.payload.as_bytes(), b"garbage");
}

/// F24.
#[tokio::test]
async fn a_state_that_is_garbage_is_shown_as_a_dead_letter_and_can_be_deleted() {
    let mut scene = Scene::new().await;
    scene.admit(&["a", "b", "c"]).await;
    scene.tamper("HSET", "states", &["a", "P7"]);
    scene.tamper("HSET", "states", &["b", ""]);
    assert_eq!(ids(&scene.lease(10).await), ["c"]);
    for id in ["a", "b"] {
        assert_eq!(scene.state(id).await, Some(State::Dead));
        let broker = scene.space.connection().broker;
        let id = TaskId::new(id).unwrap();
        let inspect = broker.inspect().unwrap();
        inspect.change(&id, &Change::Delete).await.unwrap();
        assert!(inspect.get(&id).await.unwrap().is_none());
    }
    scene.sweep().await;
}

/// F22. Keys that an eviction took are made again from what is left.
#[tokio::test]
async fn what_waits_for_an_instant_is_found_again() {
    let mut scene = Scene::new().await;
    let mut later = scene.envelope("later");
    later.due_at = later.enqueued_at + MINUTE;
    let broker = scene.space.connection().broker;
    assert_eq!(
        broker.enqueue(vec![later]).await.unwrap(),
        [Admission::Admitted]
    );
    scene.tamper("DEL", "due", &[]);
    scene.space.clock().advance(MINUTE);
    scene.sweep().await;
    assert_eq!(ids(&scene.lease(1).await), ["later"]);
}

/// Behaviour 75: a queue that is removed leaves no key.
#[tokio::test]
async fn a_removed_queue_leaves_no_key() {
    let mut scene = Scene::new().await;
    let before = scene.keys();
    let mut keyed = scene.envelope("keyed");
    keyed.key = Some(KeyClaim::new(Key::new("k").unwrap()));
    keyed.retention = MINUTE;
    let broker = scene.space.connection().broker;
    assert_eq!(
        broker.enqueue(vec![keyed]).await.unwrap(),
        [Admission::Admitted]
    );
    scene.admit(&["a", "b"]).await;
    let leases = scene.lease(2).await;
    for lease in leases {
        let settlement = Settlement {
            token: lease.token,
            started_at: Some(lease.ready_at),
            verdict: Verdict::Ack { result: None },
        };
        let settled = broker.settle(vec![settlement]).await.unwrap();
        assert_eq!(settled, [Settled::Done(State::Completed)]);
    }
    let queue = QueueName::default();
    let inspect = broker.inspect().unwrap();
    let removed = inspect.remove_queue(&queue, true, 100).await;
    assert_eq!(removed.unwrap(), Removed::Done);
    assert_eq!(scene.keys(), before);
}

/// F24. A process that comes when everybody else is gone mends the first key that it reads, too.
#[tokio::test]
async fn a_store_with_a_meta_key_of_a_wrong_type_can_be_opened() {
    let mut scene = Scene::new().await;
    scene.admit(&["a"]).await;
    scene.tamper("SET", "meta", &["junk"]);
    scene.space.reopen().await.unwrap();
    assert!(scene.keys().contains(&"wrong-type:meta".to_owned()));
    scene.admit(&["b"]).await;
    let mut done = scene.work_off().await;
    done.sort();
    assert_eq!(done, ["a", "b"]);
}

/// F24. Keys of a wrong type are moved out of the way, and work goes on.
#[tokio::test]
async fn a_key_of_a_wrong_type_is_moved_out_of_the_way() {
    for name in [
        "due",
        "leases",
        "line:5:default",
        "aside:5:default",
        "queue:default",
        "queues",
        "wake:default",
        "history:default",
        "expiring",
        "states",
        "meta",
    ] {
        let mut scene = Scene::new().await;
        scene.admit(&["a", "b", "c"]).await;
        scene.tamper("SET", name, &["junk"]);
        let broker = scene.space.connection().broker;
        for _ in 0..12 {
            // Until the key of the queues is back, the sweep doesn't know them.
            broker.sweep(500).await.unwrap();
            scene.space.clock().advance(MINUTE / 20);
        }
        assert!(scene.keys().contains(&format!("wrong-type:{name}")));
        scene.admit(&["d"]).await;
        let mut done = scene.work_off().await;
        done.sort();
        assert_eq!(done, ["a", "b", "c", "d"], "with a wrong {name}");
        let stats = scene.stats().await.remove(0);
        assert_eq!((stats.pending, stats.active), (0, 0), "with a wrong {name}");
    }
}

/// Behaviour 71. A script that met a key of a wrong type stopped half-way: what it left is counted anew.
#[tokio::test]
async fn counters_are_right_again_after_a_key_of_a_wrong_type() {
    let mut scene = Scene::new().await;
    let keyed = |id: &str| {
        let mut envelope = scene.envelope(id);
        envelope.key = Some(KeyClaim::new(Key::new(id).unwrap()));
        envelope.retention = 60 * MINUTE;
        envelope
    };
    let broker = scene.space.connection().broker;
    let tasks = vec![keyed("a"), keyed("b"), keyed("c")];
    broker.enqueue(tasks).await.unwrap();
    let held = scene.lease(3).await;
    scene.tamper("SET", "keys:default", &["junk"]);
    for lease in held {
        let settlement = Settlement {
            token: lease.token,
            started_at: Some(lease.ready_at),
            verdict: Verdict::Ack { result: None },
        };
        broker.settle(vec![settlement]).await.unwrap_err();
    }
    for _ in 0..12 {
        scene.sweep().await;
        scene.space.clock().advance(MINUTE / 20);
    }
    scene.space.clock().advance(MINUTE);
    for _ in 0..3 {
        scene.sweep().await;
        scene.work_off().await;
    }
    let stats = scene.stats().await.remove(0);
    assert_eq!((stats.pending, stats.active, stats.completed), (0, 0, 3));
}
