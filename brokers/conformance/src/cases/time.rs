//! Clause 12: no broker reads the wall clock but through its clock.

use tidemill_shared::{Clock, Renewal, State};

use crate::planning::schedule;
use crate::scene::{QUEUE, Scene, TTL, millis, queue, seconds};
use crate::verdicts::{ack, retry};

/// Clause 12.
pub(crate) async fn every_instant_comes_from_the_clock(scene: &Scene) {
    let start = scene.now();
    scene.advance(seconds(7));
    let lease = scene.put_active("a").await;
    assert_eq!(lease.expires_at, start + seconds(7) + TTL);
    scene.advance(seconds(7));
    assert_eq!(
        scene.renew(&lease, TTL).await,
        Renewal::Held(start + seconds(14) + TTL)
    );
    scene.end(&lease, ack(), State::Completed).await;
    let record = scene.record("a").await;
    assert_eq!(record.finished_at, Some(start + seconds(14)));
    assert_eq!(
        scene.attempts("a").await[0].finished_at,
        start + seconds(14)
    );
    let history = scene.inspect().history(&queue(QUEUE), start).await;
    let history = history.expect("history answers");
    assert_eq!(history[0].minute, start);
}

/// Clause 12.
pub(crate) async fn a_ledger_tells_the_time_by_the_clock(scene: &Scene) {
    scene.advance(seconds(7));
    let plan = scene.plan(schedule("backup")).await;
    assert_eq!(plan.record.updated_at, scene.clock.now());
    assert_eq!(plan.term.until, scene.after(seconds(3_600)));
    let at = scene.after(seconds(60));
    scene.fire(&plan, at).await;
    let fires = scene.fires("backup").await;
    assert_eq!(fires[0].enqueued_at, Some(scene.clock.now()));
}

/// Clause 12.
pub(crate) async fn a_clock_that_steps_back_loses_nothing(scene: &Scene) {
    scene.advance(seconds(3_600));
    let lease = scene.put_active("active").await;
    scene.put("pending", State::Pending).await;
    scene.admit(scene.delayed("delayed", seconds(10))).await;
    scene.clock.set(scene.now() - seconds(3_600));
    assert_eq!(scene.sweep().await.reclaimed, []);
    scene.take("pending").await;
    scene.end(&lease, ack(), State::Completed).await;
    scene.nothing_ready().await;
    scene.advance(seconds(3_600) + seconds(10));
    assert_eq!(scene.take("delayed").await.attempt, 1);
}

/// Clause 12.
pub(crate) async fn a_clock_that_jumps_ahead_only_makes_things_due(scene: &Scene) {
    scene.admit(scene.delayed("a", seconds(60))).await;
    scene.advance(seconds(40 * 365 * 86_400));
    let lease = scene.take("a").await;
    scene
        .end(&lease, retry(scene.after(millis(1)), "boom"), State::Retry)
        .await;
    scene.advance(millis(1));
    scene.take("a").await;
}
