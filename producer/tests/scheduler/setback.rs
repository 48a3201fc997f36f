//! Stores that come back as they were some time ago.

use std::sync::Arc;

use serde_json::json;
use tidemill_memory::MemoryStore;
use tidemill_producer::SchedulerEvent;
use tidemill_shared::ledger::FireOutcome;
use tidemill_shared::schedule::Schedule;
use tidemill_shared::{Connection, WorkerId};

use super::flaky::Flaky;
use super::scene::{Scene, due, schedule, seconds};

/// A store and what it will be set back to: a twin in which the same happened up to that moment.
struct Twins {
    scene: Scene,
    ledger: Arc<Flaky>,
    before: Connection,
}

/// Both hold the schedule.
async fn twins(beat: &Schedule) -> Twins {
    let clock = Scene::memory().clock;
    let [now, before] = [(); 2].map(|()| MemoryStore::new(clock.clone()).connection());
    for store in [&now, &before] {
        store
            .ledger
            .put_schedule("cli", beat.clone())
            .await
            .unwrap();
    }
    let ledger = Arc::new(Flaky::new(now.ledger));
    let connection = Connection::new(now.broker, ledger.clone(), now.clock);
    Twins {
        scene: Scene::on(clock, connection),
        ledger,
        before,
    }
}

async fn told_of(scene: &Scene) {
    scene
        .until("it is told", |all| {
            let told = |event: &SchedulerEvent| matches!(event, SchedulerEvent::SetBack { .. });
            all.iter().any(|one| told(&one.event))
        })
        .await;
}

/// The lease has not lapsed in the store as it was, so that nothing but what is missing tells.
#[tokio::test]
async fn a_fire_in_a_store_that_was_set_back_leaves_none_before_it_out() {
    let beat = schedule("beat", json!({ "every": "1s" }));
    let Twins {
        scene,
        ledger,
        before,
    } = twins(&beat).await;
    let start = scene.now();
    let one = WorkerId::new("one").unwrap();
    before.ledger.lead(0, &one, seconds(10)).await.unwrap();
    let leader = scene.start("one");
    scene.planned_ahead(&beat).await;
    ledger.set_back_to(before.ledger);
    scene.clock.advance(seconds(1));
    told_of(&scene).await;
    scene.planned_ahead(&beat).await;
    leader.stop().await;
    let fires = scene.instants("beat", FireOutcome::Enqueued).await;
    assert_eq!(fires, due(&beat, start, scene.now() + seconds(60)));
}

/// Whoever has nothing to fire learns it with the next renewal.
#[tokio::test]
async fn a_renewal_in_a_store_that_was_set_back_plans_anew() {
    let rare = schedule("rare", json!({ "every": "40s" }));
    let Twins {
        scene,
        ledger,
        before,
    } = twins(&rare).await;
    let start = scene.now();
    let leader = scene.start("one");
    scene.planned_ahead(&rare).await;
    // Another led it then, and has lapsed: this one gets the epoch again that it has.
    ledger.set_back_to(before.ledger);
    scene.clock.advance(seconds(4));
    told_of(&scene).await;
    scene.settled("rare", start + seconds(40)).await;
    scene.clock.advance(seconds(20));
    scene.planned_ahead(&rare).await;
    leader.stop().await;
    let fires = scene.instants("rare", FireOutcome::Enqueued).await;
    assert_eq!(fires, due(&rare, start, scene.now() + seconds(60)));
}
