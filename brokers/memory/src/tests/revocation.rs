//! A change of a schedule takes back what was put ahead under the older revision.

use tidemill_shared::ledger::{FireOutcome, Schedules};
use tidemill_shared::schedule::{Misfire, Overlap};
use tidemill_shared::{Broker, ErrorKind, ReleaseCause, State, Verdict};

use super::scene::{Scene, seconds, tick};

async fn scene() -> Scene {
    let scene = Scene::new();
    let schedule = scene.schedule(Overlap::Allow, Misfire::FireOnce);
    let applied = scene.store.apply_schedules("file:a", vec![schedule]).await;
    assert_eq!(applied.unwrap().added, [tick()]);
    scene
}

/// Behaviour 58. Behaviour 59.
#[tokio::test]
async fn a_changed_definition_revokes_what_is_ahead_and_keeps_what_is_due() {
    let scene = scene().await;
    let (due, _) = scene.plan(seconds(1)).await;
    let (ahead, _) = scene.plan(seconds(2)).await;
    scene.clock.advance(seconds(1));
    let changed = scene.schedule(Overlap::Skip, Misfire::FireOnce);
    let applied = scene
        .store
        .apply_schedules("file:a", vec![changed])
        .await
        .unwrap();
    assert_eq!((applied.changed, applied.revoked), (vec![tick()], 1));
    assert_eq!(scene.state(due.as_str()).await, Some(State::Scheduled));
    assert_eq!(scene.state(ahead.as_str()).await, None);

    let record = scene.store.schedule(&tick()).await.unwrap().unwrap();
    assert_eq!((record.revision, record.fire_count), (2, 1));
    assert_eq!(record.planned_until, scene.now());
    let (again, outcome) = scene.plan(seconds(1)).await;
    assert_eq!((again, outcome), (ahead, FireOutcome::Enqueued));
}

/// Behaviour 59.
#[tokio::test]
async fn the_same_definition_changes_nothing() {
    let scene = scene().await;
    let (ahead, _) = scene.plan(seconds(2)).await;
    let version = scene.store.schedules_version().await.unwrap();
    for _ in 0..10 {
        let same = scene.schedule(Overlap::Allow, Misfire::FireOnce);
        let applied = scene
            .store
            .apply_schedules("file:a", vec![same])
            .await
            .unwrap();
        assert_eq!((applied.unchanged, applied.revoked), (1, 0));
    }
    assert_eq!(scene.store.schedules_version().await.unwrap(), version);
    assert_eq!(scene.state(ahead.as_str()).await, Some(State::Scheduled));
}

/// Behaviour 58. Behaviour 66.
#[tokio::test]
async fn a_pause_and_a_removal_revoke_what_is_ahead() {
    let scene = scene().await;
    let (ahead, _) = scene.plan(seconds(2)).await;
    assert!(
        scene
            .store
            .pause_schedule(&tick(), Some("why"))
            .await
            .unwrap()
    );
    assert_eq!(scene.state(ahead.as_str()).await, None);

    assert!(scene.store.resume_schedule(&tick()).await.unwrap());
    assert_eq!(scene.plan(seconds(2)).await.1, FireOutcome::Enqueued);
    assert!(scene.store.delete_schedule(&tick()).await.unwrap());
    assert_eq!(scene.state(ahead.as_str()).await, None);
    assert!(!scene.store.delete_schedule(&tick()).await.unwrap());
}

#[tokio::test]
async fn a_revision_is_never_used_again() {
    let scene = scene().await;
    let before = scene.store.schedule(&tick()).await.unwrap().unwrap();
    scene.store.delete_schedule(&tick()).await.unwrap();
    let schedule = scene.schedule(Overlap::Allow, Misfire::FireOnce);
    let after = scene.store.put_schedule("cli", schedule).await.unwrap();
    assert!(after.revision > before.revision + 1);
}

#[tokio::test]
async fn a_fire_that_was_snoozed_is_not_revoked() {
    let scene = scene().await;
    let (fire, _) = scene.plan(seconds(0)).await;
    let lease = scene.take_one().await;
    let at = Some(scene.now() + seconds(60));
    let cause = ReleaseCause::Snooze;
    scene.settle(&lease, Verdict::Release { at, cause }).await;
    scene.store.pause_schedule(&tick(), None).await.unwrap();
    assert_eq!(scene.state(fire.as_str()).await, Some(State::Scheduled));
}

#[tokio::test]
async fn a_file_owns_only_what_it_declared() {
    let scene = scene().await;
    let schedule = scene.schedule(Overlap::Skip, Misfire::FireOnce);
    let refused = scene
        .store
        .apply_schedules("file:b", vec![schedule.clone()])
        .await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    let applied = scene
        .store
        .apply_schedules("file:b", Vec::new())
        .await
        .unwrap();
    assert!(applied.removed.is_empty());
    let twice = vec![schedule.clone(), schedule];
    let refused = scene.store.apply_schedules("file:a", twice).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    let record = scene.store.schedule(&tick()).await.unwrap().unwrap();
    assert_eq!(record.revision, 1, "a refused application changes nothing");
    let applied = scene
        .store
        .apply_schedules("file:a", Vec::new())
        .await
        .unwrap();
    assert_eq!(applied.removed, [tick()]);
    assert_eq!(scene.store.stats(&[]).await.unwrap().len(), 0);
}
