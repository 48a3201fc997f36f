//! Several producers on one store.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tidemill_producer::SchedulerEvent;
use tidemill_shared::Timestamp;
use tidemill_shared::ledger::FireOutcome;
use tidemill_shared::schedule::Schedule;

use super::scene::{Producer, Scene, due, schedule, seconds};

/// Behaviour 60.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_producers_make_one_task_per_fire() {
    let scene = Scene::new().await;
    let start = scene.now();
    let all: Vec<Schedule> = (0..10)
        .map(|number| schedule(&format!("beat-{number}"), json!({ "every": "1s" })))
        .collect();
    for beat in &all {
        scene.put(beat).await;
    }
    let producers = ["one", "two", "three"].map(|name| scene.start(name));
    for _ in 0..12 {
        scene.clock.advance(seconds(5));
        for beat in &all {
            scene.planned_ahead(beat).await;
        }
    }
    for producer in producers {
        producer.stop().await;
    }
    for beat in &all {
        once_each(&scene, beat, start).await;
    }
}

/// Every instant up to the horizon is one fire, one task, and was told once.
pub(crate) async fn once_each(scene: &Scene, beat: &Schedule, start: Timestamp) {
    let id = beat.id.as_str();
    let enqueued = scene.instants(id, FireOutcome::Enqueued).await;
    let last = *enqueued.last().unwrap();
    let expected = due(beat, start, last);
    assert_eq!(enqueued, expected, "{id}");
    let mut tasks: Vec<_> = scene
        .tasks(id)
        .await
        .into_iter()
        .map(|task| task.envelope.origin.unwrap().scheduled_at)
        .collect();
    tasks.sort();
    assert_eq!(tasks, expected, "{id}");
    let twice: BTreeMap<_, _> = scene
        .plans_told(id)
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .collect();
    assert_eq!(twice, BTreeMap::new(), "{id}");
}

/// Behaviour 61.
#[tokio::test]
async fn a_dead_leader_delays_nothing_and_another_takes_over_when_its_lease_ends() {
    let scene = Scene::new().await;
    let start = scene.now();
    let beat = schedule("beat", json!({ "every": "1s" }));
    scene.put(&beat).await;
    let one = scene.start("one");
    scene.elected("one").await;
    scene.planned_ahead(&beat).await;
    let two = scene.start("two");
    one.kill().await;
    // Nobody leads, and what was put ahead is due on time.
    scene.clock.advance(seconds(5));
    assert_eq!(scene.lease(100).await.len(), 5);
    let leader = scene.connection.ledger.leader(0).await.unwrap();
    assert_eq!(leader.map(|term| term.epoch), Some(1));
    scene.clock.advance(seconds(5));
    scene.elected("two").await;
    scene.planned_ahead(&beat).await;
    two.stop().await;
    let fires = scene.instants("beat", FireOutcome::Enqueued).await;
    assert_eq!(fires, due(&beat, start, scene.now() + seconds(60)));
}

#[tokio::test]
async fn a_leader_that_stops_hands_over_without_waiting_for_its_lease() {
    let scene = Scene::new().await;
    let one = scene.start("one");
    scene.elected("one").await;
    let two = scene.start("two");
    one.stop().await;
    // The clock has not moved, so no lease has run out; two tries again on its own beat.
    scene.elected("two").await;
    two.stop().await;
}

#[tokio::test]
async fn a_leader_whose_lease_was_taken_while_it_was_stopped_fires_nothing_more() {
    let scene = Scene::new().await;
    let beat = schedule("beat", json!({ "every": "1s" }));
    scene.put(&beat).await;
    let one = scene.start("one");
    scene.elected("one").await;
    scene.planned_ahead(&beat).await;
    // Somebody else takes the lead, as after a long stop of this process.
    let other = tidemill_shared::WorkerId::new("other").unwrap();
    let ledger = &scene.connection.ledger;
    ledger
        .resign(0, &tidemill_shared::WorkerId::new("one").unwrap())
        .await
        .unwrap();
    ledger.lead(0, &other, seconds(600)).await.unwrap().unwrap();
    scene.clock.advance(seconds(5));
    scene
        .until("one is deposed", |all| {
            all.iter()
                .any(|told| matches!(told.event, SchedulerEvent::Deposed { epoch: 1, .. }))
        })
        .await;
    let fires = scene.instants("beat", FireOutcome::Enqueued).await;
    assert!(*fires.last().unwrap() <= scene.now() + seconds(55));
    one.stop().await;
}

/// Behaviour 60 and 61: whoever is killed, stopped or started at any moment, no instant is lost and
/// none is doubled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_deaths_of_producers_lose_and_double_nothing() {
    const NAMES: [&str; 4] = ["one", "two", "three", "four"];
    for seed in 1..=6 {
        let mut rng = StdRng::seed_from_u64(seed);
        let scene = Scene::new().await;
        let start = scene.now();
        let all = [
            schedule(
                "second",
                json!({ "every": "1s", "misfire": "fire_all", "catch_up": "1d" }),
            ),
            schedule(
                "seven",
                json!({ "every": "7s", "misfire": "fire_all", "catch_up": "1d" }),
            ),
            schedule(
                "cron",
                json!({ "cron": "*/4 * * * * *", "misfire": "fire_all", "catch_up": "1d", "jitter": "3s" }),
            ),
        ];
        for beat in &all {
            scene.put(beat).await;
        }
        let mut running: Vec<(&str, Producer)> = Vec::new();
        for _ in 0..60 {
            match rng.random_range(0..10) {
                0..3 => {
                    let free = NAMES
                        .iter()
                        .find(|name| running.iter().all(|(other, _)| other != *name));
                    if let Some(name) = free {
                        running.push((name, scene.start(name)));
                    }
                }
                3 if !running.is_empty() => {
                    let chosen = rng.random_range(0..running.len());
                    running.swap_remove(chosen).1.kill().await;
                }
                4 if !running.is_empty() => {
                    let chosen = rng.random_range(0..running.len());
                    running.swap_remove(chosen).1.stop().await;
                }
                5..8 => scene.clock.advance(seconds(rng.random_range(1..20))),
                _ => scene.a_moment().await,
            }
        }
        for (_, producer) in running {
            producer.kill().await;
        }
        scene.clock.advance(seconds(20));
        let last = scene.start("last");
        for beat in &all {
            scene.planned_ahead(beat).await;
        }
        last.stop().await;
        for beat in &all {
            let found = scene
                .instants(beat.id.as_str(), FireOutcome::Enqueued)
                .await;
            let expected = due(beat, start, scene.now() + seconds(60));
            assert_eq!(found, expected, "{} with seed {seed}", beat.id);
            assert_eq!(
                scene.tasks(beat.id.as_str()).await.len(),
                expected.len(),
                "seed {seed}"
            );
        }
    }
}
