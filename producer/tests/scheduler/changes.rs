//! Changes of schedules under a running producer.

use std::time::Duration;

use serde_json::json;
use tidemill_producer::{SchedulerEvent, run_now};
use tidemill_shared::ledger::{Applied, FireOutcome};
use tidemill_shared::schedule::{CLOCK_CHANGE, Schedule};
use tidemill_shared::{ErrorKind, ScheduleId, State};

use super::scene::{Scene, Told, at, due, schedule, seconds};
use super::troubles::flaky;

fn id(text: &str) -> ScheduleId {
    ScheduleId::new(text).unwrap()
}

async fn apply(scene: &Scene, schedules: &[Schedule]) -> Applied {
    let schedules = schedules.to_vec();
    let ledger = &scene.connection.ledger;
    ledger
        .apply_schedules("file:a.toml", schedules)
        .await
        .unwrap()
}

/// Behaviour 58.
#[tokio::test]
async fn a_removed_schedule_fires_no_more_and_what_was_put_ahead_is_taken_back() {
    let scene = Scene::new().await;
    let (beat, other) = (
        schedule("beat", json!({ "every": "10s" })),
        schedule("other", json!({ "every": "10s" })),
    );
    apply(&scene, &[beat.clone(), other.clone()]).await;
    let one = scene.start("one");
    scene.planned_ahead(&beat).await;
    scene.planned_ahead(&other).await;
    assert_eq!(scene.tasks("beat").await.len(), 6);
    assert!(
        scene
            .connection
            .ledger
            .delete_schedule(&id("beat"))
            .await
            .unwrap()
    );
    assert_eq!(scene.tasks("beat").await.len(), 0);
    scene.clock.advance(seconds(60));
    scene.planned_ahead(&other).await;
    assert_eq!(scene.tasks("beat").await.len(), 0);
    one.stop().await;
}

#[tokio::test]
async fn a_change_and_a_removal_are_told_as_taken_back_and_what_stays_is_not() {
    let scene = Scene::new().await;
    let minutely = |name| schedule(name, json!({ "cron": "* * * * *" }));
    let (kept, changed, gone) = (minutely("kept"), minutely("changed"), minutely("gone"));
    apply(&scene, &[kept.clone(), changed.clone(), gone.clone()]).await;
    let one = scene.start("one");
    for each in [&kept, &changed, &gone] {
        scene.planned_ahead(each).await;
    }
    let changed = schedule("changed", json!({ "every": "10s" }));
    apply(&scene, &[kept, changed]).await;
    let is_told = |all: &[Told], name: &str| {
        let told = |told: &Told| matches!(&told.event, SchedulerEvent::TakenBack { schedule } if schedule.as_str() == name);
        all.iter().any(told)
    };
    scene
        .until("both are told", |all| {
            is_told(all, "changed") && is_told(all, "gone")
        })
        .await;
    assert!(!is_told(&scene.told(), "kept"));
    one.stop().await;
}

/// Behaviour 59.
#[tokio::test]
async fn applying_the_same_ten_times_changes_nothing() {
    let scene = Scene::new().await;
    let (beat, other) = (
        schedule("beat", json!({ "every": "10s" })),
        schedule("other", json!({ "cron": "* * * * *" })),
    );
    apply(&scene, &[beat.clone(), other.clone()]).await;
    let one = scene.start("one");
    scene.planned_ahead(&beat).await;
    let before = scene.connection.ledger.schedules_version().await.unwrap();
    for _ in 0..10 {
        let applied = apply(&scene, &[beat.clone(), other.clone()]).await;
        assert_eq!(
            applied,
            Applied {
                unchanged: 2,
                ..Applied::default()
            }
        );
    }
    assert_eq!(
        scene.connection.ledger.schedules_version().await.unwrap(),
        before
    );
    scene.clock.advance(seconds(10));
    scene.planned_ahead(&beat).await;
    assert_eq!(scene.plans_told("beat").values().max(), Some(&1));
    one.stop().await;
}

#[tokio::test]
async fn an_edit_takes_back_what_was_put_ahead_and_plans_the_new_rule() {
    let scene = Scene::new().await;
    let beat = schedule("beat", json!({ "every": "10s" }));
    scene.put(&beat).await;
    let one = scene.start("one");
    scene.planned_ahead(&beat).await;
    scene.clock.advance(seconds(5));
    let edited = schedule("beat", json!({ "every": "20s", "payload": "new" }));
    scene.put(&edited).await;
    scene
        .until("the second revision is planned", |all| {
            let mut last = all.iter().rev();
            last.any(|told| matches!(&told.event, SchedulerEvent::Planned { scheduled_at, .. } if *scheduled_at == at("2026-01-01T00:01:00Z")))
                && all.iter().filter(|told| matches!(told.event, SchedulerEvent::Loaded { .. })).count() > 1
        })
        .await;
    scene.clock.advance(seconds(15));
    scene.planned_ahead(&edited).await;
    let fires = scene.fires("beat").await;
    let instants: Vec<_> = fires.iter().map(|fire| fire.scheduled_at).collect();
    assert_eq!(
        instants,
        due(
            &edited,
            at("2026-01-01T00:00:05Z"),
            at("2026-01-01T00:01:20Z")
        )
    );
    assert!(fires.iter().all(|fire| fire.revision == 2));
    assert_eq!(scene.tasks("beat").await.len(), fires.len());
    one.stop().await;
}

/// Behaviour 66.
#[tokio::test]
async fn a_pause_stops_the_fires_and_after_a_resume_the_calendar_goes_on() {
    let scene = Scene::new().await;
    let (beat, other) = (
        schedule("beat", json!({ "every": "10s" })),
        schedule("other", json!({ "every": "10s" })),
    );
    scene.put(&beat).await;
    scene.put(&other).await;
    let one = scene.start("one");
    scene.planned_ahead(&beat).await;
    let ledger = &scene.connection.ledger;
    assert!(
        ledger
            .pause_schedule(&id("beat"), Some("maintenance"))
            .await
            .unwrap()
    );
    assert_eq!(scene.tasks("beat").await.len(), 0);
    scene.clock.advance(seconds(45));
    scene.planned_ahead(&other).await;
    assert_eq!(scene.tasks("beat").await.len(), 0);
    assert!(ledger.resume_schedule(&id("beat")).await.unwrap());
    scene.planned_ahead(&beat).await;
    let fires = scene.instants("beat", FireOutcome::Enqueued).await;
    assert_eq!(fires, due(&beat, scene.now(), scene.now() + seconds(60)));
    one.stop().await;
}

/// Behaviour 66.
#[tokio::test]
async fn a_run_by_hand_leaves_the_calendar_intact() {
    let scene = Scene::new().await;
    let beat = schedule("beat", json!({ "every": "10s", "payload": { "n": 1 } }));
    scene.put(&beat).await;
    let one = scene.start("one");
    scene.planned_ahead(&beat).await;
    scene.clock.advance(Duration::from_millis(2_500));
    let task = run_now(&scene.connection, &id("beat")).await.unwrap();
    let again = run_now(&scene.connection, &id("beat")).await.unwrap();
    assert_ne!(task, again);
    let leases = scene.lease(10).await;
    assert_eq!(leases.len(), 2);
    assert_eq!(leases[0].token.task, task);
    assert_eq!(leases[0].envelope.payload.as_bytes(), br#"{"n":1}"#);
    scene.clock.advance(Duration::from_millis(7_500));
    scene.planned_ahead(&beat).await;
    let fires = scene.fires("beat").await;
    let (manual, planned): (Vec<_>, Vec<_>) = fires.into_iter().partition(|fire| fire.manual);
    assert_eq!(manual.len(), 2);
    assert_eq!(manual[0].scheduled_at, at("2026-01-01T00:00:02.500Z"));
    let planned: Vec<_> = planned.iter().map(|fire| fire.scheduled_at).collect();
    assert_eq!(
        planned,
        due(
            &beat,
            at("2026-01-01T00:00:00Z"),
            at("2026-01-01T00:01:10Z")
        )
    );
    one.stop().await;
}

/// Behaviour 66.
#[tokio::test]
async fn a_paused_schedule_can_be_run_by_hand_and_stays_paused() {
    let scene = Scene::new().await;
    scene
        .put(&schedule("beat", json!({ "every": "10s" })))
        .await;
    let ledger = &scene.connection.ledger;
    assert!(ledger.pause_schedule(&id("beat"), None).await.unwrap());
    let task = run_now(&scene.connection, &id("beat")).await.unwrap();
    let leases = scene.lease(10).await;
    assert_eq!(leases.len(), 1);
    assert_eq!(leases[0].token.task, task);
    let record = ledger.schedule(&id("beat")).await.unwrap().unwrap();
    assert!(record.paused);
}

/// The instant is the hand's: no change of the clock has moved it.
#[tokio::test]
async fn a_run_by_hand_tells_of_no_change_of_the_clock() {
    let scene = Scene::new().await;
    let nightly = json!({ "cron": "30 2 * * *", "time_zone": "America/New_York" });
    scene.put(&schedule("nightly", nightly)).await;
    run_now(&scene.connection, &id("nightly")).await.unwrap();
    let leases = scene.lease(10).await;
    assert_eq!(leases.len(), 1);
    assert!(!leases[0].envelope.headers.contains_key(CLOCK_CHANGE));
}

#[tokio::test]
async fn a_run_by_hand_of_what_is_not_there_is_refused() {
    let scene = Scene::new().await;
    let error = run_now(&scene.connection, &id("nothing"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// Behaviour 65, the producer's half: the policy travels with the task, and the broker holds to it.
#[tokio::test]
async fn overlapping_fires_are_skipped_when_the_schedule_says_so() {
    let scene = Scene::new().await;
    let beat = schedule("beat", json!({ "every": "10s", "overlap": "skip" }));
    scene.put(&beat).await;
    let one = scene.start("one");
    scene.planned_ahead(&beat).await;
    scene.clock.advance(seconds(10));
    assert_eq!(scene.lease(10).await.len(), 1);
    scene.clock.advance(seconds(10));
    assert_eq!(scene.lease(10).await.len(), 0);
    assert_eq!(scene.tasks_in("beat", State::Active).await, 1);
    let skipped = scene.instants("beat", FireOutcome::Skipped).await;
    assert_eq!(skipped, [at("2026-01-01T00:00:20Z")]);
    one.stop().await;
}

/// A storm of edits, pauses and fires: each fire belongs to the revision that made it, and no task
/// of an older one is left waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_at_fire_time_leave_one_revision_in_line() {
    let scene = Scene::new().await;
    let one = scene.start("one");
    scene.elected("one").await;
    let mut last = schedule("beat", json!({ "every": "1s" }));
    for round in 0..200 {
        last = schedule("beat", json!({ "every": "1s", "payload": round }));
        scene.put(&last).await;
        if round % 7 == 0 {
            scene
                .connection
                .ledger
                .pause_schedule(&id("beat"), None)
                .await
                .unwrap();
            assert_eq!(scene.tasks_in("beat", State::Scheduled).await, 0);
            scene
                .connection
                .ledger
                .resume_schedule(&id("beat"))
                .await
                .unwrap();
        }
        scene.clock.advance(Duration::from_millis(250));
        if round % 10 == 0 {
            scene.a_moment().await;
        }
    }
    let record = scene
        .connection
        .ledger
        .schedule(&id("beat"))
        .await
        .unwrap()
        .unwrap();
    let target = last.recurrence.next_after(scene.now()).unwrap();
    let revision = record.revision;
    let deadline = tokio::time::timeout(seconds(20), async {
        loop {
            let fires = scene.fires("beat").await;
            if fires
                .iter()
                .any(|fire| fire.revision == revision && fire.scheduled_at == target)
            {
                return;
            }
            scene.a_moment().await;
        }
    });
    deadline.await.unwrap();
    for task in scene.tasks("beat").await {
        if task.state == State::Scheduled {
            assert_eq!(task.envelope.origin.unwrap().revision, revision);
        }
    }
    one.stop().await;
}

/// However many schedules there are, a change costs a look at what has changed.
#[tokio::test]
async fn a_change_does_not_list_all_again() {
    let (scene, ledger) = flaky().await;
    let beat = schedule("beat", json!({ "every": "10s" }));
    let other = schedule("other", json!({ "every": "10s" }));
    scene.put(&beat).await;
    scene.put(&other).await;
    let one = scene.start("one");
    for each in [&beat, &other] {
        scene.planned_ahead(each).await;
    }
    let listed = ledger.pages();
    let new = schedule("new", json!({ "every": "5s" }));
    scene.put(&new).await;
    scene.planned_ahead(&new).await;
    let store = &scene.connection.ledger;
    store.delete_schedule(&other.id).await.unwrap();
    store.pause_schedule(&beat.id, None).await.unwrap();
    for gone in [&other, &beat] {
        scene
            .until("it is taken back", |all| {
                all.iter().any(|told| matches!(&told.event, SchedulerEvent::TakenBack { schedule } if *schedule == gone.id))
            })
            .await;
    }
    store.resume_schedule(&beat.id).await.unwrap();
    scene.clock.advance(seconds(30));
    for each in [&beat, &new] {
        scene.planned_ahead(each).await;
    }
    one.stop().await;
    assert_eq!(ledger.pages(), listed);
    assert!(scene.tasks("other").await.is_empty());
}
