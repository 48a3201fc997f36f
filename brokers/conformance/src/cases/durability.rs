//! Clause 2: `Ok` means durable.

use tidemill_shared::{Change, Settled, State};

use crate::planning::{PRODUCER, schedule};
use crate::scene::{QUEUE, Scene, TTL, claim, id, ids, seconds};
use crate::verdicts::{ack, ack_with, retry};

/// Clause 2.
pub(crate) async fn what_was_acknowledged_is_there_after_a_crash(scene: &mut Scene) {
    scene.put_one_of_each().await;
    let before = scene.stats(QUEUE).await;
    scene.reopen().await;
    for state in State::ALL {
        assert_eq!(scene.state(state.as_str()).await, Some(state));
    }
    assert_eq!(scene.stats(QUEUE).await, before);
    let lease = scene.take("pending").await;
    assert_eq!(lease.envelope.id, id("pending"));
}

/// Clause 2.
pub(crate) async fn a_lease_outlives_the_process_of_the_broker(scene: &mut Scene) {
    let lease = scene.put_active("a").await;
    scene.reopen().await;
    scene.nothing_ready().await;
    scene.end(&lease, ack(), State::Completed).await;
}

/// Clause 2.
pub(crate) async fn a_settlement_is_there_after_a_crash(scene: &mut Scene) {
    let lease = scene.put_active("done").await;
    scene.end(&lease, ack_with("42"), State::Completed).await;
    let failed = scene.put_active("failed").await;
    let again = retry(scene.after(seconds(5)), "boom");
    scene.end(&failed, again, State::Retry).await;
    scene.reopen().await;
    assert_eq!(scene.settle(&lease, ack()).await, Settled::Stale);
    let record = scene.record("done").await;
    assert_eq!(record.result.expect("a result").as_bytes(), b"42");
    scene.advance(seconds(5));
    assert_eq!(scene.take("failed").await.failures, 1);
}

/// Clause 2. Clause 3.
pub(crate) async fn a_lease_that_lapsed_during_a_crash_is_taken_back(scene: &mut Scene) {
    scene.put_active("a").await;
    scene.reopen().await;
    scene.advance(TTL + seconds(1));
    assert_eq!(scene.sweep().await.reclaimed.len(), 1);
    assert_eq!(scene.take("a").await.crashes, 1);
}

/// Clause 2. Clause 9.
pub(crate) async fn a_key_is_still_taken_after_a_crash(scene: &mut Scene) {
    scene.admit(scene.keyed("a", claim("k", seconds(60)))).await;
    scene.reopen().await;
    let again = scene
        .enqueue_one(scene.keyed("b", claim("k", seconds(60))))
        .await;
    assert_eq!(again, tidemill_shared::Admission::Duplicate(id("a")));
}

/// Clause 2.
pub(crate) async fn what_an_operator_did_is_there_after_a_crash(scene: &mut Scene) {
    scene.put("a", State::Pending).await;
    scene.change("a", Change::Cancel).await;
    let queue = crate::scene::queue(QUEUE);
    let inspect = scene.inspect();
    inspect.pause(&queue, Some("deploy")).await.expect("paused");
    inspect.set_limit(&queue, Some(7)).await.expect("limited");
    scene.reopen().await;
    assert_eq!(scene.state("a").await, Some(State::Cancelled));
    let stats = scene.stats(QUEUE).await;
    assert_eq!(stats.pause_reason.as_deref(), Some("deploy"));
    assert_eq!((stats.paused, stats.limit), (true, Some(7)));
}

/// Clause 2.
pub(crate) async fn schedules_and_fires_are_there_after_a_crash(scene: &mut Scene) {
    let plan = scene.plan(schedule("backup")).await;
    let tasks = scene.fires_in(&plan, &[60]).await;
    let stored = scene.schedule("backup").await;
    let fires = scene.fires("backup").await;
    scene.reopen().await;
    assert_eq!(scene.schedule("backup").await, stored);
    assert_eq!(scene.fires("backup").await, fires);
    assert_eq!(
        scene.lead(PRODUCER).await.expect("a term").epoch,
        plan.term.epoch
    );
    scene.advance(seconds(60));
    assert_eq!(ids(&scene.ready(5).await), [tasks[0].as_str()]);
}
