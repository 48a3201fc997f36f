//! What becomes of a task when its run ends.

use tidemill_shared::ledger::{LogLine, LogStream};
use tidemill_shared::{AttemptOutcome, Change, Changed, Payload, Renewal, Settled, State};

use crate::scene::{QUEUE, RETENTION, Scene, TTL, id, millis, seconds};
use crate::verdicts::{ack, ack_with, bury, release, retry, snooze};

/// Behaviour 33.
pub(crate) async fn success_removes_a_task_that_is_not_kept(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    let lease = scene.take("a").await;
    scene.end(&lease, ack_with("lost"), State::Completed).await;
    assert_eq!(scene.state("a").await, None);
    assert_eq!(scene.attempts("a").await, []);
    let stats = scene.stats(QUEUE).await;
    assert_eq!((stats.succeeded_total, stats.completed), (1, 0));
    assert_eq!((stats.active, stats.pending), (0, 0));
}

/// Behaviour 33.
pub(crate) async fn success_keeps_a_task_that_is_to_be_kept(scene: &Scene) {
    let lease = scene.put_active("a").await;
    scene.advance(seconds(3));
    scene.end(&lease, ack(), State::Completed).await;
    let record = scene.record("a").await;
    assert_eq!(record.state, State::Completed);
    assert_eq!(record.finished_at, Some(scene.now()));
    let stats = scene.stats(QUEUE).await;
    assert_eq!((stats.succeeded_total, stats.completed), (1, 1));
}

fn line(scene: &Scene, text: &str) -> LogLine {
    LogLine {
        at: scene.now(),
        attempt: 1,
        stream: LogStream::Stdout,
        text: text.into(),
    }
}

/// Behaviour 34.
pub(crate) async fn retention_keeps_result_and_log_until_it_ends(scene: &Scene) {
    let lease = scene.put_active("a").await;
    let lines = vec![line(scene, "hello")];
    let appended = scene.ledger.append_log(&id("a"), lines).await;
    appended.expect("a log takes lines");
    scene.end(&lease, ack_with("42"), State::Completed).await;
    scene.advance(RETENTION - millis(1));
    scene.sweep().await;
    let result = scene.record("a").await.result.expect("a result");
    assert_eq!(result, Payload::bytes(*b"42"));
    let log = scene.ledger.read_log(&id("a"), None, 10).await;
    assert_eq!(log.expect("a log").lines.len(), 1);

    scene.advance(millis(1));
    assert_eq!(scene.sweep().await.pruned, 1);
    assert_eq!(scene.state("a").await, None);
    assert_eq!(scene.attempts("a").await, []);
    let log = scene.ledger.read_log(&id("a"), None, 10).await;
    assert_eq!(log.expect("an empty log").lines, []);
    assert_eq!(scene.stats(QUEUE).await.completed, 0);
}

/// Behaviour 44.
pub(crate) async fn a_cancelled_task_that_waits_never_runs(scene: &Scene) {
    for state in [State::Scheduled, State::Pending, State::Retry] {
        scene.put(state.as_str(), state).await;
        let done = Changed::Done {
            from: state,
            to: Some(State::Cancelled),
        };
        assert_eq!(scene.change(state.as_str(), Change::Cancel).await, done);
        scene.advance(seconds(601));
        scene.nothing_ready().await;
        let record = scene.record(state.as_str()).await;
        assert_eq!(record.state, State::Cancelled);
        assert!(record.finished_at.is_some(), "{state}");
    }
    assert_eq!(scene.stats(QUEUE).await.cancelled, 3);
}

/// Behaviour 44.
pub(crate) async fn the_cancellation_of_a_run_reaches_it_alone(scene: &Scene) {
    scene.admit(scene.kept("other")).await;
    let other = scene.take("other").await;
    let lease = scene.put_active("a").await;
    let asked = Changed::Done {
        from: State::Active,
        to: Some(State::Active),
    };
    assert_eq!(scene.change("a", Change::Cancel).await, asked);
    assert!(scene.record("a").await.cancel_requested);
    assert!(!scene.record("other").await.cancel_requested);
    let until = scene.after(TTL);
    assert_eq!(scene.renew(&lease, TTL).await, Renewal::Cancelled(until));
    assert_eq!(scene.renew(&other, TTL).await, Renewal::Held(until));
}

/// Behaviour 44.
pub(crate) async fn a_cancellation_is_final_whatever_the_run_says(scene: &Scene) {
    let later = scene.after(seconds(5));
    let verdicts = [
        retry(later, "stopped"),
        bury("stopped"),
        release(tidemill_shared::ReleaseCause::Shutdown),
        snooze(later),
    ];
    for (n, verdict) in verdicts.into_iter().enumerate() {
        let task = format!("t{n}");
        let lease = scene.put_active(&task).await;
        scene.change(&task, Change::Cancel).await;
        scene.end(&lease, verdict, State::Cancelled).await;
        assert_eq!(scene.state(&task).await, Some(State::Cancelled));
        let attempts = scene.attempts(&task).await;
        assert_eq!(attempts[0].outcome, AttemptOutcome::Cancelled);
    }
    scene.advance(seconds(60));
    scene.sweep().await;
    scene.nothing_ready().await;
}

/// Behaviour 44.
pub(crate) async fn a_run_that_succeeds_before_it_hears_of_its_cancellation_counts(scene: &Scene) {
    let lease = scene.put_active("a").await;
    scene.change("a", Change::Cancel).await;
    scene.end(&lease, ack(), State::Completed).await;
    assert_eq!(scene.state("a").await, Some(State::Completed));
}

/// Behaviour 44.
pub(crate) async fn a_cancelled_run_that_crashes_is_cancelled(scene: &Scene) {
    let lease = scene.put_active("a").await;
    scene.change("a", Change::Cancel).await;
    scene.crash().await;
    assert_eq!(scene.state("a").await, Some(State::Cancelled));
    assert_eq!(scene.settle(&lease, ack()).await, Settled::Stale);
    scene.nothing_ready().await;
}

/// Behaviour 44.
pub(crate) async fn a_cancelled_task_is_kept_for_its_retention(scene: &Scene) {
    scene.put("a", State::Cancelled).await;
    scene.advance(RETENTION - millis(1));
    scene.sweep().await;
    assert_eq!(scene.state("a").await, Some(State::Cancelled));
    scene.advance(millis(1));
    scene.sweep().await;
    assert_eq!(scene.state("a").await, None);
    scene.admit_all(&["b"]).await;
    scene.change("b", Change::Cancel).await;
    assert_eq!(scene.state("b").await, None, "it was not to be kept");
}

/// Behaviour 45.
pub(crate) async fn progress_and_result_can_be_read(scene: &Scene) {
    let lease = scene.put_active("a").await;
    for percent in ["10", "20"] {
        let progress = Payload::new(tidemill_shared::ContentType::json(), percent.as_bytes());
        let reported = scene.inspect().report(&lease.token, &progress).await;
        reported.expect("a live lease may report");
        assert_eq!(scene.record("a").await.progress, Some(progress));
    }
    scene.end(&lease, ack_with("done"), State::Completed).await;
    let record = scene.record("a").await;
    assert_eq!(record.result, Some(Payload::bytes(*b"done")));
    assert_eq!(record.progress.expect("the last").as_bytes(), b"20");
}
