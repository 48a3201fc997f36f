//! Clause 6: a retry ends the lease and schedules the same id in one step.

use tidemill_shared::{Admission, AttemptOutcome, BuryReason, FailureRecord, State};

use crate::scene::{QUEUE, Scene, millis, seconds};
use crate::verdicts::{ack, bury, bury_for, retry};

/// Clause 6. Behaviour 35.
pub(crate) async fn a_failed_task_runs_again_at_the_time_that_was_given(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    let lease = scene.take("a").await;
    let at = scene.after(seconds(30));
    scene.end(&lease, retry(at, "boom"), State::Retry).await;
    scene.advance(seconds(30) - millis(1));
    scene.nothing_ready().await;
    scene.advance(millis(1));
    let lease = scene.take("a").await;
    assert_eq!((lease.attempt, lease.failures), (2, 1));
    assert_eq!(lease.ready_at, at);
}

/// Clause 6. Behaviour 35.
pub(crate) async fn a_failure_is_kept_with_its_task(scene: &Scene) {
    let lease = scene.put_active("a").await;
    let at = scene.after(seconds(30));
    scene.end(&lease, retry(at, "boom"), State::Retry).await;
    let record = scene.record("a").await;
    assert_eq!(record.error, Some(FailureRecord::new("error", "boom")));
    assert_eq!(record.due_at, at);
    assert_eq!((record.failures, record.attempt), (1, 1));
    assert_eq!(record.finished_at, None);
}

/// Clause 6.
pub(crate) async fn a_task_in_retry_keeps_its_id(scene: &Scene) {
    scene.put("a", State::Retry).await;
    let again = scene.enqueue_one(scene.task("a")).await;
    assert_eq!(again, Admission::IdConflict);
    assert_eq!(scene.state("a").await, Some(State::Retry));
}

/// Clause 6.
pub(crate) async fn a_retry_that_is_due_already_runs_at_once(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    let lease = scene.take("a").await;
    scene.settle(&lease, retry(scene.now(), "boom")).await;
    assert_eq!(scene.take("a").await.failures, 1);
}

/// Clause 6. Behaviour 36.
pub(crate) async fn the_last_failure_makes_a_dead_letter_with_its_history(scene: &Scene) {
    let lease = scene.put_active("a").await;
    scene
        .end(
            &lease,
            retry(scene.after(seconds(1)), "first"),
            State::Retry,
        )
        .await;
    scene.advance(seconds(1));
    let lease = scene.take("a").await;
    scene.end(&lease, bury("second"), State::Dead).await;
    let record = scene.record("a").await;
    assert_eq!(record.bury_reason, Some(BuryReason::AttemptsExhausted));
    assert_eq!(record.error, Some(FailureRecord::new("error", "second")));
    assert_eq!(record.finished_at, Some(scene.now()));
    assert_eq!(record.failures, 2);
    let attempts = scene.attempts("a").await;
    let outcomes: Vec<_> = attempts.iter().map(|a| a.outcome).collect();
    assert_eq!(outcomes, [AttemptOutcome::Failed, AttemptOutcome::Buried]);
    scene.nothing_ready().await;
    let stats = scene.stats(QUEUE).await;
    assert_eq!((stats.dead, stats.failed_total), (1, 2));
}

/// Clause 6. Behaviour 37.
pub(crate) async fn a_reject_buries_at_once(scene: &Scene) {
    let lease = scene.put_active("a").await;
    let verdict = bury_for(BuryReason::Rejected, "no such customer");
    scene.end(&lease, verdict, State::Dead).await;
    let record = scene.record("a").await;
    assert_eq!(record.bury_reason, Some(BuryReason::Rejected));
    assert_eq!(record.failures, 1);
    scene.nothing_ready().await;
}

/// Clause 6.
pub(crate) async fn a_dead_letter_stays_until_somebody_deals_with_it(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    let lease = scene.take("a").await;
    scene.end(&lease, bury("boom"), State::Dead).await;
    scene.advance(seconds(400 * 86_400));
    scene.sweep().await;
    assert_eq!(scene.state("a").await, Some(State::Dead));
}

/// Clause 6.
pub(crate) async fn a_success_after_failures_completes(scene: &Scene) {
    let lease = scene.put_active("a").await;
    scene
        .end(&lease, retry(scene.after(seconds(1)), "boom"), State::Retry)
        .await;
    scene.advance(seconds(1));
    let lease = scene.take("a").await;
    scene.end(&lease, ack(), State::Completed).await;
    let stats = scene.stats(QUEUE).await;
    assert_eq!((stats.succeeded_total, stats.failed_total), (1, 1));
    assert_eq!((stats.completed, stats.retry), (1, 0));
}
