//! What happens to a fire at its due time: overlap and misfire.

use tidemill_shared::ledger::FireOutcome;
use tidemill_shared::schedule::{Misfire, Overlap, Schedule};
use tidemill_shared::{Change, Renewal, State};

use crate::planning::policed;
use crate::scene::{Scene, TTL, ids, seconds};
use crate::verdicts::{ack, bury, retry, snooze};

const ENQUEUED: FireOutcome = FireOutcome::Enqueued;
const SKIPPED: FireOutcome = FireOutcome::Skipped;
const MISSED: FireOutcome = FireOutcome::Missed;

/// Behaviour 65.
pub(crate) async fn a_fire_may_run_beside_the_earlier_one(scene: &Scene) {
    let plan = scene
        .plan(policed("a", Overlap::Allow, Misfire::FireAll))
        .await;
    let tasks = scene.fires_in(&plan, &[60, 120]).await;
    scene.advance(seconds(60));
    scene.take_for_long(&tasks[0]).await;
    scene.advance(seconds(60));
    scene.take(&tasks[1]).await;
}

/// Behaviour 65.
pub(crate) async fn a_fire_is_skipped_while_the_earlier_one_runs(scene: &Scene) {
    let plan = scene
        .plan(policed("a", Overlap::Skip, Misfire::FireAll))
        .await;
    let tasks = scene.fires_in(&plan, &[60, 120, 180]).await;
    scene.advance(seconds(60));
    let lease = scene.take_for_long(&tasks[0]).await;
    scene.advance(seconds(60));
    let swept = scene.sweep().await;
    assert_eq!((swept.promoted, swept.skipped), (0, 1));
    assert_eq!(scene.state(&tasks[1]).await, None);
    scene.end(&lease, ack(), State::Completed).await;
    scene.advance(seconds(60));
    scene.take(&tasks[2]).await;
    assert_eq!(scene.outcomes("a").await, [ENQUEUED, SKIPPED, ENQUEUED]);
    let reason = &scene.fires("a").await[1].reason;
    assert_eq!(reason.as_deref(), Some("an earlier run has not ended"));
}

/// Behaviour 65.
pub(crate) async fn a_fire_is_skipped_while_the_earlier_one_waits(scene: &Scene) {
    let plan = scene
        .plan(policed("a", Overlap::Skip, Misfire::FireAll))
        .await;
    let tasks = scene.fires_in(&plan, &[60, 120, 180]).await;
    scene.advance(seconds(60));
    scene.sweep().await;
    scene.advance(seconds(60));
    let lease = scene.take(&tasks[0]).await;
    let much_later = scene.after(seconds(600));
    scene
        .end(&lease, retry(much_later, "boom"), State::Retry)
        .await;
    scene.advance(seconds(60));
    scene.nothing_ready().await;
    assert_eq!(scene.outcomes("a").await, [ENQUEUED, SKIPPED, SKIPPED]);
}

/// Behaviour 65.
pub(crate) async fn a_held_fire_runs_when_the_earlier_one_has_ended(scene: &Scene) {
    for (n, end) in [ack(), bury("boom")].into_iter().enumerate() {
        let name = format!("s{n}");
        let plan = scene
            .plan(policed(&name, Overlap::QueueOne, Misfire::FireAll))
            .await;
        let tasks = scene.fires_in(&plan, &[60, 120]).await;
        scene.advance(seconds(60));
        let lease = scene.take_for_long(&tasks[0]).await;
        scene.advance(seconds(60));
        scene.sweep().await;
        scene.nothing_ready().await;
        assert_eq!(scene.state(&tasks[1]).await, Some(State::Scheduled));
        scene.advance(seconds(600));
        scene.settle(&lease, end).await;
        let lease = scene.take(&tasks[1]).await;
        assert_eq!(scene.outcomes(&name).await, [ENQUEUED, ENQUEUED]);
        scene.end(&lease, ack(), State::Completed).await;
    }
}

/// Behaviour 65.
pub(crate) async fn a_run_that_was_put_off_still_counts_as_the_earlier_one(scene: &Scene) {
    let plan = scene
        .plan(policed("a", Overlap::Skip, Misfire::FireAll))
        .await;
    let tasks = scene.fires_in(&plan, &[60, 120, 180]).await;
    scene.advance(seconds(60));
    let lease = scene.take(&tasks[0]).await;
    let later = scene.after(seconds(90));
    scene.end(&lease, snooze(later), State::Scheduled).await;
    scene.advance(seconds(60));
    scene.nothing_ready().await;
    scene.advance(seconds(30));
    let lease = scene.take(&tasks[0]).await;
    scene.end(&lease, ack(), State::Completed).await;
    scene.advance(seconds(30));
    scene.take(&tasks[2]).await;
    assert_eq!(scene.outcomes("a").await, [ENQUEUED, SKIPPED, ENQUEUED]);
}

/// Behaviour 62.
pub(crate) async fn a_late_fire_is_missed_although_a_newer_one_is_ready(scene: &Scene) {
    for (name, misfire) in [("a", Misfire::Skip), ("b", Misfire::FireOnce)] {
        let plan = scene.plan(policed(name, Overlap::Allow, misfire)).await;
        scene.fires_in(&plan, &[60, 120]).await;
        scene.advance(seconds(150));
        let now = scene.now();
        assert_eq!(scene.fire(&plan, now).await, ENQUEUED);
        scene.take(&plan.task(now)).await;
        assert_eq!(scene.outcomes(name).await, [MISSED, MISSED, ENQUEUED]);
    }
}

/// Behaviour 62.
pub(crate) async fn a_late_fire_is_missed_beyond_the_catch_up_window(scene: &Scene) {
    let policy = Schedule {
        catch_up: seconds(100),
        ..policed("a", Overlap::Allow, Misfire::FireAll)
    };
    let plan = scene.plan(policy).await;
    let tasks = scene.fires_in(&plan, &[60, 120]).await;
    scene.advance(seconds(200));
    scene.take(&tasks[1]).await;
    assert_eq!(scene.outcomes("a").await, [MISSED, ENQUEUED]);
}

/// Behaviour 62. Whoever promotes counts: a worker that asks for work, and a sweep.
pub(crate) async fn a_late_fire_is_counted_by_the_policy_of_its_schedule(scene: &Scene) {
    for (round, by_lease) in [("a", true), ("b", false)] {
        let before = scene.broker.vitals().missed_fires;
        for misfire in Misfire::ALL {
            let policy = Schedule {
                catch_up: seconds(50),
                ..policed(
                    &format!("{round}-{}", misfire.as_str()),
                    Overlap::Allow,
                    misfire,
                )
            };
            let plan = scene.plan(policy).await;
            scene.fires_in(&plan, &[20, 60, 100]).await;
        }
        scene.advance(seconds(130));
        if by_lease {
            scene.ready(10).await;
        } else {
            scene.sweep().await;
        }
        let after = scene.broker.vitals().missed_fires;
        let counts = Misfire::ALL.map(|policy| after.under(policy) - before.under(policy));
        // Skipped are all; the last stands for the others; older than 50 s are two.
        assert_eq!(counts, [3, 2, 2], "{round}");
    }
}

/// Behaviour 65.
pub(crate) async fn a_held_fire_runs_when_the_earlier_one_is_gone(scene: &Scene) {
    let policy = policed("a", Overlap::QueueOne, Misfire::FireAll);
    let plan = scene.plan(policy).await;
    let tasks = scene.fires_in(&plan, &[60, 120, 180, 240]).await;
    scene.advance(seconds(60));
    scene.sweep().await;
    scene.advance(seconds(60));
    scene.sweep().await;
    scene.change(&tasks[0], Change::Delete).await;
    scene.take_for_long(&tasks[1]).await;
    scene.advance(seconds(60));
    scene.sweep().await;
    scene.change(&tasks[1], Change::Cancel).await;
    scene.nothing_ready().await;
    scene.advance(seconds(36_000));
    scene.sweep().await;
    assert_eq!(scene.state(&tasks[1]).await, Some(State::Cancelled));
    scene.take(&tasks[3]).await;
    let expected = [ENQUEUED, ENQUEUED, SKIPPED, ENQUEUED];
    assert_eq!(scene.outcomes("a").await, expected);
}

/// Behaviour 65.
pub(crate) async fn at_most_one_fire_waits_for_the_earlier_one(scene: &Scene) {
    let plan = scene
        .plan(policed("a", Overlap::QueueOne, Misfire::FireAll))
        .await;
    let tasks = scene.fires_in(&plan, &[60, 120, 180, 240]).await;
    scene.advance(seconds(60));
    let lease = scene.take_for_long(&tasks[0]).await;
    for _ in 0..3 {
        scene.advance(seconds(60));
        scene.sweep().await;
        scene.nothing_ready().await;
    }
    scene.end(&lease, ack(), State::Completed).await;
    scene.take(&tasks[3]).await;
    scene.nothing_ready().await;
    let expected = [ENQUEUED, SKIPPED, SKIPPED, ENQUEUED];
    assert_eq!(scene.outcomes("a").await, expected);
}

/// Behaviour 65.
pub(crate) async fn a_fire_cancels_the_run_before_it(scene: &Scene) {
    let policy = policed("a", Overlap::CancelPrevious, Misfire::FireAll);
    let plan = scene.plan(policy).await;
    let tasks = scene.fires_in(&plan, &[60, 120]).await;
    scene.advance(seconds(60));
    let lease = scene.take_for_long(&tasks[0]).await;
    scene.advance(seconds(60));
    scene.sweep().await;
    scene.nothing_ready().await;
    let until = scene.after(TTL);
    assert_eq!(scene.renew(&lease, TTL).await, Renewal::Cancelled(until));
    scene.end(&lease, bury("stopped"), State::Cancelled).await;
    scene.take(&tasks[1]).await;
    let fires = scene.fires("a").await;
    assert_eq!(fires[0].ended, Some(State::Cancelled));
}

/// Behaviour 65.
pub(crate) async fn a_fire_cancels_what_waits_before_it(scene: &Scene) {
    let policy = policed("a", Overlap::CancelPrevious, Misfire::FireAll);
    let plan = scene.plan(policy).await;
    let tasks = scene.fires_in(&plan, &[60, 120]).await;
    scene.advance(seconds(60));
    scene.sweep().await;
    assert_eq!(scene.state(&tasks[0]).await, Some(State::Pending));
    scene.advance(seconds(60));
    for _ in 0..2 {
        scene.sweep().await;
    }
    assert_eq!(scene.state(&tasks[0]).await, Some(State::Cancelled));
    assert_eq!(ids(&scene.ready(5).await), [tasks[1].as_str()]);
}

/// Behaviour 65.
pub(crate) async fn schedules_do_not_hold_each_other(scene: &Scene) {
    let first = scene
        .plan(policed("a", Overlap::Skip, Misfire::FireAll))
        .await;
    let second = scene
        .plan(policed("b", Overlap::Skip, Misfire::FireAll))
        .await;
    let a = scene.fires_in(&first, &[60]).await;
    scene.advance(seconds(60));
    scene.take_for_long(&a[0]).await;
    let b = scene.fires_in(&second, &[60]).await;
    scene.advance(seconds(60));
    scene.take(&b[0]).await;
}

/// Behaviour 62.
pub(crate) async fn after_downtime_every_fire_runs_when_asked(scene: &Scene) {
    let plan = scene
        .plan(policed("a", Overlap::Allow, Misfire::FireAll))
        .await;
    let tasks = scene.fires_in(&plan, &[60, 120, 180]).await;
    scene.advance(seconds(600));
    assert_eq!(ids(&scene.ready(10).await), tasks);
    assert_eq!(scene.outcomes("a").await, [ENQUEUED; 3]);
}

/// Behaviour 62.
pub(crate) async fn after_downtime_the_latest_fire_runs_once(scene: &Scene) {
    let plan = scene
        .plan(policed("a", Overlap::Allow, Misfire::FireOnce))
        .await;
    let tasks = scene.fires_in(&plan, &[60, 120, 180, 3_600]).await;
    scene.advance(seconds(600));
    assert_eq!(ids(&scene.ready(10).await), [tasks[2].as_str()]);
    let expected = [MISSED, MISSED, ENQUEUED, ENQUEUED];
    assert_eq!(scene.outcomes("a").await, expected);
    assert_eq!(scene.state(&tasks[0]).await, None);
    let reason = &scene.fires("a").await[0].reason;
    assert!(reason.is_some(), "it says why");
}

/// Behaviour 62.
pub(crate) async fn after_downtime_nothing_runs_when_asked(scene: &Scene) {
    let plan = scene
        .plan(policed("a", Overlap::Allow, Misfire::Skip))
        .await;
    let tasks = scene.fires_in(&plan, &[60, 120, 900]).await;
    scene.advance(seconds(600));
    scene.nothing_ready().await;
    assert_eq!(scene.outcomes("a").await, [MISSED, MISSED, ENQUEUED]);
    scene.advance(seconds(300));
    scene.take(&tasks[2]).await;
}

/// Behaviour 62.
pub(crate) async fn a_fire_that_is_a_little_late_is_no_misfire(scene: &Scene) {
    let plan = scene
        .plan(policed("a", Overlap::Allow, Misfire::Skip))
        .await;
    let tasks = scene.fires_in(&plan, &[60]).await;
    scene.advance(seconds(65));
    scene.take(&tasks[0]).await;
}
