//! Instants that passed while nothing was up.

use serde_json::{Value, json};
use tidemill_producer::SchedulerEvent;
use tidemill_shared::Timestamp;
use tidemill_shared::ledger::FireOutcome;
use tidemill_shared::schedule::Schedule;

use super::scene::{Producer, Scene, at, due, schedule, seconds};

/// A schedule that was planned up to 00:01:00; then nothing was up until 02:00:02.
async fn after_downtime(more: Value) -> (Scene, Schedule, Producer) {
    let scene = Scene::new().await;
    let beat = schedule("beat", more);
    scene.put(&beat).await;
    let one = scene.start("one");
    scene.planned_ahead(&beat).await;
    one.stop().await;
    scene.clock.set(at("2026-01-01T02:00:02Z"));
    let two = scene.start("two");
    let all = due(&beat, at("2026-01-01T00:01:00Z"), scene.now() + seconds(60));
    scene.settled("beat", *all.last().unwrap()).await;
    (scene, beat, two)
}

fn missed_range(beat: &Schedule, to: &str) -> Vec<Timestamp> {
    due(beat, at("2026-01-01T00:01:00Z"), at(to))
}

/// Behaviour 62.
#[tokio::test]
async fn skip_runs_none_of_what_was_missed() {
    let (scene, beat, two) = after_downtime(json!({ "every": "60s", "misfire": "skip" })).await;
    let missed = scene.instants("beat", FireOutcome::Missed).await;
    // 02:00:00 is two seconds ago, which is not a misfire yet.
    assert_eq!(missed, missed_range(&beat, "2026-01-01T01:59:00Z"));
    let ran = scene.instants("beat", FireOutcome::Enqueued).await;
    assert!(ran.contains(&at("2026-01-01T02:00:00Z")));
    two.stop().await;
}

/// Behaviour 62.
#[tokio::test]
async fn fire_once_runs_the_latest_of_what_was_missed() {
    let scene = Scene::new().await;
    let beat = schedule("beat", json!({ "cron": "*/10 * * * *" }));
    scene.put(&beat).await;
    scene.clock.set(at("2026-01-01T02:05:00Z"));
    let one = scene.start("one");
    scene.settled("beat", at("2026-01-01T02:00:00Z")).await;
    one.stop().await;
    let missed = scene.instants("beat", FireOutcome::Missed).await;
    assert_eq!(missed, missed_range(&beat, "2026-01-01T01:50:00Z"));
    let ran = scene.instants("beat", FireOutcome::Enqueued).await;
    assert_eq!(ran, [at("2026-01-01T02:00:00Z")]);
    assert_eq!(scene.lease(10).await.len(), 1);
}

/// Behaviour 62. Once means once: a fire that is due on time stands for the missed ones too.
#[tokio::test]
async fn fire_once_leaves_it_to_a_fire_that_is_due_now() {
    let scene = Scene::new().await;
    let beat = schedule("beat", json!({ "every": "60s" }));
    scene.put(&beat).await;
    scene.clock.set(at("2026-01-01T02:00:02Z"));
    let one = scene.start("one");
    scene.settled("beat", at("2026-01-01T02:00:00Z")).await;
    one.stop().await;
    let missed = scene.instants("beat", FireOutcome::Missed).await;
    assert_eq!(missed.last(), Some(&at("2026-01-01T01:59:00Z")));
    assert_eq!(scene.lease(10).await.len(), 1);
}

/// Behaviour 62.
#[tokio::test]
async fn fire_all_runs_what_is_within_the_catch_up_window() {
    let more = json!({ "every": "60s", "misfire": "fire_all", "catch_up": "30m" });
    let (scene, beat, two) = after_downtime(more).await;
    let missed = scene.instants("beat", FireOutcome::Missed).await;
    assert_eq!(missed, missed_range(&beat, "2026-01-01T01:30:00Z"));
    let ran = scene.instants("beat", FireOutcome::Enqueued).await;
    let expected = due(
        &beat,
        at("2026-01-01T01:30:02Z"),
        at("2026-01-01T02:01:00Z"),
    );
    assert_eq!(ran.split_first().unwrap().1, expected);
    two.stop().await;
}

/// Behaviour 62.
#[tokio::test]
async fn fire_once_runs_nothing_that_is_older_than_the_catch_up_window() {
    let more = json!({ "cron": "30 0 * * *", "catch_up": "1h" });
    let scene = Scene::new().await;
    let beat = schedule("beat", more);
    scene.put(&beat).await;
    scene.clock.set(at("2026-01-01T02:00:02Z"));
    let one = scene.start("one");
    scene.settled("beat", at("2026-01-01T00:30:00Z")).await;
    let fires = scene.fires("beat").await;
    assert_eq!(fires.len(), 1);
    assert_eq!(fires[0].outcome, FireOutcome::Missed);
    assert!(
        fires[0]
            .reason
            .as_ref()
            .unwrap()
            .contains("catch-up window")
    );
    one.stop().await;
}

/// Behaviour 62.
#[tokio::test]
async fn a_long_row_of_missed_instants_takes_a_thousand_rows_and_one() {
    let more = json!({ "every": "1s", "misfire": "skip" });
    let (scene, beat, two) = after_downtime(more).await;
    let missed: Vec<_> = scene
        .fires("beat")
        .await
        .into_iter()
        .filter(|fire| fire.outcome == FireOutcome::Missed)
        .collect();
    assert_eq!(missed.len(), 1_001);
    let expected = missed_range(&beat, "2026-01-01T01:59:56Z");
    let total: u64 = missed.iter().map(|fire| fire.count).sum();
    assert_eq!(total, u64::try_from(expected.len()).unwrap());
    // The first row stands for the many; it bears the last of their instants.
    assert_eq!(missed[0].count, total - 1_000);
    let instants: Vec<_> = missed.iter().map(|fire| fire.scheduled_at).collect();
    assert_eq!(instants, expected[expected.len() - 1_001..]);
    two.stop().await;
}

#[tokio::test]
async fn a_fire_whose_jitter_ends_later_is_not_missed() {
    let scene = Scene::new().await;
    let beat = schedule(
        "beat",
        json!({ "at": "2026-01-01T01:00:00Z", "jitter": "10m", "misfire": "skip" }),
    );
    scene.put(&beat).await;
    let due_at = beat.due_at(at("2026-01-01T01:00:00Z"));
    assert!(due_at > at("2026-01-01T01:00:30Z"));
    scene.clock.set(at("2026-01-01T01:00:20Z"));
    let one = scene.start("one");
    scene.settled("beat", at("2026-01-01T01:00:00Z")).await;
    assert_eq!(scene.instants("beat", FireOutcome::Enqueued).await.len(), 1);
    one.stop().await;
}

#[tokio::test]
async fn an_instant_a_few_seconds_ago_still_runs_whatever_the_policy() {
    let scene = Scene::new().await;
    let beat = schedule("beat", json!({ "every": "60s", "misfire": "skip" }));
    scene.put(&beat).await;
    scene.clock.advance(seconds(65));
    let one = scene.start("one");
    scene.planned_ahead(&beat).await;
    assert_eq!(scene.instants("beat", FireOutcome::Missed).await, []);
    assert_eq!(scene.lease(1).await.len(), 1);
    one.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_no_second_fire() {
    let scene = Scene::new().await;
    let start = scene.now();
    let beat = schedule("beat", json!({ "every": "10s" }));
    scene.put(&beat).await;
    let one = scene.start("one");
    scene.planned_ahead(&beat).await;
    scene.clock.set(at("2025-12-31T22:00:00Z"));
    let other = schedule("other", json!({ "every": "10s" }));
    scene.put(&other).await;
    // It still takes in what is new, two hours before.
    scene.planned_ahead(&other).await;
    assert_eq!(scene.fires("beat").await.len(), 6);
    scene.clock.set(at("2026-01-01T00:00:30Z"));
    scene.planned_ahead(&beat).await;
    let fires = scene.instants("beat", FireOutcome::Enqueued).await;
    assert_eq!(fires, due(&beat, start, scene.now() + seconds(60)));
    one.stop().await;
}

/// A row of ten years of seconds takes its time to be looked through; nobody waits for that.
#[tokio::test]
async fn a_very_long_row_of_missed_instants_holds_up_nobody() {
    let scene = Scene::new().await;
    let lost = schedule("lost", json!({ "every": "1s", "misfire": "skip" }));
    let late = schedule("late", json!({ "cron": "30 3 * * *", "catch_up": "2d" }));
    scene.put(&lost).await;
    scene.put(&late).await;
    scene.clock.set(at("2036-01-01T12:00:00Z"));
    let beat = schedule("beat", json!({ "every": "10s" }));
    scene.put(&beat).await;
    let one = scene.start("one");
    scene.planned_ahead(&beat).await;
    scene.settled("late", at("2036-01-01T03:30:00Z")).await;
    assert_eq!(scene.fires("lost").await.len(), 0);
    one.stop().await;
}

/// Behaviour 62. What runs late takes turns, with each other and with what is on time.
#[tokio::test]
async fn a_schedule_with_many_runs_to_catch_up_with_goes_before_no_other() {
    let scene = Scene::new().await;
    let start = scene.now();
    let many = json!({ "every": "1s", "misfire": "fire_all", "catch_up": "1d" });
    let few = json!({ "every": "30m", "misfire": "fire_all", "catch_up": "1d" });
    let (many, few) = (schedule("many", many), schedule("few", few));
    scene.put(&many).await;
    scene.put(&few).await;
    scene.clock.advance(seconds(7_200));
    let beat = schedule("beat", json!({ "every": "10s" }));
    scene.put(&beat).await;
    let one = scene.start("one");
    scene.planned_ahead(&many).await;
    one.stop().await;
    let until = scene.now() + seconds(60);
    for schedule in [&many, &few] {
        let ran = scene.instants(schedule.id.as_str(), FireOutcome::Enqueued);
        assert_eq!(ran.await, due(schedule, start, until));
    }
    let told: Vec<_> = scene
        .told()
        .into_iter()
        .filter_map(|told| match told.event {
            SchedulerEvent::Planned { schedule, .. } => Some(schedule.as_str().to_owned()),
            _ => None,
        })
        .collect();
    let before_the_last_of = |id: &str| {
        let last = told.iter().rposition(|told| told == id).unwrap();
        told[..last].iter().filter(|told| *told == "many").count()
    };
    assert!(before_the_last_of("few") < 500);
    assert!(before_the_last_of("beat") < 500);
}
