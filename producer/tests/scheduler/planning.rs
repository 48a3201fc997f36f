//! Fires are put ahead of their time, each once.

use std::time::Duration;

use serde_json::json;
use tidemill_producer::{Scheduler, SchedulerEvent, preview};
use tidemill_shared::ledger::{FireOutcome, Role};
use tidemill_shared::schedule::{CLOCK_CHANGE, Schedule};
use tidemill_shared::{ErrorKind, State};
use tokio_util::sync::CancellationToken;

use super::scene::{Scene, at, due, schedule, seconds};

/// Behaviour 57. Every 3 s is due three times in 10 s: at the multiples of 3 s after the start.
#[tokio::test]
async fn an_interval_of_three_seconds_fires_three_times_in_ten() {
    let scene = Scene::new().await;
    let beat = schedule("beat", json!({ "every": "3s" }));
    scene.put(&beat).await;
    let producer = scene.start("one");
    scene.planned_ahead(&beat).await;
    let mut ran = 0;
    for _ in 0..10 {
        scene.clock.advance(seconds(1));
        ran += scene.lease(100).await.len();
    }
    assert_eq!(ran, 3);
    producer.stop().await;
}

#[tokio::test]
async fn fires_within_the_horizon_wait_in_the_broker_and_those_beyond_do_not() {
    let scene = Scene::new().await;
    let beat = schedule("beat", json!({ "cron": "*/10 * * * * *" }));
    scene.put(&beat).await;
    let producer = scene.start("one");
    scene.planned_ahead(&beat).await;
    let ahead = due(&beat, scene.now(), scene.now() + seconds(60));
    assert_eq!(scene.instants("beat", FireOutcome::Enqueued).await, ahead);
    assert_eq!(scene.tasks_in("beat", State::Scheduled).await, ahead.len());
    scene.clock.advance(seconds(30));
    scene.planned_ahead(&beat).await;
    assert_eq!(scene.fires("beat").await.len(), 9);
    producer.stop().await;
}

/// Behaviour 64, the producer's half: a task is due at its instant or, with jitter, later.
#[tokio::test]
async fn jitter_moves_the_due_time_and_never_the_instant() {
    let scene = Scene::new().await;
    let beat = schedule("beat", json!({ "every": "10s", "jitter": "5s" }));
    scene.put(&beat).await;
    let producer = scene.start("one");
    scene.planned_ahead(&beat).await;
    let expected = preview(&beat, scene.now(), 6);
    let mut found: Vec<_> = scene
        .tasks("beat")
        .await
        .into_iter()
        .map(|task| (task.envelope.origin.unwrap().scheduled_at, task.due_at))
        .collect();
    found.sort();
    assert_eq!(found, expected);
    assert!(
        found
            .iter()
            .all(|(instant, due)| due.since(*instant) <= seconds(5))
    );
    assert!(found.iter().any(|(instant, due)| due > instant));
    producer.stop().await;
}

#[tokio::test]
async fn one_instant_fires_once_and_a_past_one_never() {
    let scene = Scene::new().await;
    let soon = schedule("soon", json!({ "at": "2026-01-01T00:00:30Z" }));
    scene.put(&soon).await;
    scene
        .put(&schedule("past", json!({ "at": "2025-12-31T23:59:59Z" })))
        .await;
    let producer = scene.start("one");
    scene.planned_ahead(&soon).await;
    scene.clock.advance(seconds(3_600));
    let beat = schedule("beat", json!({ "every": "30s" }));
    scene.put(&beat).await;
    scene.planned_ahead(&beat).await;
    assert_eq!(scene.fires("soon").await.len(), 1);
    assert_eq!(scene.fires("past").await.len(), 0);
    producer.stop().await;
}

/// Behaviour 63.
#[tokio::test]
async fn a_fire_at_a_change_of_the_clock_carries_a_note() {
    let scene = Scene::new().await;
    scene.clock.set(at("2026-03-08T06:59:30Z"));
    let zone = "America/New_York";
    let night = schedule("night", json!({ "cron": "30 2 * * *", "time_zone": zone }));
    scene.put(&night).await;
    let producer = scene.start("one");
    scene.planned_ahead(&night).await;
    let tasks = scene.tasks("night").await;
    let [task] = &tasks[..] else {
        panic!("expected one task")
    };
    assert_eq!(task.due_at, at("2026-03-08T07:00:00Z"));
    assert_eq!(task.envelope.headers[CLOCK_CHANGE], "gap");
    producer.stop().await;
}

/// Behaviour 67. Planned, enqueued, running, done: each with its time.
#[tokio::test]
async fn a_fire_can_be_looked_up_from_plan_to_end() {
    let scene = Scene::new().await;
    let beat = schedule("beat", json!({ "every": "60s", "retention": "1h" }));
    scene.put(&beat).await;
    let producer = scene.start("one");
    scene.planned_ahead(&beat).await;
    let planned = &scene.fires("beat").await[0];
    assert_eq!(planned.scheduled_at, at("2026-01-01T00:01:00Z"));
    assert_eq!(planned.enqueued_at, Some(at("2026-01-01T00:00:00Z")));
    assert_eq!(
        (planned.started_at, planned.finished_at, planned.ended),
        (None, None, None)
    );
    producer.stop().await;
    scene.clock.set(at("2026-01-01T00:01:00Z"));
    let lease = scene.lease(1).await.remove(0);
    assert_eq!(Some(&lease.token.task), planned.task.as_ref());
    let settlement = tidemill_shared::Settlement {
        token: lease.token,
        started_at: Some(at("2026-01-01T00:01:00Z")),
        verdict: tidemill_shared::Verdict::Ack { result: None },
    };
    scene.clock.advance(Duration::from_millis(250));
    scene
        .connection
        .broker
        .settle(vec![settlement])
        .await
        .unwrap();
    let done = &scene.fires("beat").await[0];
    assert_eq!(done.started_at, Some(at("2026-01-01T00:01:00Z")));
    assert_eq!(done.finished_at, Some(at("2026-01-01T00:01:00.250Z")));
    assert_eq!(done.ended, Some(State::Completed));
}

/// Behaviour 76, the producer's half.
#[tokio::test]
async fn a_producer_is_listed_while_it_lives_and_says_whether_it_leads() {
    let scene = Scene::new().await;
    let one = scene.start("one");
    scene.elected("one").await;
    let ledger = &scene.connection.ledger;
    let deadline = tokio::time::timeout(seconds(10), async {
        loop {
            let present = ledger.present(Role::Producer).await.unwrap();
            match present.first() {
                Some(record) if record.leader => return record.clone(),
                _ => scene.a_moment().await,
            }
        }
    });
    let record = deadline.await.unwrap();
    assert_eq!((record.id.as_str(), record.epoch), ("one", Some(1)));
    let host = nix::unistd::gethostname().unwrap();
    assert_eq!(record.host, host.to_string_lossy());
    one.stop().await;
    assert!(ledger.present(Role::Producer).await.unwrap().is_empty());
}

#[tokio::test]
async fn settings_out_of_range_are_refused() {
    let scene = Scene::new().await;
    let run = |scheduler: Scheduler| scheduler.run(CancellationToken::new());
    let new = || Scheduler::new(&scene.connection);
    for scheduler in [
        new().horizon(Duration::ZERO),
        new().horizon(seconds(3_601)),
        new().lease(Duration::from_millis(999)),
        new().lease(Duration::MAX),
    ] {
        assert_eq!(run(scheduler).await.unwrap_err().kind(), ErrorKind::Invalid);
    }
}

#[tokio::test]
async fn five_thousand_schedules_of_the_same_minute_are_all_planned() {
    let scene = Scene::new().await;
    let herd: Vec<_> = (0..5_000)
        .map(|number| schedule(&format!("herd-{number}"), json!({ "cron": "* * * * *" })))
        .collect();
    scene
        .connection
        .ledger
        .apply_schedules("file:herd", herd)
        .await
        .unwrap();
    let producer = scene.start("one");
    scene
        .until("the herd is planned", |all| {
            let planned = all
                .iter()
                .filter(|told| matches!(told.event, SchedulerEvent::Planned { .. }));
            planned.count() == 5_000
        })
        .await;
    producer.stop().await;
}

/// With more schedules than a batch has room for, several instants of each go ahead at once: none is left
/// out, and none is further ahead than the horizon and an eighth.
#[tokio::test]
async fn many_fast_schedules_are_planned_up_to_the_horizon_each_instant_once() {
    let scene = Scene::memory();
    let start = scene.now();
    let all: Vec<Schedule> = (0..400)
        .map(|number| schedule(&format!("beat-{number}"), json!({ "every": "4s" })))
        .collect();
    let ledger = &scene.connection.ledger;
    let applied = ledger.apply_schedules("cli", all.clone()).await;
    assert_eq!(applied.unwrap().added.len(), 400);
    let one = scene.start_with("one", |scheduler| scheduler.horizon(seconds(32)));
    for _ in 0..3 {
        let last = scene.now() + seconds(32);
        for beat in &all {
            scene.settled(beat.id.as_str(), last).await;
        }
        scene.clock.advance(seconds(4));
    }
    one.stop().await;
    for beat in &all {
        let fires = scene.fires(beat.id.as_str()).await;
        let instants: Vec<_> = fires.iter().map(|fire| fire.scheduled_at).collect();
        let last = *instants.last().unwrap();
        assert_eq!(instants, due(beat, start, last), "{}", beat.id);
        assert!(
            last <= scene.now() + seconds(36),
            "{} up to {last}",
            beat.id
        );
    }
}
