//! Stores that fail, and schedules that cannot be fired.

use std::sync::Arc;

use serde_json::json;
use tidemill_producer::{Scheduler, SchedulerEvent};
use tidemill_shared::ledger::FireOutcome;
use tidemill_shared::{Connection, ScheduleId};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::flaky::{Call, Flaky, Mood};
use super::scene::{Scene, at, due, schedule, seconds};

pub(crate) async fn flaky() -> (Scene, Arc<Flaky>) {
    over(Scene::new().await)
}

fn over(scene: Scene) -> (Scene, Arc<Flaky>) {
    let store = scene.connection;
    let ledger = Arc::new(Flaky::new(store.ledger));
    let connection = Connection::new(store.broker, ledger.clone(), store.clock);
    (Scene::on(scene.clock, connection), ledger)
}

/// Behaviour 55.
#[tokio::test]
async fn a_store_that_is_down_at_the_start_and_later_is_waited_for() {
    let (scene, ledger) = flaky().await;
    let beat = schedule("beat", json!({ "every": "1s" }));
    scene.put(&beat).await;
    ledger.set(Mood::Down);
    let one = scene.start("one");
    failed(&scene, "take the lead").await;
    ledger.set(Mood::Well);
    scene.clock.advance(seconds(4));
    scene.planned_ahead(&beat).await;
    ledger.set(Mood::Down);
    scene.clock.advance(seconds(2));
    failed(&scene, "read the schedules").await;
    ledger.set(Mood::Well);
    scene.planned_ahead(&beat).await;
    let fires = scene.instants("beat", FireOutcome::Enqueued).await;
    assert_eq!(
        fires,
        due(&beat, at("2026-01-01T00:00:00Z"), scene.now() + seconds(60))
    );
    one.stop().await;
}

/// Behaviour 13, for fires: an answer that is lost makes neither a gap nor a double.
#[tokio::test]
async fn a_fire_whose_answer_was_lost_is_recorded_once() {
    let (scene, ledger) = flaky().await;
    let beat = schedule("beat", json!({ "every": "1s" }));
    scene.put(&beat).await;
    ledger.set(Mood::LosesAnswers);
    let one = scene.start("one");
    failed(&scene, "record fires").await;
    ledger.set(Mood::Well);
    scene.planned_ahead(&beat).await;
    let fires = scene.instants("beat", FireOutcome::Enqueued).await;
    assert_eq!(
        fires,
        due(&beat, at("2026-01-01T00:00:00Z"), scene.now() + seconds(60))
    );
    assert_eq!(scene.tasks("beat").await.len(), 60);
    assert!(
        scene
            .told()
            .iter()
            .any(|told| matches!(told.event, SchedulerEvent::Duplicate { .. }))
    );
    one.stop().await;
}

#[tokio::test]
async fn a_schedule_that_no_broker_takes_is_named_and_stops_nothing_else() {
    let scene = Scene::new().await;
    let good = schedule("good", json!({ "every": "10s" }));
    let huge = schedule(
        "huge",
        json!({ "every": "10s", "payload": "x".repeat(2_000_000) }),
    );
    scene.put(&huge).await;
    scene.put(&good).await;
    let one = scene.start("one");
    scene.planned_ahead(&good).await;
    scene
        .until("the bad one is named", |all| {
            all.iter().any(|told| matches!(&told.event, SchedulerEvent::Stuck { schedule, error } if schedule.as_str() == "huge" && error.contains("payload")))
        })
        .await;
    assert_eq!(scene.fires("good").await.len(), 6);
    // Mended, it fires.
    let mended = schedule("huge", json!({ "every": "10s" }));
    scene.put(&mended).await;
    scene.planned_ahead(&mended).await;
    assert_eq!(scene.fires("huge").await.len(), 6);
    one.stop().await;
}

/// A definition that stops the listing stops nothing else.
#[tokio::test]
async fn what_is_known_is_planned_while_the_definitions_cannot_be_read() {
    let (scene, ledger) = flaky().await;
    let beat = schedule("beat", json!({ "every": "10s" }));
    let other = schedule("other", json!({ "every": "10s" }));
    scene.put(&beat).await;
    let one = scene.start("one");
    scene.planned_ahead(&beat).await;
    ledger.set(Mood::Unreadable);
    scene.put(&other).await;
    scene
        .until("reading fails, with pauses that grow", |all| {
            all.iter().any(|told| matches!(told.event, SchedulerEvent::Failed { operation: "read the schedules", retry_in, .. } if retry_in.as_millis() == 400))
        })
        .await;
    scene.clock.advance(seconds(30));
    scene.planned_ahead(&beat).await;
    assert_eq!(scene.fires("beat").await.len(), 9);
    assert_eq!(scene.fires("other").await.len(), 0);
    ledger.set(Mood::Well);
    scene.clock.advance(seconds(5));
    scene.planned_ahead(&other).await;
    one.stop().await;
}

#[tokio::test]
async fn a_store_that_is_busy_after_a_bad_batch_costs_no_schedule_its_place() {
    let (scene, ledger) = flaky().await;
    let good = schedule("good", json!({ "every": "10s" }));
    let huge = schedule(
        "huge",
        json!({ "every": "10s", "payload": "x".repeat(2_000_000) }),
    );
    scene.put(&huge).await;
    scene.put(&good).await;
    ledger.set(Mood::TurnsSinglesAway);
    let one = scene.start("one");
    failed(&scene, "record fires").await;
    ledger.set(Mood::Well);
    scene.planned_ahead(&good).await;
    scene
        .until("the bad one is named", |all| {
            all.iter().any(|told| stuck(&told.event) == Some("huge"))
        })
        .await;
    assert_eq!(scene.fires("good").await.len(), 6);
    let told = scene.told();
    assert!(told.iter().all(|told| stuck(&told.event) != Some("good")));
    one.stop().await;
}

/// New schedules get the places, and the revision, of removed ones that had not been caught up with.
#[tokio::test]
async fn what_a_removed_schedule_missed_is_not_taken_for_a_new_ones() {
    let (scene, ledger) = flaky().await;
    let more = json!({ "every": "1s", "misfire": "skip" });
    for number in 0..50 {
        let old = schedule(&format!("old-{number:02}"), more.clone());
        scene.put(&old).await;
    }
    scene.clock.advance(seconds(600));
    let recording = ledger.hold_next(Call::RecordFires);
    let one = scene.start("one");
    let recording = timeout(seconds(30), recording).await.unwrap().unwrap();
    // The last ones, whose turn to be caught up with does not come before they are gone.
    for number in 25..50 {
        let id = ScheduleId::new(format!("old-{number:02}")).unwrap();
        assert!(scene.connection.ledger.delete_schedule(&id).await.unwrap());
    }
    let listing = ledger.hold_next(Call::List);
    scene.clock.advance(seconds(1));
    drop(recording);
    let listing = timeout(seconds(30), listing).await.unwrap().unwrap();
    let new: Vec<_> = (0..25)
        .map(|number| schedule(&format!("new-{number}"), json!({ "every": "10s" })))
        .collect();
    for new in &new {
        scene.put(new).await;
    }
    scene.clock.advance(seconds(1));
    drop(listing);
    for new in &new {
        scene.planned_ahead(new).await;
    }
    let kept = schedule("old-00", more);
    scene.planned_ahead(&kept).await;
    for new in &new {
        let fires = scene.instants(new.id.as_str(), FireOutcome::Enqueued).await;
        assert_eq!(fires, due(new, scene.now(), scene.now() + seconds(60)));
        assert_eq!(scene.fires(new.id.as_str()).await.len(), fires.len());
    }
    one.stop().await;
}

#[tokio::test]
async fn an_observer_that_panics_ends_nothing() {
    let scene = Scene::new().await;
    scene
        .put(&schedule("beat", json!({ "every": "10s" })))
        .await;
    let stop = CancellationToken::new();
    let scheduler = Scheduler::new(&scene.connection).on_event(|_| panic!("the observer panics"));
    let mut running = JoinSet::new();
    running.spawn(scheduler.run(stop.clone()));
    let planned = async {
        while scene.fires("beat").await.len() < 6 {
            scene.a_moment().await;
        }
    };
    timeout(seconds(30), planned).await.unwrap();
    stop.cancel();
    running.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_at_the_start_is_reported_and_delays_no_stop() {
    let (scene, ledger) = over(Scene::memory());
    ledger.set(Mood::Hangs);
    let one = scene.start("one");
    failed(&scene, "take the lead").await;
    let asked = Instant::now();
    one.stop().await;
    assert!(asked.elapsed() < seconds(3), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_under_a_leader_is_reported_and_delays_no_stop() {
    let (scene, ledger) = over(Scene::memory());
    let beat = schedule("beat", json!({ "every": "10s" }));
    scene.put(&beat).await;
    let one = scene.start("one");
    scene.planned_ahead(&beat).await;
    ledger.set(Mood::Hangs);
    failed(&scene, "take the lead").await;
    failed(&scene, "read the schedules").await;
    let asked = Instant::now();
    one.stop().await;
    assert!(asked.elapsed() < seconds(3), "{:?}", asked.elapsed());
}

fn stuck(event: &SchedulerEvent) -> Option<&str> {
    match event {
        SchedulerEvent::Stuck { schedule, .. } => Some(schedule.as_str()),
        _ => None,
    }
}

async fn failed(scene: &Scene, what: &str) {
    scene
        .until(&format!("it fails to {what}"), |all| {
            all.iter().any(|told| matches!(&told.event, SchedulerEvent::Failed { operation, .. } if *operation == what))
        })
        .await;
}
