//! The text form of a schedule: what it says, what it refuses, and that it stays readable.

#![expect(
    clippy::unwrap_used,
    reason = "these are tests, their helpers included"
)]

use std::time::Duration;

use serde_json::{Value, json};
use tidemill_shared::Timestamp;
use tidemill_shared::schedule::{Misfire, Overlap, Recurrence, Schedule};

/// Every form of schedule, as the first release wrote it.
const GOLDEN: &str = include_str!("golden/schedules.json");

fn read(form: Value) -> Result<Schedule, String> {
    serde_json::from_value(form).map_err(|e| e.to_string())
}

fn smallest() -> Value {
    json!({ "id": "beat", "kind": "echo", "every": "30s" })
}

fn with(name: &str, value: Value) -> Value {
    let mut form = smallest();
    form.as_object_mut().unwrap().insert(name.into(), value);
    form
}

/// Behaviour 59. What is written is what was written, so that applying a file twice changes nothing.
#[test]
fn schedules_are_written_as_in_the_first_release() {
    let golden: Vec<Value> = serde_json::from_str(GOLDEN).unwrap();
    assert_eq!(golden.len(), 4);
    for form in golden {
        let schedule = read(form.clone()).unwrap();
        assert_eq!(serde_json::to_value(&schedule).unwrap(), form);
    }
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let schedule = read(smallest()).unwrap();
    assert_eq!(schedule.misfire, Misfire::FireOnce);
    assert_eq!(schedule.overlap, Overlap::Allow);
    assert_eq!(schedule.catch_up, Duration::from_secs(3_600));
    assert_eq!(schedule.jitter, Duration::ZERO);
    assert_eq!(schedule.queue.as_str(), "default");
    assert_eq!(schedule.payload, Value::Null);
    assert_eq!(schedule.timeout, Duration::from_secs(1_800));
    assert_eq!(schedule.retention, Duration::from_secs(86_400));
}

#[test]
fn a_cron_schedule_without_zone_goes_by_utc() {
    let schedule = read(json!({ "id": "a", "kind": "echo", "cron": "0 9 * * *" })).unwrap();
    let Recurrence::Cron { zone, .. } = schedule.recurrence else {
        unreachable!("it is a cron schedule")
    };
    assert_eq!(zone.name(), "UTC");
}

#[test]
fn a_form_that_makes_no_sense_is_refused_by_name() {
    let cases = [
        (with("evry", json!("30s")), "evry"),
        (
            with("cron", json!("* * * * *")),
            "just one of cron, every and at",
        ),
        (
            with("at", json!("2026-01-01T00:00:00Z")),
            "just one of cron, every and at",
        ),
        (
            json!({ "id": "beat", "kind": "echo" }),
            "one of cron, every and at",
        ),
        (json!({ "id": "beat", "every": "30s" }), "kind"),
        (with("id", json!("a:b")), "':'"),
        (with("id", json!("")), "empty"),
        (with("kind", json!("a b")), "' '"),
        (with("queue", json!("{x}")), "letter or digit"),
        (with("every", json!("0s")), "out of range"),
        (with("every", json!("1ns")), "out of range"),
        (with("every", json!("30")), "unit"),
        (with("every", json!("-1s")), "negative"),
        (with("every", json!(30)), "string"),
        (with("time_zone", json!("Europe/Madrid")), "cron only"),
        (with("timeout", json!("0s")), "timeout"),
        (with("jitter", json!("25h")), "jitter"),
        (with("priority", json!(256)), "256"),
        (with("priority", json!(-1)), "-1"),
        (with("misfire", json!("sometimes")), "fire_once"),
        (with("overlap", json!("sometimes")), "cancel_previous"),
        (with("retry", json!({ "max_attempts": 0 })), "max_attempts"),
        (with("retry", json!({ "attempts": 3 })), "attempts"),
        (
            json!({ "id": "a", "kind": "b", "cron": "60 * * * *" }),
            "60",
        ),
        (
            json!({ "id": "a", "kind": "b", "cron": "* * * * *", "time_zone": "Local" }),
            "Europe/Madrid",
        ),
        (
            json!({ "id": "a", "kind": "b", "at": "2026-01-01T00:00:00" }),
            "zone",
        ),
        (
            json!({ "id": "a", "kind": "b", "at": "12026-01-01T00:00:00Z" }),
            "RFC 3339",
        ),
    ];
    for (form, named) in cases {
        let message = read(form.clone()).unwrap_err();
        assert!(message.contains(named), "{form} says: {message}");
    }
}

#[test]
fn the_task_of_a_fire_carries_what_the_schedule_says() {
    let schedule = read(with("payload", json!({ "n": 9_007_199_254_740_993_u64 }))).unwrap();
    let at: Timestamp = "2026-01-01T00:00:30Z".parse().unwrap();
    let envelope = schedule.envelope(at, at, 7, at).unwrap();
    assert_eq!(envelope.id.as_str(), "beat.1767225630000000");
    assert_eq!(envelope.payload.as_bytes(), br#"{"n":9007199254740993}"#);
    let origin = envelope.origin.unwrap();
    assert_eq!((origin.schedule.as_str(), origin.revision), ("beat", 7));
    assert_eq!(origin.scheduled_at, at);
}
