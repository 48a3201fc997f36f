//! Schedules that are declared from code.

use std::time::Duration;

use tidemill_producer::{Client, at, cron, every};
use tidemill_shared::schedule::{Misfire, Overlap, Recurrence};
use tidemill_shared::{Clock, ErrorKind, ScheduleId};

use crate::stores::{Store, memory, note, on_every_store};

on_every_store! {
    async fn a_schedule_is_declared_with_its_policies(store: Store) {
        let client = Client::new(&store.connection);
        let begin = store.clock.now();
        let record = client
            .schedule("digest", cron("0 9 * * MON").in_tz("Europe/Madrid"), note("weekly"))
            .misfire(Misfire::FireAll)
            .catch_up(Duration::from_secs(60))
            .overlap(Overlap::Skip)
            .jitter(Duration::from_secs(5))
            .queue("mail")
            .priority(2)
            .max_attempts(3)
            .timeout(Duration::from_secs(30))
            .retention(Duration::from_secs(90))
            .header("tenant", "acme")
            .start(begin)
            .end(begin + Duration::from_secs(86_400))
            .limit(7)
            .exclude("2026-12-25")
            .exclude("2027-01-01..2027-01-06")
            .await
            .unwrap();
        assert_eq!(record.source, "api");
        assert_eq!(record.revision, 1);
        let id = ScheduleId::new("digest").unwrap();
        let stored = store.connection.ledger.schedule(&id).await.unwrap().unwrap();
        let schedule = &stored.schedule;
        assert!(matches!(schedule.recurrence.rule(), Recurrence::Cron { zone, .. } if zone.name() == "Europe/Madrid"));
        let bounds = schedule.recurrence.bounds().unwrap();
        assert_eq!((bounds.start, bounds.limit), (Some(begin), Some(7)));
        assert_eq!(bounds.end, Some(begin + Duration::from_secs(86_400)));
        assert_eq!(bounds.exclude.entries(), ["2026-12-25", "2027-01-01..2027-01-06"]);
        assert_eq!(schedule.misfire, Misfire::FireAll);
        assert_eq!(schedule.catch_up, Duration::from_secs(60));
        assert_eq!(schedule.overlap, Overlap::Skip);
        assert_eq!(schedule.jitter, Duration::from_secs(5));
        assert_eq!(schedule.kind.as_str(), "note");
        assert_eq!(schedule.queue.as_str(), "mail");
        assert_eq!(schedule.priority.level(), 2);
        assert_eq!(schedule.retry.max_attempts, 3);
        assert_eq!(schedule.timeout, Duration::from_secs(30));
        assert_eq!(schedule.retention, Duration::from_secs(90));
        assert_eq!(schedule.payload, serde_json::json!({ "text": "weekly" }));
        assert_eq!(schedule.headers.get("tenant").map(String::as_str), Some("acme"));
    }

    async fn declaring_the_same_again_changes_nothing(store: Store) {
        let client = Client::new(&store.connection);
        let declare = || client.schedule("tick", every("30s"), note("tick"));
        let first = declare().await.unwrap();
        store.clock.advance(Duration::from_secs(1));
        let again = declare().await.unwrap();
        assert_eq!(again, first);
        let changed = client.schedule("tick", every("31s"), note("tick")).await.unwrap();
        assert!(changed.revision > first.revision);
    }

    async fn a_schedule_is_paused_resumed_and_removed(store: Store) {
        let client = Client::new(&store.connection);
        let soon = store.clock.now() + Duration::from_secs(60);
        client.schedule("once", at(soon), note("once")).await.unwrap();
        let id = ScheduleId::new("once").unwrap();
        let ledger = &store.connection.ledger;
        assert!(client.pause_schedule("once", Some("moving house")).await.unwrap());
        assert!(ledger.schedule(&id).await.unwrap().unwrap().paused);
        assert!(client.resume_schedule("once").await.unwrap());
        assert!(!ledger.schedule(&id).await.unwrap().unwrap().paused);
        assert!(client.unschedule("once").await.unwrap());
        assert!(!client.unschedule("once").await.unwrap());
        assert!(!client.pause_schedule("once", None).await.unwrap());
        assert!(!client.resume_schedule("once").await.unwrap());
    }
}

#[tokio::test]
async fn a_schedule_that_makes_no_sense_is_refused() {
    let store = memory();
    let client = Client::new(&store.connection);
    let tick = || client.schedule("tick", every("30s"), note("a"));
    let limit = store.connection.broker.capabilities().max_payload;
    let wrong = [
        client.schedule("no id", every("30s"), note("a")),
        client.schedule("tick", every("1ms"), note("a")),
        client.schedule("tick", cron("nonsense"), note("a")),
        client.schedule("tick", cron("* * * * *").in_tz("Mars"), note("a")),
        client.schedule("tick", every("30s"), note(&"x".repeat(limit))),
        tick().queue(""),
        tick().priority(10),
        tick().max_attempts(0),
        tick().timeout(Duration::ZERO),
        tick().jitter(Duration::from_secs(86_401)),
        tick().header("", "x"),
        tick().limit(0),
        tick().exclude("Christmas"),
        tick()
            .start(store.clock.now())
            .end(store.clock.now() - Duration::from_secs(1)),
    ];
    for schedule in wrong {
        let shown = format!("{schedule:?}");
        let error = schedule.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{shown}: {error}");
    }
    let none = store.connection.ledger.schedules(None, 10).await.unwrap();
    assert!(none.items.is_empty());
}
