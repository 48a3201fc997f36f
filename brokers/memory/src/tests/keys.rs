//! Uniqueness keys.

use tidemill_shared::{
    Admission, Broker, BuryReason, Change, Changed, Envelope, Inspect, KeyFate, Removed, Replay,
    State, Verdict,
};

use super::scene::{Scene, failure, queue, seconds, task};

fn duplicate_of(id: &str) -> Admission {
    Admission::Duplicate(task(id))
}

fn keeping(mut envelope: Envelope) -> Envelope {
    let claim = envelope.key.as_mut().unwrap();
    claim.on_success = KeyFate::Keep;
    claim.on_failure = KeyFate::Keep;
    envelope
}

/// Behaviour 16. Behaviour 18.
#[tokio::test]
async fn a_key_is_taken_for_its_time_to_live() {
    let scene = Scene::new();
    scene.add(scene.keyed("t1", "k", seconds(60))).await;
    let second = scene.enqueue(scene.keyed("t2", "k", seconds(60))).await;
    assert_eq!(second, duplicate_of("t1"));
    scene.clock.advance(seconds(60));
    let third = scene.enqueue(scene.keyed("t3", "k", seconds(60))).await;
    assert_eq!(third, Admission::Admitted);
}

/// Behaviour 12. Behaviour 16.
#[tokio::test]
async fn a_key_counts_within_its_batch() {
    let scene = Scene::new();
    let batch = vec![
        scene.keyed("t1", "k", seconds(60)),
        scene.keyed("t2", "k", seconds(60)),
        scene.envelope("t1"),
    ];
    let answers = scene.store.enqueue(batch).await.unwrap();
    let expected = [
        Admission::Admitted,
        duplicate_of("t1"),
        Admission::IdConflict,
    ];
    assert_eq!(answers, expected);
}

/// Behaviour 22.
#[tokio::test]
async fn a_key_outlives_a_long_run_and_the_wait_for_a_retry() {
    let scene = Scene::new();
    scene.add(scene.keyed("t1", "k", seconds(5))).await;
    let lease = scene.take_one().await;
    scene.clock.advance(seconds(100));
    let during = scene.enqueue(scene.keyed("t2", "k", seconds(5))).await;
    assert_eq!(during, duplicate_of("t1"));
    let at = scene.now() + seconds(100);
    let verdict = Verdict::Retry {
        at,
        failure: failure(),
    };
    scene.settle(&lease, verdict).await;
    let waiting = scene.enqueue(scene.keyed("t3", "k", seconds(5))).await;
    assert_eq!(waiting, duplicate_of("t1"));
}

/// Behaviour 17. Behaviour 21.
#[tokio::test]
async fn the_end_of_its_task_frees_a_key_unless_it_is_to_be_kept() {
    for is_success in [true, false] {
        for is_kept in [true, false] {
            let scene = Scene::new();
            let first = scene.keyed("t1", "k", seconds(60));
            scene
                .add(if is_kept { keeping(first) } else { first })
                .await;
            let lease = scene.take_one().await;
            let verdict = if is_success {
                Verdict::Ack { result: None }
            } else {
                let reason = BuryReason::Rejected;
                Verdict::Bury {
                    reason,
                    failure: failure(),
                }
            };
            scene.settle(&lease, verdict).await;
            let second = scene.enqueue(scene.keyed("t2", "k", seconds(60))).await;
            let expected = if is_kept {
                duplicate_of("t1")
            } else {
                Admission::Admitted
            };
            assert_eq!(second, expected, "success {is_success}, kept {is_kept}");
        }
    }
}

#[tokio::test]
async fn a_kept_key_is_forgotten_when_its_time_is_over() {
    let scene = Scene::new();
    scene
        .add(keeping(scene.keyed("t1", "k", seconds(60))))
        .await;
    let lease = scene.take_one().await;
    scene.ack(&lease).await;
    scene.clock.advance(seconds(60));
    scene.store.sweep(10).await.unwrap();
    let state = scene.store.space().lock();
    assert!(state.kept_keys.is_empty());
    assert!(state.queues.values().all(|queue| queue.keys.is_empty()));
}

/// Behaviour 19.
#[tokio::test]
async fn cancelling_or_deleting_a_task_frees_its_key() {
    for change in [Change::Cancel, Change::Delete] {
        let scene = Scene::new();
        scene
            .add(keeping(scene.keyed("t1", "k", seconds(60))))
            .await;
        scene.change("t1", change).await;
        let second = scene.enqueue(scene.keyed("t2", "k", seconds(60))).await;
        assert_eq!(second, Admission::Admitted);
    }
}

/// Behaviour 19. Behaviour 75.
#[tokio::test]
async fn a_removed_queue_leaves_no_key_behind() {
    let scene = Scene::new();
    scene
        .add(keeping(scene.keyed("t1", "k", seconds(60))))
        .await;
    let lease = scene.take_one().await;
    scene.ack(&lease).await;
    scene.add(scene.keyed("t2", "other", seconds(60))).await;
    let default = queue("default");
    let refused = scene.store.remove_queue(&default, false, 10).await.unwrap();
    assert_eq!(refused, Removed::Holds(1));
    let removed = scene.store.remove_queue(&default, true, 10).await.unwrap();
    assert_eq!(removed, Removed::Done);
    for (id, key) in [("t3", "k"), ("t4", "other")] {
        let again = scene.enqueue(scene.keyed(id, key, seconds(60))).await;
        assert_eq!(again, Admission::Admitted);
    }
}

/// Behaviour 20.
#[tokio::test]
async fn a_refused_task_leaves_no_key_behind() {
    let scene = Scene::new();
    scene.add(scene.envelope("t1")).await;
    let refused = scene.enqueue(scene.keyed("t1", "k", seconds(60))).await;
    assert_eq!(refused, Admission::IdConflict);
    scene
        .store
        .set_limit(&queue("default"), Some(1))
        .await
        .unwrap();
    let full = scene.enqueue(scene.keyed("t2", "k", seconds(60))).await;
    assert_eq!(full, Admission::QueueFull { limit: 1 });
    scene
        .store
        .set_limit(&queue("default"), None)
        .await
        .unwrap();
    let taken = scene.enqueue(scene.keyed("t3", "k", seconds(60))).await;
    assert_eq!(taken, Admission::Admitted);
}

/// Behaviour 23.
#[tokio::test]
async fn a_key_counts_within_its_queue_and_kind() {
    let scene = Scene::new();
    scene.add(scene.keyed("t1", "k", seconds(60))).await;
    let mut elsewhere = scene.keyed("t2", "k", seconds(60));
    elsewhere.queue = queue("other");
    assert_eq!(scene.enqueue(elsewhere).await, Admission::Admitted);
    let mut otherwise = scene.keyed("t3", "k", seconds(60));
    otherwise.kind = tidemill_shared::Kind::new("other").unwrap();
    assert_eq!(scene.enqueue(otherwise).await, Admission::Admitted);
}

/// Behaviour 24.
#[tokio::test]
async fn a_delayed_task_holds_its_key_from_its_due_time_wherever_that_is_moved() {
    let scene = Scene::new();
    let mut delayed = scene.keyed("t1", "k", seconds(10));
    delayed.due_at = scene.now() + seconds(100);
    scene.add(delayed).await;
    scene
        .change("t1", Change::Reschedule(scene.now() + seconds(200)))
        .await;
    scene.clock.advance(seconds(209));
    let early = scene.enqueue(scene.keyed("t2", "k", seconds(10))).await;
    assert_eq!(early, duplicate_of("t1"));
    scene.clock.advance(seconds(1));
    let late = scene.enqueue(scene.keyed("t3", "k", seconds(10))).await;
    assert_eq!(late, Admission::Admitted);
}

/// Behaviour 78.
#[tokio::test]
async fn a_replay_claims_the_key_again_or_says_that_it_is_taken() {
    let scene = Scene::new();
    scene.add(scene.keyed("t1", "k", seconds(60))).await;
    scene.change("t1", Change::Bury).await;
    scene.add(scene.keyed("t2", "k", seconds(60))).await;
    let replay = || Change::Replay(Replay::default());
    assert_eq!(scene.change("t1", replay()).await, Changed::KeyTaken);
    assert_eq!(scene.state("t1").await, Some(State::Dead));
    scene.change("t2", Change::Delete).await;
    let done = Changed::Done {
        from: State::Dead,
        to: Some(State::Pending),
    };
    assert_eq!(scene.change("t1", replay()).await, done);
    let third = scene.enqueue(scene.keyed("t3", "k", seconds(60))).await;
    assert_eq!(third, duplicate_of("t1"));
}

#[tokio::test]
async fn the_end_of_a_task_whose_key_has_passed_on_leaves_it_with_its_new_holder() {
    let scene = Scene::new();
    let mut first = scene.keyed("t1", "k", seconds(5));
    first.priority = tidemill_shared::Priority::HIGHEST;
    scene.add(first).await;
    scene.clock.advance(seconds(5));
    scene.add(scene.keyed("t2", "k", seconds(60))).await;
    let lease = scene.take_one().await;
    assert_eq!(lease.token.task, task("t1"));
    scene.ack(&lease).await;
    let third = scene.enqueue(scene.keyed("t3", "k", seconds(60))).await;
    assert_eq!(third, duplicate_of("t2"));
}

#[tokio::test]
async fn a_moved_due_time_leaves_a_key_that_has_passed_on_alone() {
    let scene = Scene::new();
    scene.add(scene.keyed("t1", "k", seconds(5))).await;
    scene.clock.advance(seconds(5));
    scene.add(scene.keyed("t2", "k", seconds(5))).await;
    let far = scene.now() + seconds(600);
    scene.change("t1", Change::Reschedule(far)).await;
    scene.clock.advance(seconds(5));
    let third = scene.enqueue(scene.keyed("t3", "k", seconds(5))).await;
    assert_eq!(third, Admission::Admitted);
}
