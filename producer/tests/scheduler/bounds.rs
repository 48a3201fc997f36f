//! Start, end, excluded dates and limits, under running producers.

use serde_json::json;
use tidemill_producer::{SchedulerEvent, run_now};
use tidemill_shared::ledger::{FireOutcome, ScheduleRecord};
use tidemill_shared::{ScheduleId, Timestamp};

use super::scene::{Scene, at, schedule, seconds};

async fn record(scene: &Scene, id: &str) -> ScheduleRecord {
    let id = ScheduleId::new(id).unwrap();
    let ledger = &scene.connection.ledger;
    ledger.schedule(&id).await.unwrap().unwrap()
}

/// Waits until a schedule is told to rest.
async fn spent(scene: &Scene, id: &str, times: usize) {
    scene
        .until(&format!("{id} is spent"), |all| {
            let spent = all.iter().filter(|told| {
                matches!(&told.event, SchedulerEvent::Spent { schedule } if schedule.as_str() == id)
            });
            spent.count() >= times
        })
        .await;
}

async fn enqueued(scene: &Scene, id: &str) -> Vec<Timestamp> {
    scene.instants(id, FireOutcome::Enqueued).await
}

#[tokio::test]
async fn fires_are_put_ahead_within_start_and_end_alone() {
    let scene = Scene::new().await;
    let beat = schedule(
        "beat",
        json!({ "every": "10s", "start": "2026-01-01T00:00:15Z", "end": "2026-01-01T00:00:40Z" }),
    );
    scene.put(&beat).await;
    let producer = scene.start("one");
    scene.planned_ahead(&beat).await;
    let other = schedule("other", json!({ "every": "10s" }));
    scene.put(&other).await;
    scene.planned_ahead(&other).await;
    assert_eq!(
        enqueued(&scene, "beat").await,
        ["20", "30", "40"].map(|second| at(&format!("2026-01-01T00:00:{second}Z")))
    );
    producer.stop().await;
}

#[tokio::test]
async fn instants_on_excluded_dates_leave_no_record_also_after_downtime() {
    let scene = Scene::new().await;
    let daily = schedule(
        "daily",
        json!({ "cron": "0 12 * * *", "misfire": "fire_all", "catch_up": "30d", "exclude": ["2026-01-02..2026-01-04"] }),
    );
    scene.put(&daily).await;
    scene.clock.set(at("2026-01-06T13:00:00Z"));
    let producer = scene.start("one");
    scene.settled("daily", at("2026-01-06T12:00:00Z")).await;
    let fires = scene.fires("daily").await;
    let instants: Vec<_> = fires.iter().map(|fire| fire.scheduled_at).collect();
    assert_eq!(
        instants,
        ["01", "05", "06"].map(|day| at(&format!("2026-01-{day}T12:00:00Z")))
    );
    producer.stop().await;
}

#[tokio::test]
async fn a_limit_counts_fires_that_are_put_ahead_and_then_the_schedule_rests() {
    let scene = Scene::new().await;
    scene
        .put(&schedule("beat", json!({ "every": "10s", "limit": 3 })))
        .await;
    let producer = scene.start("one");
    spent(&scene, "beat", 1).await;
    let first = enqueued(&scene, "beat").await;
    assert_eq!(first.len(), 3);
    let resting = record(&scene, "beat").await;
    assert_eq!(resting.left(), Some(0));
    assert_eq!(resting.upcoming(scene.now()).collect::<Vec<_>>(), first);
    // It rests: later instants leave nothing at all.
    let other = schedule("other", json!({ "every": "10s" }));
    scene.put(&other).await;
    scene.clock.advance(seconds(300));
    scene.planned_ahead(&other).await;
    assert_eq!(enqueued(&scene, "beat").await, first);
    assert_eq!(resting.upcoming(scene.now()).next(), None);
    producer.stop().await;
}

#[tokio::test]
async fn a_limit_that_is_raised_wakes_the_schedule_and_counts_over_all_revisions() {
    let scene = Scene::new().await;
    let limited = |limit: u64| schedule("beat", json!({ "every": "10s", "limit": limit }));
    scene.put(&limited(2)).await;
    let producer = scene.start("one");
    spent(&scene, "beat", 1).await;
    // One has come, the other is taken back by the change and so counts no more.
    scene.clock.advance(seconds(10));
    scene.put(&limited(5)).await;
    spent(&scene, "beat", 2).await;
    assert_eq!(enqueued(&scene, "beat").await.len(), 5);
    assert_eq!(record(&scene, "beat").await.fire_count, 5);
    producer.stop().await;
}

#[tokio::test]
async fn a_fire_by_hand_counts_and_is_not_held_back_by_the_limit() {
    let scene = Scene::new().await;
    scene
        .put(&schedule("beat", json!({ "every": "10s", "limit": 3 })))
        .await;
    let id = ScheduleId::new("beat").unwrap();
    run_now(&scene.connection, &id).await.unwrap();
    let producer = scene.start("one");
    spent(&scene, "beat", 1).await;
    let by_calendar = |fires: Vec<tidemill_shared::ledger::FireRecord>| {
        fires.iter().filter(|fire| !fire.manual).count()
    };
    assert_eq!(by_calendar(scene.fires("beat").await), 2);
    run_now(&scene.connection, &id).await.unwrap();
    assert_eq!(record(&scene, "beat").await.fire_count, 4);
    producer.stop().await;
}

/// A limit over downtime: of the late instants no more run than it leaves.
#[tokio::test]
async fn late_fires_count_too() {
    let scene = Scene::new().await;
    scene
        .put(&schedule(
            "beat",
            json!({ "every": "10s", "misfire": "fire_all", "limit": 70 }),
        ))
        .await;
    scene.clock.advance(seconds(1_200));
    let producer = scene.start("one");
    spent(&scene, "beat", 1).await;
    let fires = enqueued(&scene, "beat").await;
    assert_eq!(fires.len(), 70);
    assert_eq!(fires[69], at("2026-01-01T00:11:40Z"));
    producer.stop().await;
}

/// A fire that the store did not enqueue does not count: what was held back behind it gets its turn.
#[tokio::test]
async fn what_the_store_did_not_take_leaves_room_for_the_next() {
    let scene = Scene::new().await;
    let beat = schedule("beat", json!({ "every": "1s", "limit": 10 }));
    // The task of its third instant is there already, under the same id.
    let third = at("2026-01-01T00:00:03Z");
    let mut taken = beat.envelope(third, third, 1, scene.now()).unwrap();
    taken.origin = None;
    scene.connection.broker.enqueue(vec![taken]).await.unwrap();
    scene.put(&beat).await;
    let producer = scene.start("one");
    spent(&scene, "beat", 1).await;
    assert_eq!(record(&scene, "beat").await.fire_count, 10);
    assert_eq!(
        enqueued(&scene, "beat").await.last().copied(),
        Some(at("2026-01-01T00:00:11Z"))
    );
    producer.stop().await;
}

/// Producers that come and go in the middle of putting fires ahead: exactly the limit in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_holds_exactly_however_often_the_leader_changes() {
    let scene = Scene::new().await;
    for number in 0..20 {
        let id = format!("beat-{number}");
        let limit = 300 + number;
        scene
            .put(&schedule(
                &id,
                json!({ "every": "1s", "limit": limit, "misfire": "fire_all" }),
            ))
            .await;
    }
    for round in 0..12 {
        let (one, two) = (scene.start("one"), scene.start("two"));
        scene.clock.advance(seconds(30));
        for _ in 0..round {
            scene.a_moment().await;
        }
        one.kill().await;
        two.kill().await;
        // The lease of the dead has to end before anybody can lead.
        scene.clock.advance(seconds(11));
    }
    let producer = scene.start("last");
    for number in 0..20 {
        let id = format!("beat-{number}");
        let deadline = tokio::time::timeout(seconds(30), async {
            while record(&scene, &id).await.left() != Some(0) {
                scene.clock.advance(seconds(5));
                scene.a_moment().await;
            }
        });
        deadline.await.unwrap();
    }
    scene.clock.advance(seconds(120));
    let other = schedule("other", json!({ "every": "10s" }));
    scene.put(&other).await;
    scene.planned_ahead(&other).await;
    for number in 0..20 {
        let id = format!("beat-{number}");
        let fires = enqueued(&scene, &id).await;
        assert_eq!(fires.len(), 300 + number, "{id}");
        // And none of them was left out on the way.
        assert!(fires.windows(2).all(|pair| pair[1] == pair[0] + seconds(1)));
    }
    producer.stop().await;
}
