//! Clause 9: while a key is live, a second envelope with it is a duplicate.

use std::time::Duration;

use tidemill_shared::{
    Admission, Change, Changed, KeyClaim, KeyFate, Removed, Replay, Settled, State, TaskFilter,
};

use crate::scene::{QUEUE, Scene, TTL, claim, id, ids, key, kind, millis, queue, seconds};
use crate::verdicts::{ack, bury, retry};

const MINUTE: Duration = Duration::from_secs(60);

/// Enqueues a task with the key `k` for a minute.
async fn claim_k(scene: &Scene, task: &str) -> Admission {
    scene
        .enqueue_one(scene.keyed(task, claim("k", MINUTE)))
        .await
}

/// The same, and insists on admission.
async fn admit_k(scene: &Scene, task: &str) {
    assert_eq!(claim_k(scene, task).await, Admission::Admitted);
}

fn taken_by(task: &str) -> Admission {
    Admission::Duplicate(id(task))
}

/// Clause 9. Behaviour 16.
pub(crate) async fn a_second_enqueue_with_a_live_key_names_the_first(scene: &Scene) {
    admit_k(scene, "a").await;
    assert_eq!(claim_k(scene, "b").await, taken_by("a"));
    scene.take("a").await;
    assert_eq!(claim_k(scene, "c").await, taken_by("a"));
    assert_eq!(scene.stats(QUEUE).await.enqueued_total, 1);
}

/// Clause 9. Behaviour 17.
pub(crate) async fn success_frees_the_key(scene: &Scene) {
    admit_k(scene, "a").await;
    let lease = scene.take("a").await;
    scene.end(&lease, ack(), State::Completed).await;
    assert_eq!(claim_k(scene, "b").await, Admission::Admitted);
}

/// Clause 9. Behaviour 17.
pub(crate) async fn success_keeps_the_key_for_its_window_when_asked(scene: &Scene) {
    let keep = KeyClaim {
        on_success: KeyFate::Keep,
        ..claim("k", MINUTE)
    };
    scene.admit(scene.keyed("a", keep)).await;
    let lease = scene.take("a").await;
    scene.end(&lease, ack(), State::Completed).await;
    assert_eq!(claim_k(scene, "b").await, taken_by("a"));
    scene.advance(MINUTE - millis(1));
    assert_eq!(claim_k(scene, "b").await, taken_by("a"));
    scene.advance(millis(1));
    assert_eq!(claim_k(scene, "b").await, Admission::Admitted);
}

/// Clause 9. Behaviour 18.
pub(crate) async fn a_key_is_free_after_its_time_to_live(scene: &Scene) {
    admit_k(scene, "a").await;
    scene.advance(MINUTE - millis(1));
    assert_eq!(claim_k(scene, "b").await, taken_by("a"));
    scene.advance(millis(1));
    admit_k(scene, "b").await;
    assert_eq!(claim_k(scene, "c").await, taken_by("b"));
}

/// Clause 9. Behaviour 18.
pub(crate) async fn the_former_holder_of_a_key_leaves_its_new_holder_alone(scene: &Scene) {
    admit_k(scene, "a").await;
    scene.advance(MINUTE);
    admit_k(scene, "b").await;
    let first = scene.take("a").await;
    assert_eq!(claim_k(scene, "c").await, taken_by("b"));
    scene.end(&first, ack(), State::Completed).await;
    assert_eq!(claim_k(scene, "c").await, taken_by("b"));
    assert_eq!(
        scene.change("b", Change::Delete).await,
        deleted(State::Pending)
    );
    assert_eq!(claim_k(scene, "c").await, Admission::Admitted);
}

const fn deleted(from: State) -> Changed {
    Changed::Done { from, to: None }
}

/// Clause 9. Behaviour 19.
pub(crate) async fn deleting_or_cancelling_frees_the_key(scene: &Scene) {
    admit_k(scene, "a").await;
    assert_eq!(
        scene.change("a", Change::Delete).await,
        deleted(State::Pending)
    );
    admit_k(scene, "b").await;
    scene.change("b", Change::Cancel).await;
    assert_eq!(claim_k(scene, "c").await, Admission::Admitted);
}

/// Clause 9. Behaviour 19.
pub(crate) async fn deleting_many_frees_their_keys(scene: &Scene) {
    for n in 0..5 {
        let claim = claim(&format!("k{n}"), MINUTE);
        scene.admit(scene.keyed(&format!("a{n}"), claim)).await;
    }
    let all = TaskFilter::default();
    let bulk = scene
        .inspect()
        .change_many(&all, &Change::Delete, None, 100);
    assert_eq!(bulk.await.expect("an answer").changed, 5);
    for n in 0..5 {
        let claim = claim(&format!("k{n}"), MINUTE);
        scene.admit(scene.keyed(&format!("b{n}"), claim)).await;
    }
}

/// Clause 9. Behaviour 19. Behaviour 75.
pub(crate) async fn removing_a_queue_leaves_no_key_behind(scene: &Scene) {
    let mut keep = scene.keyed("done", claim("kept", MINUTE));
    if let Some(claim) = &mut keep.key {
        claim.on_success = KeyFate::Keep;
    }
    scene.admit(keep).await;
    let lease = scene.take("done").await;
    scene.end(&lease, ack(), State::Completed).await;
    admit_k(scene, "a").await;
    let inspect = scene.inspect();
    let removed = inspect.remove_queue(&queue(QUEUE), true, 100).await;
    assert_eq!(removed.expect("an answer"), Removed::Done);
    admit_k(scene, "b").await;
    let again = scene.keyed("done2", claim("kept", MINUTE));
    scene.admit(again).await;
}

/// Clause 9. Behaviour 20.
pub(crate) async fn an_id_conflict_leaves_no_key_behind(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    assert_eq!(claim_k(scene, "a").await, Admission::IdConflict);
    assert_eq!(claim_k(scene, "b").await, Admission::Admitted);
}

/// Clause 9.
pub(crate) async fn a_duplicate_leaves_no_id_behind(scene: &Scene) {
    admit_k(scene, "a").await;
    assert_eq!(claim_k(scene, "b").await, taken_by("a"));
    assert_eq!(scene.state("b").await, None);
    scene.admit_all(&["b"]).await;
}

/// Clause 9. Behaviour 21.
pub(crate) async fn a_dead_task_frees_its_key(scene: &Scene) {
    admit_k(scene, "a").await;
    let lease = scene.take("a").await;
    scene.end(&lease, bury("boom"), State::Dead).await;
    assert_eq!(claim_k(scene, "b").await, Admission::Admitted);
}

/// Clause 9. Behaviour 21.
pub(crate) async fn a_dead_task_keeps_its_key_when_asked(scene: &Scene) {
    let keep = KeyClaim {
        on_failure: KeyFate::Keep,
        ..claim("k", MINUTE)
    };
    scene.admit(scene.keyed("a", keep)).await;
    let lease = scene.take("a").await;
    scene.end(&lease, bury("boom"), State::Dead).await;
    assert_eq!(claim_k(scene, "b").await, taken_by("a"));
    scene.advance(MINUTE);
    assert_eq!(claim_k(scene, "b").await, Admission::Admitted);
}

/// Clause 9. Behaviour 22.
pub(crate) async fn a_key_outlives_a_long_run(scene: &Scene) {
    admit_k(scene, "a").await;
    let lease = scene.take("a").await;
    for _ in 0..20 {
        scene.advance(TTL - seconds(1));
        scene.renew(&lease, TTL).await;
    }
    assert_eq!(claim_k(scene, "b").await, taken_by("a"));
    scene.end(&lease, ack(), State::Completed).await;
    assert_eq!(claim_k(scene, "b").await, Admission::Admitted);
}

/// Clause 9. Behaviour 22.
pub(crate) async fn a_key_outlives_the_wait_for_a_retry(scene: &Scene) {
    admit_k(scene, "a").await;
    let lease = scene.take("a").await;
    let at = scene.after(MINUTE * 10);
    scene.end(&lease, retry(at, "boom"), State::Retry).await;
    scene.advance(MINUTE * 9);
    assert_eq!(claim_k(scene, "b").await, taken_by("a"));
}

/// Clause 9. Behaviour 22.
pub(crate) async fn a_lapsed_key_is_live_again_while_its_task_runs(scene: &Scene) {
    admit_k(scene, "a").await;
    scene.advance(MINUTE * 2);
    let lease = scene.take("a").await;
    assert_eq!(claim_k(scene, "b").await, taken_by("a"));
    scene.end(&lease, ack(), State::Completed).await;
    assert_eq!(claim_k(scene, "b").await, Admission::Admitted);
}

/// Clause 9. Behaviour 23.
pub(crate) async fn another_kind_or_queue_makes_another_key(scene: &Scene) {
    admit_k(scene, "a").await;
    let mut other_kind = scene.keyed("b", claim("k", MINUTE));
    other_kind.kind = kind("other.kind");
    scene.admit(other_kind).await;
    let mut other_queue = scene.keyed("c", claim("k", MINUTE));
    other_queue.queue = queue("other");
    scene.admit(other_queue).await;
    scene.admit(scene.keyed("d", claim("K", MINUTE))).await;
}

/// Clause 9. Behaviour 24.
pub(crate) async fn a_delayed_task_holds_its_key_until_due_plus_time_to_live(scene: &Scene) {
    let mut delayed = scene.delayed("a", MINUTE);
    delayed.key = Some(claim("k", MINUTE));
    scene.admit(delayed).await;
    scene.advance(MINUTE * 2 - millis(1));
    assert_eq!(claim_k(scene, "b").await, taken_by("a"));
    scene.advance(millis(1));
    assert_eq!(claim_k(scene, "b").await, Admission::Admitted);
}

/// Clause 9. Behaviour 12.
pub(crate) async fn a_conflict_inside_a_batch_is_reported_as_one(scene: &Scene) {
    let batch = vec![
        scene.keyed("a", claim("k", MINUTE)),
        scene.keyed("b", claim("k", MINUTE)),
        scene.task("c"),
        scene.task("c"),
        scene.keyed("a", claim("other", MINUTE)),
        scene.keyed("d", claim("other", MINUTE)),
    ];
    assert_eq!(
        scene.enqueue(batch).await,
        [
            Admission::Admitted,
            taken_by("a"),
            Admission::Admitted,
            Admission::IdConflict,
            Admission::IdConflict,
            Admission::Admitted,
        ]
    );
    assert_eq!(ids(&scene.ready(10).await), ["a", "c", "d"]);
}

/// Clause 9.
pub(crate) async fn a_replay_claims_its_key_again(scene: &Scene) {
    admit_k(scene, "a").await;
    let lease = scene.take("a").await;
    scene.end(&lease, bury("boom"), State::Dead).await;
    scene.advance(MINUTE * 5);
    let replay = Change::Replay(Replay::default());
    let back = Changed::Done {
        from: State::Dead,
        to: Some(State::Pending),
    };
    assert_eq!(scene.change("a", replay).await, back);
    assert_eq!(claim_k(scene, "b").await, taken_by("a"));
    scene.advance(MINUTE - millis(1));
    assert_eq!(claim_k(scene, "b").await, taken_by("a"));
    scene.advance(millis(1));
    assert_eq!(claim_k(scene, "b").await, Admission::Admitted);
}

/// Clause 9.
pub(crate) async fn a_replay_is_refused_while_another_task_holds_its_key(scene: &Scene) {
    admit_k(scene, "a").await;
    let lease = scene.take("a").await;
    scene.end(&lease, bury("boom"), State::Dead).await;
    admit_k(scene, "b").await;
    let replay = Change::Replay(Replay::default());
    assert_eq!(scene.change("a", replay.clone()).await, Changed::KeyTaken);
    assert_eq!(scene.state("a").await, Some(State::Dead));
    let lease = scene.take("b").await;
    assert_eq!(
        scene.settle(&lease, ack()).await,
        Settled::Done(State::Completed)
    );
    assert!(matches!(
        scene.change("a", replay).await,
        Changed::Done { .. }
    ));
}

/// Clause 9.
pub(crate) async fn tasks_are_found_by_their_key(scene: &Scene) {
    admit_k(scene, "a").await;
    scene.admit(scene.keyed("b", claim("other", MINUTE))).await;
    let filter = TaskFilter {
        key: Some(key("k")),
        ..TaskFilter::default()
    };
    assert_eq!(scene.listed(&filter).await, ["a"]);
}
