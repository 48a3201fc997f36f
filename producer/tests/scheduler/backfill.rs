//! Making up for a past range by hand.

use serde_json::{Value, json};
use tidemill_producer::Backfill;
use tidemill_shared::ledger::FireOutcome;
use tidemill_shared::{ErrorKind, ScheduleId, State, Timestamp};

use super::scene::{Scene, at, schedule, seconds};

fn backfill(from: &str, until: &str) -> Backfill {
    let day = |time: &str| at(&format!("2026-01-01T{time}Z"));
    Backfill::new(id(), day(from), day(until))
}

fn id() -> ScheduleId {
    ScheduleId::new("beat").unwrap()
}

/// A schedule of every minute that is added at 00:00 and looked at from 01:00, with no producer.
async fn scene(more: Value) -> Scene {
    let scene = Scene::new().await;
    scene.put(&schedule("beat", more)).await;
    scene.clock.advance(seconds(3_600));
    scene
}

fn minutes(range: std::ops::Range<i64>) -> Vec<Timestamp> {
    let start = at("2026-01-01T00:00:00Z").as_millis();
    let minute = |minute| Timestamp::from_millis(start + minute * 60_000);
    range.map(minute).collect()
}

#[tokio::test]
async fn a_backfill_enqueues_each_instant_once_however_often_it_is_repeated() {
    let scene = scene(json!({ "every": "1m" })).await;
    let before = scene.connection.ledger.schedule(&id()).await.unwrap();
    let range = backfill("00:10:00", "00:15:00");
    let missing = range.missing(&scene.connection).await.unwrap();
    assert_eq!(missing, minutes(10..15));
    assert!(
        scene.fires("beat").await.is_empty(),
        "a look changes nothing"
    );
    let done = range.run(&scene.connection).await.unwrap();
    let instants: Vec<_> = done.iter().map(|fire| fire.scheduled_at).collect();
    assert_eq!(instants, missing);
    assert!(
        done.iter()
            .all(|fire| fire.outcome == FireOutcome::Enqueued)
    );
    assert_eq!(range.run(&scene.connection).await.unwrap(), []);
    // A larger range adds what is new in it, and no more.
    let larger = backfill("00:08:00", "00:16:00");
    let more = larger.run(&scene.connection).await.unwrap();
    let more: Vec<_> = more.iter().map(|fire| fire.scheduled_at).collect();
    assert_eq!(more, [minutes(8..10), minutes(15..16)].concat());
    // By hand, under the present revision; the calendar is where it was.
    let fires = scene.fires("beat").await;
    assert!(fires.iter().all(|fire| fire.manual && fire.revision == 1));
    let after = scene
        .connection
        .ledger
        .schedule(&id())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(after.planned_until, before.unwrap().planned_until);
    assert_eq!(scene.lease(100).await.len(), 8);
}

/// A fire of an hour ago is late by every policy; one by hand is meant.
#[tokio::test]
async fn no_misfire_policy_turns_a_backfilled_fire_away() {
    for misfire in ["skip", "fire_once", "fire_all"] {
        let scene = scene(json!({ "every": "1m", "misfire": misfire, "catch_up": "1m" })).await;
        let done = backfill("00:10:00", "00:15:00")
            .run(&scene.connection)
            .await;
        let enqueued = done.unwrap().into_iter().filter(|fire| fire.task.is_some());
        assert_eq!(enqueued.count(), 5, "{misfire}");
        scene.clock.advance(seconds(60));
        assert_eq!(scene.lease(100).await.len(), 5, "{misfire}");
    }
}

#[tokio::test]
async fn the_overlap_policy_counts_for_a_backfill() {
    let scene = scene(json!({ "every": "1m", "overlap": "skip" })).await;
    let done = backfill("00:10:00", "00:13:00")
        .run(&scene.connection)
        .await;
    let outcomes: Vec<_> = done.unwrap().iter().map(|fire| fire.outcome).collect();
    let [enqueued, skipped] = [FireOutcome::Enqueued, FireOutcome::Skipped];
    assert_eq!(outcomes, [enqueued, skipped, skipped]);
    assert_eq!(scene.tasks_in("beat", State::Pending).await, 1);
}

#[tokio::test]
async fn bounds_but_for_the_limit_and_the_clock_of_the_zone_hold_for_a_backfill() {
    let scene = Scene::new().await;
    scene.clock.set(at("2026-03-30T00:00:00Z"));
    let night = json!({
        "cron": "30 2 * * *",
        "time_zone": "Europe/Madrid",
        "start": "2026-03-26T00:00:00Z",
        "exclude": ["2026-03-27"],
        "limit": 1,
    });
    scene.put(&schedule("beat", night)).await;
    let range = Backfill::new(id(), at("2026-03-24T00:00:00Z"), scene.now());
    let done = range.run(&scene.connection).await.unwrap();
    let instants: Vec<_> = done.iter().map(|fire| fire.scheduled_at).collect();
    // On the 29th 02:30 is in the gap, which ends at 03:00 summer time.
    let expected = ["26T01:30", "28T01:30", "29T01:00"];
    assert_eq!(
        instants,
        expected.map(|time| at(&format!("2026-03-{time}:00Z")))
    );
}

#[tokio::test]
async fn what_was_missed_is_made_up_for_once_and_what_was_enqueued_stays() {
    let scene = scene(json!({ "every": "1m" })).await;
    let producer = scene.start("one");
    // With fire_once the instants until now are missed, but for the latest.
    scene.settled("beat", at("2026-01-01T01:01:00Z")).await;
    producer.stop().await;
    assert_eq!(scene.instants("beat", FireOutcome::Missed).await.len(), 59);
    let range = backfill("00:58:00", "01:00:00");
    let missed = minutes(58..60);
    assert_eq!(range.missing(&scene.connection).await.unwrap(), missed);
    let done = range.run(&scene.connection).await.unwrap();
    let instants: Vec<_> = done.iter().map(|fire| fire.scheduled_at).collect();
    assert_eq!(instants, missed);
    assert!(
        done.iter()
            .all(|fire| fire.outcome == FireOutcome::Enqueued)
    );
    assert_eq!(scene.instants("beat", FireOutcome::Missed).await.len(), 57);
    assert_eq!(range.run(&scene.connection).await.unwrap(), []);
    // A producer that comes again finds them on record, and so stays every instant one task.
    let tasks = scene.tasks("beat").await.len();
    let producer = scene.start("two");
    scene.settled("beat", at("2026-01-01T01:01:00Z")).await;
    producer.stop().await;
    assert_eq!(scene.tasks("beat").await.len(), tasks);
}

#[tokio::test]
async fn a_producer_that_comes_later_finds_a_backfilled_fire_on_record() {
    let scene = scene(json!({ "every": "1m", "misfire": "fire_all" })).await;
    let done = backfill("00:10:00", "00:15:00")
        .run(&scene.connection)
        .await;
    assert_eq!(done.unwrap().len(), 5);
    let producer = scene.start("one");
    scene.settled("beat", at("2026-01-01T01:01:00Z")).await;
    assert_eq!(scene.fires("beat").await.len(), 61);
    assert_eq!(scene.tasks("beat").await.len(), 61);
    producer.stop().await;
}

#[tokio::test]
async fn a_paused_schedule_can_be_backfilled_and_stays_paused() {
    let scene = scene(json!({ "every": "1m" })).await;
    let ledger = &scene.connection.ledger;
    ledger.pause_schedule(&id(), Some("moving")).await.unwrap();
    let done = backfill("00:10:00", "00:12:00")
        .run(&scene.connection)
        .await;
    assert_eq!(done.unwrap().len(), 2);
    let record = ledger.schedule(&id()).await.unwrap().unwrap();
    assert!(record.paused);
}

#[tokio::test]
async fn too_many_fires_are_refused_unless_a_limit_takes_the_earliest() {
    let scene = scene(json!({ "every": "100ms" })).await;
    let range = backfill("00:10:00", "00:30:00");
    let error = range.run(&scene.connection).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("or a limit"), "{error}");
    assert!(scene.fires("beat").await.is_empty());
    let first = range.clone().limit(300).run(&scene.connection).await;
    assert_eq!(first.unwrap().len(), 300);
    // The next so many go on behind them.
    let second = range.limit(300).missing(&scene.connection).await.unwrap();
    assert_eq!(second[0], at("2026-01-01T00:10:30Z"));
}

#[tokio::test]
async fn a_range_that_makes_no_sense_is_refused_with_a_remedy() {
    let scene = scene(json!({ "every": "1m" })).await;
    let long_ago = at("2025-12-20T00:00:00Z");
    let cases = [
        (backfill("00:10:00", "00:10:00"), "expected a later end"),
        (backfill("00:20:00", "00:10:00"), "expected a later end"),
        (backfill("00:10:00", "01:00:01"), "still to come"),
        (backfill("00:10:00", "00:20:00").limit(0), "a limit of 1 to"),
        (
            Backfill::new(id(), long_ago, scene.now()),
            "beyond the record",
        ),
    ];
    for (range, named) in cases {
        let error = range.run(&scene.connection).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
    let beyond = Backfill::new(id(), long_ago, long_ago + seconds(60)).beyond_record();
    assert_eq!(beyond.missing(&scene.connection).await.unwrap(), [long_ago]);
    let nobody = ScheduleId::new("nobody").unwrap();
    let nobody = Backfill::new(nobody, long_ago, scene.now());
    let error = nobody.run(&scene.connection).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
