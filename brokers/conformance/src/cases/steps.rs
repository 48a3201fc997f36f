//! Results of a run's steps, and markers of completed runs.

use std::time::Duration;

use tidemill_shared::ledger::StepClaim;
use tidemill_shared::{Lease, Payload, State};

use crate::scene::{Scene, id, millis, seconds};
use crate::verdicts::ack;

const KEEP: Duration = Duration::from_secs(3_600);

async fn claim(scene: &Scene, lease: &Lease, step: &str) -> StepClaim {
    let claim = scene.ledger.claim_step(&lease.token, step).await;
    claim.expect("claim_step answers")
}

async fn commit(scene: &Scene, lease: &Lease, step: &str, result: &str) -> bool {
    let result = Payload::bytes(result.as_bytes());
    let done = scene
        .ledger
        .commit_step(&lease.token, step, &result, KEEP)
        .await;
    done.expect("commit_step answers")
}

fn finished(text: &str) -> StepClaim {
    StepClaim::Finished(Payload::bytes(text.as_bytes()))
}

/// A finished step is not run again.
pub(crate) async fn a_committed_step_is_not_run_again(scene: &Scene) {
    let first = scene.put_active("a").await;
    assert_eq!(claim(scene, &first, "charge").await, StepClaim::Run);
    assert!(commit(scene, &first, "charge", "receipt 7").await);
    assert_eq!(claim(scene, &first, "charge").await, finished("receipt 7"));
    assert_eq!(claim(scene, &first, "mail").await, StepClaim::Run);
    scene.crash().await;
    let second = scene.take("a").await;
    assert_eq!(claim(scene, &second, "charge").await, finished("receipt 7"));
    assert_eq!(claim(scene, &second, "mail").await, StepClaim::Run);
}

/// A step that was claimed and not finished is taken over by the next run.
pub(crate) async fn an_unfinished_step_is_taken_over(scene: &Scene) {
    let first = scene.put_active("a").await;
    assert_eq!(claim(scene, &first, "charge").await, StepClaim::Run);
    scene.crash().await;
    let second = scene.take("a").await;
    assert_eq!(claim(scene, &second, "charge").await, StepClaim::Run);
    assert!(commit(scene, &second, "charge", "second").await);
    assert_eq!(claim(scene, &second, "charge").await, finished("second"));
}

/// A commit whose answer was lost can be sent again.
pub(crate) async fn a_commit_can_be_repeated(scene: &Scene) {
    let lease = scene.put_active("a").await;
    assert_eq!(claim(scene, &lease, "charge").await, StepClaim::Run);
    assert!(commit(scene, &lease, "charge", "receipt 7").await);
    assert!(commit(scene, &lease, "charge", "receipt 7").await);
    assert_eq!(claim(scene, &lease, "charge").await, finished("receipt 7"));
}

/// Behaviour 49. Steps go with their task, and a run that was overtaken must not repeat them.
pub(crate) async fn a_run_that_was_overtaken_finds_its_steps_closed(scene: &Scene) {
    let first = scene.put_active("a").await;
    scene.crash().await;
    let second = scene.take("a").await;
    assert_eq!(claim(scene, &first, "charge").await, StepClaim::Fenced);
    assert_eq!(claim(scene, &second, "charge").await, StepClaim::Run);
    assert!(commit(scene, &second, "charge", "receipt 7").await);
    scene.settle(&second, ack()).await;
    assert_eq!(claim(scene, &first, "charge").await, StepClaim::Fenced);
    assert_eq!(claim(scene, &first, "mail").await, StepClaim::Fenced);
}

/// Behaviour 49.
pub(crate) async fn a_stale_run_cannot_claim_or_commit_a_step(scene: &Scene) {
    let first = scene.put_active("a").await;
    assert_eq!(claim(scene, &first, "charge").await, StepClaim::Run);
    scene.crash().await;
    let second = scene.take("a").await;
    assert_eq!(claim(scene, &second, "charge").await, StepClaim::Run);
    assert_eq!(claim(scene, &first, "charge").await, StepClaim::Fenced);
    assert!(!commit(scene, &first, "charge", "stale").await);
    let abandoned = scene.ledger.abandon_step(&first.token, "charge").await;
    abandoned.expect("abandon_step answers");
    assert!(commit(scene, &second, "charge", "second").await);
    assert!(!commit(scene, &first, "charge", "stale").await);
    assert_eq!(claim(scene, &second, "charge").await, finished("second"));
}

/// An abandoned step runs again.
pub(crate) async fn an_abandoned_step_can_be_claimed_again(scene: &Scene) {
    let lease = scene.put_active("a").await;
    assert_eq!(claim(scene, &lease, "charge").await, StepClaim::Run);
    let abandoned = scene.ledger.abandon_step(&lease.token, "charge").await;
    abandoned.expect("abandon_step answers");
    assert_eq!(claim(scene, &lease, "charge").await, StepClaim::Run);
    assert!(commit(scene, &lease, "charge", "at last").await);
}

/// The steps of one task are nobody else's.
pub(crate) async fn steps_belong_to_their_task(scene: &Scene) {
    let first = scene.put_active("a").await;
    let other = scene.put_active("b").await;
    assert_eq!(claim(scene, &first, "charge").await, StepClaim::Run);
    assert!(commit(scene, &first, "charge", "a's").await);
    assert_eq!(claim(scene, &other, "charge").await, StepClaim::Run);
}

/// The result of a step is kept for as long as was said.
pub(crate) async fn a_step_is_forgotten_after_its_time(scene: &Scene) {
    let lease = scene.put_active("a").await;
    claim(scene, &lease, "charge").await;
    assert!(commit(scene, &lease, "charge", "receipt").await);
    scene.renew(&lease, KEEP * 2).await;
    scene.advance(KEEP - millis(1));
    assert_eq!(claim(scene, &lease, "charge").await, finished("receipt"));
    scene.advance(millis(1));
    assert_eq!(claim(scene, &lease, "charge").await, StepClaim::Run);
}

/// The steps of a task go with it.
pub(crate) async fn steps_are_gone_with_their_task(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    let lease = scene.take("a").await;
    claim(scene, &lease, "charge").await;
    assert!(commit(scene, &lease, "charge", "receipt").await);
    scene.end(&lease, ack(), State::Completed).await;
    scene.admit_all(&["a"]).await;
    let lease = scene.take("a").await;
    assert_eq!(claim(scene, &lease, "charge").await, StepClaim::Run);
}

/// A marker of a completed run lasts for its window, also without the task.
pub(crate) async fn a_completion_is_remembered_for_its_window(scene: &Scene) {
    let ledger = &scene.ledger;
    let task = id("a");
    assert!(!ledger.is_completed(&task).await.expect("an answer"));
    ledger
        .mark_completed(&task, seconds(60))
        .await
        .expect("marked");
    scene.advance(seconds(60) - millis(1));
    assert!(ledger.is_completed(&task).await.expect("an answer"));
    assert!(!ledger.is_completed(&id("b")).await.expect("an answer"));
    scene.advance(millis(1));
    assert!(!ledger.is_completed(&task).await.expect("an answer"));
}

/// A marker can be taken back, so that a replay runs.
pub(crate) async fn a_completion_can_be_forgotten(scene: &Scene) {
    let ledger = &scene.ledger;
    let task = id("a");
    ledger
        .mark_completed(&task, seconds(60))
        .await
        .expect("marked");
    ledger.forget_completed(&task).await.expect("forgotten");
    assert!(!ledger.is_completed(&task).await.expect("an answer"));
}
