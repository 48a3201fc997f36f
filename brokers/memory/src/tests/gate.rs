//! Fires at their due time: every overlap with every misfire.

use tidemill_shared::ledger::{FireOutcome, Schedules};
use tidemill_shared::schedule::{Misfire, Overlap};
use tidemill_shared::{Broker, Change, Inspect, Renewal, Settled, State, TaskId, Verdict};

use super::scene::{LEASE, Scene, failure, seconds};

const OVERLAPS: [Overlap; 4] = [
    Overlap::Allow,
    Overlap::Skip,
    Overlap::QueueOne,
    Overlap::CancelPrevious,
];
const MISFIRES: [Misfire; 3] = [Misfire::Skip, Misfire::FireOnce, Misfire::FireAll];

async fn scene(overlap: Overlap, misfire: Misfire) -> Scene {
    let scene = Scene::new();
    let schedule = scene.schedule(overlap, misfire);
    scene.store.put_schedule("test", schedule).await.unwrap();
    scene
}

/// What became of a fire: its state while its task is there, else what its record says.
async fn fate(scene: &Scene, id: &TaskId) -> &'static str {
    if let Some(record) = scene.store.get(id).await.unwrap() {
        return record.state.as_str();
    }
    let fires = scene.fires().await;
    let fire = fires.iter().find(|fire| fire.task.as_ref() == Some(id));
    fire.unwrap().outcome.as_str()
}

/// Behaviour 65.
#[tokio::test]
async fn a_fire_that_is_due_while_an_earlier_one_runs_follows_the_overlap_policy() {
    for overlap in OVERLAPS {
        for misfire in MISFIRES {
            let scene = scene(overlap, misfire).await;
            scene.plan(seconds(0)).await;
            let lease = scene.take_one().await;
            let (second, _) = scene.plan(seconds(1)).await;
            scene.clock.advance(seconds(1));
            scene.store.sweep(10).await.unwrap();

            let expected = match overlap {
                Overlap::Allow => "pending",
                Overlap::Skip => "skipped",
                Overlap::QueueOne | Overlap::CancelPrevious => "scheduled",
            };
            assert_eq!(
                fate(&scene, &second).await,
                expected,
                "{overlap:?} {misfire:?}"
            );
            let until = scene.now() + LEASE;
            let renewed = scene
                .store
                .renew(std::slice::from_ref(&lease.token), LEASE)
                .await;
            let expected = match overlap {
                Overlap::CancelPrevious => Renewal::Cancelled(until),
                Overlap::Allow | Overlap::Skip | Overlap::QueueOne => Renewal::Held(until),
            };
            assert_eq!(renewed.unwrap(), [expected], "{overlap:?} {misfire:?}");
        }
    }
}

/// Behaviour 62.
#[tokio::test]
async fn a_fire_that_nobody_looked_at_in_time_follows_the_misfire_policy() {
    for overlap in OVERLAPS {
        for misfire in MISFIRES {
            let scene = scene(overlap, misfire).await;
            let (fire, _) = scene.plan(seconds(1)).await;
            scene.clock.advance(seconds(7));
            let swept = scene.store.sweep(10).await.unwrap();

            let is_missed =
                misfire == Misfire::Skip && matches!(overlap, Overlap::Allow | Overlap::Skip);
            let expected = if is_missed { "missed" } else { "pending" };
            assert_eq!(
                fate(&scene, &fire).await,
                expected,
                "{overlap:?} {misfire:?}"
            );
            assert_eq!(swept.skipped, usize::from(is_missed));
            assert_eq!(swept.promoted, usize::from(!is_missed));
        }
    }
}

/// Behaviour 62.
#[tokio::test]
async fn of_two_fires_that_nobody_looked_at_in_time_the_policies_choose() {
    let table = [
        (Overlap::Allow, Misfire::Skip, ["missed", "missed"]),
        (Overlap::Allow, Misfire::FireOnce, ["missed", "pending"]),
        (Overlap::Allow, Misfire::FireAll, ["pending", "pending"]),
        (Overlap::Skip, Misfire::Skip, ["missed", "missed"]),
        (Overlap::Skip, Misfire::FireOnce, ["missed", "pending"]),
        (Overlap::Skip, Misfire::FireAll, ["pending", "skipped"]),
        (Overlap::QueueOne, Misfire::Skip, ["skipped", "pending"]),
        (Overlap::QueueOne, Misfire::FireOnce, ["missed", "pending"]),
        (Overlap::QueueOne, Misfire::FireAll, ["skipped", "pending"]),
        (
            Overlap::CancelPrevious,
            Misfire::Skip,
            ["skipped", "pending"],
        ),
        (
            Overlap::CancelPrevious,
            Misfire::FireOnce,
            ["missed", "pending"],
        ),
        (
            Overlap::CancelPrevious,
            Misfire::FireAll,
            ["skipped", "pending"],
        ),
    ];
    for (overlap, misfire, expected) in table {
        let scene = scene(overlap, misfire).await;
        let (first, _) = scene.plan(seconds(1)).await;
        let (second, _) = scene.plan(seconds(2)).await;
        scene.clock.advance(seconds(10));
        scene.store.sweep(10).await.unwrap();
        let found = [fate(&scene, &first).await, fate(&scene, &second).await];
        assert_eq!(found, expected, "{overlap:?} {misfire:?}");
    }
}

#[tokio::test]
async fn a_held_fire_is_not_looked_at_again_before_the_earlier_one_ends() {
    let scene = scene(Overlap::QueueOne, Misfire::FireOnce).await;
    scene.plan(seconds(0)).await;
    let lease = scene.take_one().await;
    let (held, _) = scene.plan(seconds(1)).await;
    scene.clock.advance(seconds(1));
    assert_eq!(scene.store.sweep(10).await.unwrap().promoted, 0);
    let swept = scene.store.sweep(10).await.unwrap();
    assert!(!swept.more, "a held fire is no work for a sweep");

    let at = scene.now();
    let retried = scene
        .settle(
            &lease,
            Verdict::Retry {
                at,
                failure: failure(),
            },
        )
        .await;
    assert_eq!(retried, Settled::Done(State::Retry));
    let again = scene.take_one().await;
    assert_eq!(again.token.task, lease.token.task, "a retry has not ended");
    scene.ack(&again).await;
    assert_eq!(scene.take_one().await.token.task, held);
}

#[tokio::test]
async fn of_several_held_fires_the_latest_runs() {
    let scene = scene(Overlap::QueueOne, Misfire::FireAll).await;
    scene.plan(seconds(0)).await;
    let lease = scene.take_one().await;
    let mut planned = Vec::new();
    for ahead in 1..=3 {
        planned.push(scene.plan(seconds(ahead)).await.0);
    }
    for _ in 1..=3 {
        scene.clock.advance(seconds(1));
        scene.store.sweep(10).await.unwrap();
    }
    scene.ack(&lease).await;
    scene.store.sweep(10).await.unwrap();
    let mut fates = Vec::new();
    for id in &planned {
        fates.push(fate(&scene, id).await);
    }
    assert_eq!(fates, ["skipped", "skipped", "pending"]);
}

#[tokio::test]
async fn a_fire_that_cancels_what_only_waits_runs_in_the_same_step() {
    let scene = scene(Overlap::CancelPrevious, Misfire::FireOnce).await;
    let (first, _) = scene.plan(seconds(0)).await;
    let (second, outcome) = scene
        .plan(std::time::Duration::from_micros(0) + seconds(1))
        .await;
    assert_eq!(outcome, FireOutcome::Enqueued);
    assert_eq!(fate(&scene, &first).await, "pending");
    scene.clock.advance(seconds(1));
    scene.store.sweep(10).await.unwrap();
    assert_eq!(fate(&scene, &second).await, "pending");
    let fires = scene.fires().await;
    assert_eq!(fires[0].ended, Some(State::Cancelled));
}

#[tokio::test]
async fn the_deletion_of_the_earlier_task_releases_a_held_fire() {
    let scene = scene(Overlap::QueueOne, Misfire::FireOnce).await;
    let (first, _) = scene.plan(seconds(0)).await;
    let (held, _) = scene.plan(seconds(1)).await;
    scene.clock.advance(seconds(1));
    scene.store.sweep(10).await.unwrap();
    assert_eq!(fate(&scene, &held).await, "scheduled");
    scene.store.change(&first, &Change::Delete).await.unwrap();
    assert_eq!(scene.take_one().await.token.task, held);
}

#[tokio::test]
async fn a_snoozed_fire_does_not_pass_the_gate_twice() {
    let scene = scene(Overlap::Skip, Misfire::Skip).await;
    scene.plan(seconds(0)).await;
    let lease = scene.take_one().await;
    let at = Some(scene.now() + seconds(5));
    let cause = tidemill_shared::ReleaseCause::Snooze;
    scene.settle(&lease, Verdict::Release { at, cause }).await;
    scene.clock.advance(seconds(60));
    scene.store.sweep(10).await.unwrap();
    assert_eq!(scene.take_one().await.token.task, lease.token.task);
}
