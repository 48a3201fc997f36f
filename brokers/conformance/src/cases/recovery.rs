//! What becomes of tasks whose worker died, and of what cannot be read.

use tidemill_shared::{Admission, BuryReason, Change, State, TaskFilter};

use crate::scene::{QUEUE, Scene, TTL, claim, ids, millis, seconds, worker};
use crate::verdicts::{ack, retry};

/// Behaviour 47. Behaviour 48.
pub(crate) async fn an_expired_lease_is_handed_out_again(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    let first = scene.take("a").await;
    scene.advance(TTL - millis(1));
    assert_eq!(scene.sweep().await.reclaimed, []);
    scene.advance(millis(2));
    assert_eq!(scene.sweep().await.reclaimed.len(), 1);
    let mut demand = crate::scene::demand(&[(QUEUE, 1)], 1);
    demand.worker = worker("worker-2");
    let second = scene.lease(&demand).await.remove(0);
    assert_eq!(second.token.task, first.token.task);
    assert_eq!(second.token.worker, worker("worker-2"));
    assert_eq!((second.attempt, second.crashes, second.failures), (2, 1, 0));
}

/// Behaviour 47.
pub(crate) async fn a_task_that_kills_its_workers_is_buried(scene: &Scene) {
    let mut poison = scene.keyed("a", claim("k", seconds(3_600)));
    poison.retry.crash_limit = 3;
    scene.admit(poison).await;
    for crash in 1..=3 {
        scene.take("a").await;
        let swept = scene.crash().await;
        let buried = (crash == 3).then_some(BuryReason::CrashLoop);
        assert_eq!(swept.reclaimed[0].buried, buried, "crash {crash}");
        assert_eq!(swept.reclaimed[0].attempt, crash);
    }
    let record = scene.record("a").await;
    assert_eq!(record.state, State::Dead);
    assert_eq!(record.bury_reason, Some(BuryReason::CrashLoop));
    assert_eq!((record.crashes, record.failures), (3, 0));
    assert_eq!(record.finished_at, Some(scene.now()));
    assert_eq!(record.error.expect("what happened").class, "crash");
    scene.nothing_ready().await;
    let next = scene.keyed("b", claim("k", seconds(60)));
    assert_eq!(scene.enqueue_one(next).await, Admission::Admitted);
}

/// Behaviour 48.
pub(crate) async fn crashes_do_not_use_up_the_attempts(scene: &Scene) {
    let mut envelope = scene.task("a");
    envelope.retry.max_attempts = 1;
    envelope.retry.crash_limit = 10;
    scene.admit(envelope).await;
    for _ in 0..5 {
        scene.take("a").await;
        scene.crash().await;
    }
    assert_eq!(scene.take("a").await.failures, 0);
    assert_eq!(scene.stats(QUEUE).await.failed_total, 0);
}

/// Behaviour 47.
pub(crate) async fn the_leases_of_a_live_worker_stay_when_another_dies(scene: &Scene) {
    scene.admit_all(&["a", "b"]).await;
    let leases = scene.ready(2).await;
    scene.advance(TTL - seconds(1));
    scene.renew(&leases[1], TTL).await;
    scene.advance(seconds(2));
    let swept = scene.sweep().await;
    assert_eq!(swept.reclaimed.len(), 1);
    assert_eq!(swept.reclaimed[0].task.as_str(), "a");
    scene.end(&leases[1], ack(), State::Completed).await;
}

/// Behaviour 51.
pub(crate) async fn an_undecodable_task_is_set_aside_with_its_bytes(scene: &Scene) {
    scene.admit_all(&["good"]).await;
    scene.admit(scene.kept("bad")).await;
    scene.admit_all(&["better"]).await;
    scene.corrupt("bad").await;
    let mut taken = Vec::new();
    for _ in 0..3 {
        taken.extend(scene.ready(10).await);
    }
    assert_eq!(ids(&taken), ["good", "better"], "it stops nothing else");
    let record = scene.record("bad").await;
    assert_eq!(record.state, State::Dead);
    assert_eq!(record.bury_reason, Some(BuryReason::Undecodable));
    let payload = &record.envelope.payload;
    assert_eq!(payload.as_bytes(), b"not an envelope");
    assert_eq!(payload.content_type().as_str(), "application/octet-stream");
    assert_eq!(record.envelope.queue.as_str(), QUEUE);
    let stats = scene.stats(QUEUE).await;
    assert_eq!((stats.dead, stats.pending, stats.active), (1, 0, 2));
    let dead = TaskFilter {
        states: vec![State::Dead],
        ..TaskFilter::default()
    };
    assert_eq!(scene.listed(&dead).await, ["bad"]);
    scene.change("bad", Change::Delete).await;
    assert_eq!(scene.state("bad").await, None);
}

/// Behaviour 52.
pub(crate) async fn nothing_stays_active_without_a_live_lease(scene: &Scene) {
    for n in 0..20 {
        scene.put_active(&format!("t{n}")).await;
    }
    scene.change("t3", Change::Cancel).await;
    scene.crash().await;
    let active = TaskFilter {
        states: vec![State::Active],
        ..TaskFilter::default()
    };
    assert_eq!(scene.listed(&active).await, [""; 0]);
    let stats = scene.stats(QUEUE).await;
    assert_eq!((stats.active, stats.pending, stats.cancelled), (0, 19, 1));
}

/// Behaviour 48.
pub(crate) async fn one_crash_costs_one_extra_run(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    scene.take("a").await;
    scene.crash().await;
    scene.sweep().await;
    let lease = scene.take("a").await;
    scene.nothing_ready().await;
    let at = scene.after(seconds(1));
    scene.end(&lease, retry(at, "boom"), State::Retry).await;
    scene.advance(seconds(1));
    let lease = scene.take("a").await;
    assert_eq!((lease.attempt, lease.failures, lease.crashes), (3, 1, 1));
}
