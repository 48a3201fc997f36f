//! Several producers that share the schedules of one store in shards.

use std::collections::BTreeMap;

use serde_json::json;
use tidemill_producer::SchedulerEvent;
use tidemill_shared::ledger::Role;
use tidemill_shared::schedule::Schedule;

use super::leading::once_each;
use super::scene::{Producer, Scene, schedule, seconds};

const SHARDS: u32 = 8;

/// Waits until these producers lead all shards, and no two of them differ by more than one.
async fn shared_evenly(scene: &Scene, living: &[&str]) {
    scene
        .until(&format!("{living:?} share evenly"), |all| {
            let mut leaders = BTreeMap::new();
            for told in all {
                match told.event {
                    SchedulerEvent::Elected { shard, epoch } => {
                        leaders.insert(shard, (told.producer, epoch));
                    }
                    SchedulerEvent::Deposed { shard, epoch }
                        if leaders.get(&shard) == Some(&(told.producer, epoch)) =>
                    {
                        leaders.remove(&shard);
                    }
                    _ => {}
                }
            }
            let counts = living.iter().map(|name| {
                let leaders = leaders.values();
                leaders.filter(|(leader, _)| leader == name).count()
            });
            let counts: Vec<usize> = counts.collect();
            let (least, most) = (counts.iter().min(), counts.iter().max());
            counts.iter().sum::<usize>() == SHARDS as usize
                && most
                    .zip(least)
                    .is_some_and(|(most, least)| most - least <= 1)
        })
        .await;
}

async fn planned(scene: &Scene, all: &[Schedule]) {
    for beat in all {
        scene.planned_ahead(beat).await;
    }
}

fn start(scene: &Scene, name: &'static str) -> Producer {
    scene.start_with(name, |scheduler| scheduler.shards(SHARDS))
}

/// Behaviour 60. Behaviour 61.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_are_shared_evenly_while_producers_come_die_and_stop_and_each_instant_fires_once() {
    let scene = Scene::new().await;
    let begin = scene.now();
    let all: Vec<Schedule> = (0..20)
        .map(|number| schedule(&format!("beat-{number}"), json!({ "every": "1s" })))
        .collect();
    for beat in &all {
        scene.put(beat).await;
    }
    let one = start(&scene, "one");
    shared_evenly(&scene, &["one"]).await;
    let two = start(&scene, "two");
    let three = start(&scene, "three");
    shared_evenly(&scene, &["one", "two", "three"]).await;
    planned(&scene, &all).await;
    // A dead one's shards move when its lease has run out.
    two.kill().await;
    scene.clock.advance(seconds(11));
    shared_evenly(&scene, &["one", "three"]).await;
    planned(&scene, &all).await;
    // A new one gets its share, and is seen with it.
    let four = start(&scene, "four");
    shared_evenly(&scene, &["one", "three", "four"]).await;
    scene.clock.advance(seconds(5));
    planned(&scene, &all).await;
    let held = async || {
        let present = scene.connection.ledger.present(Role::Producer).await;
        let present = present.unwrap();
        assert!(present.iter().all(|producer| producer.shards == SHARDS));
        present
            .iter()
            .map(|producer| producer.held.len())
            .sum::<usize>()
    };
    while held().await != SHARDS as usize {
        scene.a_moment().await;
    }
    // One that stops in good order hands over without a wait: the clock stands still.
    one.stop().await;
    shared_evenly(&scene, &["three", "four"]).await;
    scene.clock.advance(seconds(5));
    planned(&scene, &all).await;
    three.stop().await;
    four.stop().await;
    for beat in &all {
        once_each(&scene, beat, begin).await;
    }
}

#[tokio::test]
async fn a_producer_with_another_number_of_shards_says_so_and_waits_for_the_others_to_stop() {
    let scene = Scene::new().await;
    let begin = scene.now();
    let beat = schedule("beat", json!({ "every": "1s" }));
    scene.put(&beat).await;
    let whole = scene.start("whole");
    scene.elected("whole").await;
    scene.planned_ahead(&beat).await;
    let divided = start(&scene, "divided");
    scene
        .until("the other number is told", |all| {
            all.iter().any(|told| match &told.event {
                SchedulerEvent::Failed { error, .. } => {
                    told.producer == "divided"
                        && error.contains("shards = 1")
                        && error.contains("shards = 8")
                }
                _ => false,
            })
        })
        .await;
    whole.stop().await;
    scene.clock.advance(seconds(4));
    shared_evenly(&scene, &["divided"]).await;
    scene.planned_ahead(&beat).await;
    divided.stop().await;
    once_each(&scene, &beat, begin).await;
}
