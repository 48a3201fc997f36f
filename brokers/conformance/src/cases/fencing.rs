//! Clause 4: a stale token changes nothing.

use tidemill_shared::{
    BuryReason, Change, ErrorKind, Lease, Payload, ReleaseCause, Renewal, Settled, State,
};

use crate::scene::{Scene, TTL, id, seconds};
use crate::verdicts::{ack, ack_with, bury, bury_for, release, retry, snooze};

async fn is_stale(scene: &Scene, lease: &Lease) {
    let later = scene.after(seconds(5));
    for verdict in [
        ack(),
        ack_with("late"),
        retry(later, "late"),
        bury("late"),
        bury_for(BuryReason::Rejected, "late"),
        release(ReleaseCause::Shutdown),
        snooze(later),
    ] {
        assert_eq!(
            scene.settle(lease, verdict.clone()).await,
            Settled::Stale,
            "{verdict:?}"
        );
    }
    assert_eq!(scene.renew(lease, TTL).await, Renewal::Lost);
}

/// Clause 4. Behaviour 49.
pub(crate) async fn a_stale_token_changes_nothing(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    let old = scene.take("a").await;
    scene.crash().await;
    is_stale(scene, &old).await;
    let new = scene.take("a").await;
    is_stale(scene, &old).await;
    assert_eq!(
        scene.renew(&new, TTL).await,
        Renewal::Held(scene.after(TTL))
    );
    scene.end(&new, ack(), State::Completed).await;
}

/// Clause 4.
pub(crate) async fn a_stale_token_leaves_the_record_as_it_is(scene: &Scene) {
    let old = scene.put_active("a").await;
    scene.crash().await;
    let new = scene.take("a").await;
    is_stale(scene, &old).await;
    let record = scene.record("a").await;
    assert_eq!(record.state, State::Active);
    assert_eq!((record.failures, record.crashes), (0, 1));
    assert_eq!(record.result, None);
    assert_eq!(scene.attempts("a").await.len(), 1);
    scene.end(&new, ack(), State::Completed).await;
}

/// Clause 4.
pub(crate) async fn settling_twice_is_stale(scene: &Scene) {
    scene.admit_all(&["acked", "retried"]).await;
    let leases = scene.ready(2).await;
    scene.end(&leases[0], ack(), State::Completed).await;
    is_stale(scene, &leases[0]).await;
    let later = retry(scene.after(seconds(5)), "boom");
    scene.end(&leases[1], later, State::Retry).await;
    is_stale(scene, &leases[1]).await;
}

/// Clause 4.
pub(crate) async fn a_token_with_another_fence_is_stale(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    let lease = scene.take("a").await;
    for fence in [0, lease.token.fence + 1, u64::MAX] {
        let mut forged = lease.clone();
        forged.token.fence = fence;
        is_stale(scene, &forged).await;
    }
    scene.end(&lease, ack(), State::Completed).await;
}

/// Clause 4.
pub(crate) async fn a_token_of_a_task_that_is_gone_is_stale(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    let mut lease = scene.take("a").await;
    scene.end(&lease, ack(), State::Completed).await;
    // The id may be used again; the old token must not fit the new task.
    scene.admit_all(&["a", "b"]).await;
    is_stale(scene, &lease).await;
    let next = scene.take("a").await;
    assert_eq!(next.token.task, id("a"));
    lease.token.task = id("nobody");
    is_stale(scene, &lease).await;
}

/// Clause 4.
pub(crate) async fn a_lapsed_lease_that_nobody_took_back_is_still_held(scene: &Scene) {
    scene.admit_all(&["a", "b"]).await;
    let leases = scene.ready(2).await;
    scene.advance(TTL * 3);
    assert_eq!(
        scene.renew(&leases[0], TTL).await,
        Renewal::Held(scene.after(TTL))
    );
    scene.end(&leases[1], ack(), State::Completed).await;
    assert_eq!(scene.sweep().await.reclaimed, []);
    scene.end(&leases[0], ack(), State::Completed).await;
}

/// Clause 4.
pub(crate) async fn progress_under_a_stale_token_is_fenced(scene: &Scene) {
    let old = scene.put_active("a").await;
    scene.crash().await;
    scene.take("a").await;
    let late = Payload::bytes(*b"late");
    let refused = scene.inspect().report(&old.token, &late).await;
    assert_eq!(refused.expect_err("it is stale").kind(), ErrorKind::Fenced);
    assert_eq!(scene.record("a").await.progress, None);
}

/// Clause 4.
pub(crate) async fn the_token_of_a_replayed_task_is_stale(scene: &Scene) {
    let old = scene.put_active("a").await;
    scene.end(&old, bury("boom"), State::Dead).await;
    scene.change("a", Change::Replay(Default::default())).await;
    is_stale(scene, &old).await;
    let new = scene.take("a").await;
    is_stale(scene, &old).await;
    assert!(
        new.token.fence > old.token.fence,
        "the fence goes on growing"
    );
}
