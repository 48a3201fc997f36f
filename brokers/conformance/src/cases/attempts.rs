//! Clause 5: attempts count runs; a crash, a release and a failure are counted apart.

use tidemill_shared::{AttemptOutcome, Change, ReleaseCause, Replay, State, Verdict};

use crate::scene::{Scene, TTL, WORKER, millis, seconds, worker};
use crate::verdicts::{ack, bury, release, retry, snooze};

/// Clause 5. Behaviour 48.
pub(crate) async fn a_crash_is_not_counted_as_a_failure(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    scene.take("a").await;
    scene.crash().await;
    let lease = scene.take("a").await;
    assert_eq!((lease.attempt, lease.failures, lease.crashes), (2, 0, 1));
}

/// Clause 5.
pub(crate) async fn a_failure_is_not_counted_as_a_crash(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    let lease = scene.take("a").await;
    let later = retry(scene.after(seconds(1)), "boom");
    scene.end(&lease, later, State::Retry).await;
    scene.advance(seconds(1));
    let lease = scene.take("a").await;
    assert_eq!((lease.attempt, lease.failures, lease.crashes), (2, 1, 0));
}

/// Clause 5. Behaviour 53.
pub(crate) async fn a_release_is_not_counted(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    for cause in [
        ReleaseCause::Shutdown,
        ReleaseCause::NotStarted,
        ReleaseCause::Snooze,
    ] {
        let lease = scene.take("a").await;
        assert_eq!((lease.attempt, lease.failures, lease.crashes), (1, 0, 0));
        assert_eq!(lease.unknown_kind_releases, 0);
        scene.end(&lease, release(cause), State::Pending).await;
    }
}

/// Clause 5. Behaviour 38.
pub(crate) async fn a_snooze_is_not_counted(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    let lease = scene.take("a").await;
    let later = snooze(scene.after(seconds(30)));
    scene.end(&lease, later, State::Scheduled).await;
    scene.advance(seconds(30) - millis(1));
    scene.nothing_ready().await;
    scene.advance(millis(1));
    let lease = scene.take("a").await;
    assert_eq!((lease.attempt, lease.failures, lease.crashes), (1, 0, 0));
}

/// Clause 5. Behaviour 31.
pub(crate) async fn releases_for_an_unknown_kind_are_counted_apart(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    for releases in 0..3 {
        let lease = scene.take("a").await;
        assert_eq!(lease.unknown_kind_releases, releases);
        assert_eq!((lease.attempt, lease.failures), (1, 0));
        let verdict = Verdict::Release {
            at: Some(scene.after(seconds(1))),
            cause: ReleaseCause::UnknownKind,
        };
        scene.end(&lease, verdict, State::Scheduled).await;
        scene.advance(seconds(1));
    }
}

/// Clause 5. Behaviour 36.
pub(crate) async fn every_attempt_is_kept_with_its_end(scene: &Scene) {
    let first = scene.put_active("a").await;
    let failed_at = scene.now();
    scene
        .end(&first, retry(scene.after(seconds(1)), "boom"), State::Retry)
        .await;
    scene.advance(seconds(1));
    scene.take("a").await;
    scene.crash().await;
    let released = scene.take("a").await;
    scene
        .end(&released, release(ReleaseCause::Shutdown), State::Pending)
        .await;
    let last = scene.take("a").await;
    scene.advance(seconds(2));
    scene.end(&last, bury("enough"), State::Dead).await;

    let attempts = scene.attempts("a").await;
    let seen: Vec<_> = attempts.iter().map(|a| (a.attempt, a.outcome)).collect();
    assert_eq!(
        seen,
        [
            (1, AttemptOutcome::Failed),
            (2, AttemptOutcome::Crashed),
            (3, AttemptOutcome::Released),
            (3, AttemptOutcome::Buried),
        ]
    );
    assert!(attempts.iter().all(|a| a.worker == worker(WORKER)));
    assert_eq!(attempts[0].started_at, Some(failed_at));
    assert_eq!(attempts[0].finished_at, failed_at);
    assert_eq!(attempts[3].finished_at, scene.now());
    let messages: Vec<_> = attempts.iter().map(|a| a.failure.as_ref()).collect();
    assert_eq!(messages[0].expect("a failure").message, "boom");
    assert_eq!(messages[1].expect("a failure").class, "crash");
    assert_eq!(messages[2], None);
    assert_eq!(messages[3].expect("a failure").message, "enough");
}

/// Clause 5.
pub(crate) async fn a_run_that_never_started_leaves_no_attempt(scene: &Scene) {
    let lease = scene.put_active("a").await;
    let settlement = tidemill_shared::Settlement {
        token: lease.token,
        started_at: None,
        verdict: release(ReleaseCause::NotStarted),
    };
    scene.settle_all(vec![settlement]).await;
    assert_eq!(scene.attempts("a").await, []);
}

/// Clause 5.
pub(crate) async fn the_latest_hundred_attempts_are_kept(scene: &Scene) {
    let mut envelope = scene.kept("a");
    envelope.retry.max_attempts = 1_000;
    scene.admit(envelope).await;
    for n in 1..=105 {
        let lease = scene.take("a").await;
        let again = retry(scene.after(millis(1)), &format!("failure {n}"));
        assert!(matches!(
            scene.settle(&lease, again).await,
            tidemill_shared::Settled::Done(State::Retry)
        ));
        scene.advance(millis(1));
    }
    let attempts = scene.attempts("a").await;
    let numbers: Vec<_> = attempts.iter().map(|a| a.attempt).collect();
    assert_eq!(numbers, (6..=105).collect::<Vec<_>>());
}

/// Clause 5.
pub(crate) async fn a_success_is_kept_among_the_attempts(scene: &Scene) {
    let lease = scene.put_active("a").await;
    scene.end(&lease, ack(), State::Completed).await;
    let attempts = scene.attempts("a").await;
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].outcome, AttemptOutcome::Succeeded);
    assert_eq!(attempts[0].failure, None);
    let replay = Change::Replay(Replay::default());
    scene.change("a", replay).await;
    assert_eq!(
        scene.attempts("a").await.len(),
        1,
        "a replay keeps the history"
    );
}

/// Clause 5.
pub(crate) async fn a_record_shows_who_runs_it_and_which_run_it_is(scene: &Scene) {
    scene.put("a", State::Pending).await;
    let record = scene.record("a").await;
    assert_eq!((record.attempt, record.worker), (0, None));
    scene.take("a").await;
    let record = scene.record("a").await;
    assert_eq!(record.attempt, 1);
    assert_eq!(record.worker, Some(worker(WORKER)));
    scene.advance(TTL + millis(1));
    scene.sweep().await;
    scene.take("a").await;
    assert_eq!(scene.record("a").await.attempt, 2);
}
