//! Fires on record.

use std::time::Duration;

use tidemill_shared::ledger::{FireOutcome, Fires, Leadership, PlannedFire, Schedules};
use tidemill_shared::schedule::{Misfire, Overlap};
use tidemill_shared::{Broker, State, Timestamp, WorkerId};

use super::scene::{Scene, seconds, tick};

async fn scene() -> Scene {
    let scene = Scene::new();
    let schedule = scene.schedule(Overlap::Allow, Misfire::FireOnce);
    scene.store.put_schedule("test", schedule).await.unwrap();
    scene
}

fn fire(scene: &Scene, ahead: u64, revision: u64) -> PlannedFire {
    let schedule = scene.schedule(Overlap::Allow, Misfire::FireOnce);
    let mut fire = scene.planned(&schedule, scene.now() + seconds(ahead), revision);
    fire.manual = false;
    fire
}

/// Behaviour 60. Behaviour 61.
#[tokio::test]
async fn a_fire_needs_the_current_term_and_the_current_revision() {
    let scene = scene().await;
    let (ada, bob) = (WorkerId::new("ada").unwrap(), WorkerId::new("bob").unwrap());
    let old = scene
        .store
        .lead(0, &ada, seconds(5))
        .await
        .unwrap()
        .unwrap();
    assert!(
        scene
            .store
            .lead(0, &bob, seconds(5))
            .await
            .unwrap()
            .is_none()
    );
    scene.clock.advance(seconds(5));
    let new = scene
        .store
        .lead(0, &bob, seconds(5))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((old.epoch, new.epoch), (1, 2));

    let cases = [
        (None, 1, FireOutcome::Refused),
        (Some(&old), 1, FireOutcome::Refused),
        (Some(&new), 2, FireOutcome::Refused),
        (Some(&new), 1, FireOutcome::Enqueued),
        (Some(&new), 1, FireOutcome::Duplicate),
    ];
    for (term, revision, expected) in cases {
        let planned = vec![fire(&scene, 1, revision)];
        let outcome = scene.store.record_fires(term, planned).await.unwrap();
        assert_eq!(outcome.outcomes, [expected]);
    }
    let record = scene.store.schedule(&tick()).await.unwrap().unwrap();
    assert_eq!(record.planned_until, scene.now() + seconds(1));
    assert_eq!(record.fire_count, 1);
}

/// Behaviour 66.
#[tokio::test]
async fn a_manual_fire_leaves_the_cursor_alone() {
    let scene = scene().await;
    let before = scene.store.schedule(&tick()).await.unwrap().unwrap();
    assert_eq!(scene.plan(seconds(0)).await.1, FireOutcome::Enqueued);
    let after = scene.store.schedule(&tick()).await.unwrap().unwrap();
    assert_eq!(after.planned_until, before.planned_until);
}

/// Behaviour 67.
#[tokio::test]
async fn a_fire_tells_its_life_and_outlives_its_task() {
    let scene = scene().await;
    scene.plan(Duration::ZERO).await;
    assert_eq!(scene.fires().await[0].started_at, None);
    scene.clock.advance(seconds(1));
    let lease = scene.take_one().await;
    let started = scene.now();
    assert_eq!(scene.fires().await[0].started_at, Some(started), "it runs");
    scene.ack(&lease).await;
    scene.clock.advance(seconds(86_400));
    scene.store.sweep(10).await.unwrap();
    assert_eq!(scene.state(lease.token.task.as_str()).await, None);
    let fires = scene.fires().await;
    assert_eq!(fires[0].started_at, Some(started));
    assert_eq!(fires[0].finished_at, Some(started));
    assert_eq!(fires[0].ended, Some(State::Completed));

    scene.clock.advance(seconds(7 * 86_400));
    scene.store.sweep(10).await.unwrap();
    assert!(scene.fires().await.is_empty());
}

#[tokio::test]
async fn fires_are_listed_newest_first_in_pages() {
    let scene = scene().await;
    for ahead in 1..=5 {
        scene.plan(seconds(ahead)).await;
    }
    let mut seen: Vec<Timestamp> = Vec::new();
    let mut cursor = None;
    loop {
        let page = scene.store.fires(&tick(), cursor, 2).await.unwrap();
        seen.extend(page.items.iter().map(|fire| fire.scheduled_at));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let expected: Vec<_> = (1..=5).rev().map(|n| scene.now() + seconds(n)).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_missed_instant_is_recorded_with_its_reason_and_moves_the_cursor() {
    let scene = scene().await;
    let ada = WorkerId::new("ada").unwrap();
    let term = scene.store.lead(0, &ada, seconds(5)).await.unwrap();
    let mut missed = fire(&scene, 0, 1);
    missed.task = Err((FireOutcome::Missed, "nothing was up".into()));
    missed.count = 3;
    missed.planned_until = scene.now() + seconds(3);
    let outcome = scene.store.record_fires(term.as_ref(), vec![missed]).await;
    assert_eq!(outcome.unwrap().outcomes, [FireOutcome::Missed]);
    let fires = scene.fires().await;
    assert_eq!(fires[0].reason.as_deref(), Some("nothing was up"));
    assert_eq!(fires[0].count, 3);
    let record = scene.store.schedule(&tick()).await.unwrap().unwrap();
    assert_eq!(record.planned_until, scene.now() + seconds(3));
    assert_eq!(record.fire_count, 0);
}
