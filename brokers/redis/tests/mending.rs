//! Counters, states and records that somebody else deleted: what was acknowledged runs, and the numbers are
//! right again after a few sweeps.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[path = "harness/redis.rs"]
mod harness;
#[path = "harness/scene.rs"]
mod scene;

use scene::{MINUTE, Scene, ids};
use tidemill_conformance::Fixture;
use tidemill_shared::{BuryReason, Change, QueueName, Removed, State, TaskFilter, TaskId};

/// F24. The counters of a queue are gone, and its tasks run all the same.
#[tokio::test]
async fn counters_that_were_deleted_are_made_again() {
    let mut scene = Scene::new().await;
    scene.admit(&["a", "b", "c", "d", "e", "f"]).await;
    let held = scene.lease(1).await;
    scene.tamper("DEL", "queue:default", &[]);
    scene.admit(&["g"]).await;
    scene.sweep().await;
    let stats = scene.stats().await.remove(0);
    assert_eq!((stats.pending, stats.active), (6, 1));
    assert_eq!(scene.work_off().await, ["b", "c", "d", "e", "f", "g"]);
    assert_eq!(ids(&held), ["a"]);
    let stats = scene.stats().await.remove(0);
    assert_eq!((stats.pending, stats.active), (0, 1));
    assert!(!scene.keys().iter().any(|key| key.starts_with("recount")));
}

/// F24. A counter below zero, or that is no number, hides nothing.
#[tokio::test]
async fn counters_that_cannot_be_right_hide_nothing() {
    for nonsense in ["-5", "0", "many", "3"] {
        let mut scene = Scene::new().await;
        scene.admit(&["a", "b"]).await;
        scene.tamper("HSET", "queue:default", &["n5", nonsense, "active", "-1"]);
        scene.stats().await;
        scene.sweep().await;
        let stats = scene.stats().await.remove(0);
        assert_eq!((stats.pending, stats.active), (2, 0), "{nonsense}");
        assert_eq!(scene.work_off().await, ["a", "b"]);
    }
}

/// F24. Many tasks are counted over many sweeps, while others come, run and end.
#[tokio::test]
async fn counting_anew_is_exact_while_work_goes_on() {
    let mut scene = Scene::new().await;
    let ids: Vec<String> = (0..4_500).map(|number| format!("t{number}")).collect();
    for some in ids.chunks(500) {
        let some: Vec<&str> = some.iter().map(String::as_str).collect();
        scene.admit(&some).await;
    }
    scene.tamper("DEL", "queue:default", &[]);
    let broker = scene.connection().broker;
    let (mut done, mut rounds) = (0_u64, 0_u64);
    loop {
        let more = broker.sweep(500).await.unwrap().more;
        scene.admit(&[&format!("new{rounds}")]).await;
        let mut later = scene.envelope(&format!("later{rounds}"));
        later.due_at = later.enqueued_at + MINUTE;
        broker.enqueue(vec![later]).await.unwrap();
        let leases = scene.lease(40).await;
        done += u64::try_from(scene.end(leases).await).unwrap();
        scene.lease(3).await;
        rounds += 1;
        if !more {
            break;
        }
    }
    assert!(rounds > 4, "it took {rounds} steps");
    scene.sweep().await;
    let stats = scene.stats().await.remove(0);
    let all = 4_500 + rounds;
    assert_eq!(stats.scheduled, rounds);
    assert_eq!(stats.pending + stats.active + done, all);
    assert_eq!(stats.active, 3 * rounds);
}

/// F24. The states are gone: what had not ended runs, under the counts that are right.
#[tokio::test]
async fn tasks_whose_states_were_deleted_run() {
    let mut scene = Scene::new().await;
    scene.admit(&["a", "b", "c", "dead"]).await;
    let inspect = scene.connection().broker;
    let inspect = inspect.inspect().unwrap();
    let dead = TaskId::new("dead").unwrap();
    inspect.change(&dead, &Change::Bury).await.unwrap();
    let mut later = scene.envelope("later");
    later.due_at = later.enqueued_at + MINUTE;
    scene
        .connection()
        .broker
        .enqueue(vec![later])
        .await
        .unwrap();
    scene.lease(1).await;
    scene.tamper("DEL", "states", &[]);
    scene.sweep().await;
    scene.space.clock().advance(MINUTE / 10);
    scene.sweep().await;
    let stats = scene.stats().await.remove(0);
    assert_eq!(
        (stats.scheduled, stats.pending, stats.active, stats.dead),
        (1, 3, 0, 1)
    );
    let mut done = scene.work_off().await;
    done.sort();
    assert_eq!(done, ["a", "b", "c"]);
    assert_eq!(scene.state("dead").await, Some(State::Dead));
    let page = inspect
        .list(&TaskFilter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(page.items.len(), 2);
}

/// F24. The records are gone: their tasks are dead letters of the queue that knows them, and it can be removed.
#[tokio::test]
async fn a_queue_whose_records_were_deleted_can_be_removed() {
    for lost in ["tasks", "states"] {
        for is_swept in [true, false] {
            let mut scene = Scene::new().await;
            let before = scene.keys();
            let queue = QueueName::new("mail").unwrap();
            let mut batch: Vec<_> = (0..18).map(|n| scene.envelope(&format!("t{n}"))).collect();
            for one in &mut batch {
                one.queue = queue.clone();
            }
            let broker = scene.connection().broker;
            broker.enqueue(batch).await.unwrap();
            let inspect = broker.inspect().unwrap();
            let dead = TaskId::new("t3").unwrap();
            inspect.change(&dead, &Change::Bury).await.unwrap();
            scene.tamper("DEL", lost, &[]);
            if is_swept {
                scene.sweep().await;
                scene.space.clock().advance(MINUTE);
                scene.sweep().await;
                let page = inspect
                    .list(&TaskFilter::default(), None, 100)
                    .await
                    .unwrap();
                assert_eq!(page.items.len(), 18, "{lost}");
                let dead = scene.record("t3").await.unwrap();
                assert_eq!(
                    (dead.state, dead.envelope.queue),
                    (State::Dead, queue.clone())
                );
                let counted: u64 = scene
                    .stats()
                    .await
                    .iter()
                    .map(|one| one.pending + one.dead)
                    .sum();
                assert_eq!(counted, 18, "{lost}");
            }
            let removed = inspect.remove_queue(&queue, true, 100).await.unwrap();
            assert_eq!(removed, Removed::Done, "{lost} {is_swept}");
            if is_swept && lost == "states" {
                assert_eq!(scene.keys(), before);
            }
        }
    }
}

/// F24. A task whose record is gone is set aside by the sweep, and one that comes again is as new.
#[tokio::test]
async fn a_task_without_its_record_is_set_aside() {
    let mut scene = Scene::new().await;
    scene.admit(&["a", "b"]).await;
    scene.tamper("HDEL", "tasks", &["a"]);
    scene.sweep().await;
    let record = scene.record("a").await.unwrap();
    assert_eq!(record.state, State::Dead);
    assert_eq!(record.bury_reason, Some(BuryReason::Undecodable));
    assert_eq!(scene.work_off().await, ["b"]);
}
