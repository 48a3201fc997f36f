//! Changes of the clock, against an independent calculation: `fixtures/dst.py` by minute scan with
//! Python's zoneinfo.

#![expect(
    clippy::unwrap_used,
    reason = "these are tests, their helpers included"
)]

use serde::Deserialize;
use tidemill_shared::Timestamp;
use tidemill_shared::schedule::{ClockChange, CronExpr, Zone};

#[derive(Deserialize)]
struct Case {
    zone: String,
    cron: String,
    from: Timestamp,
    to: Timestamp,
    minutes: Vec<i64>,
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn due_between(case: &Case) -> Vec<i64> {
    let (cron, zone) = (
        CronExpr::parse(&case.cron).unwrap(),
        Zone::new(&case.zone).unwrap(),
    );
    let mut found = Vec::new();
    let mut at = Timestamp::from_micros(case.from.as_micros() - 1);
    while let Some(next) = cron.next_after(at, &zone).filter(|next| *next < case.to) {
        found.push((next.as_micros() - case.from.as_micros()) / 60_000_000);
        at = next;
    }
    found
}

/// Behaviour 63.
#[test]
fn gaps_and_overlaps_agree_with_a_scan_by_minute() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("fixtures/dst.json")).unwrap();
    assert!(cases.len() >= 300);
    for case in &cases {
        assert_eq!(
            due_between(case),
            case.minutes,
            "minutes from {} for {:?} in {}",
            case.from,
            case.cron,
            case.zone
        );
    }
}

/// Behaviour 63. The same answers come from any starting point within the window.
#[test]
fn the_next_instant_does_not_depend_on_where_the_search_starts() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("fixtures/dst.json")).unwrap();
    for case in cases.iter().filter(|case| case.minutes.len() < 40) {
        let (cron, zone) = (
            CronExpr::parse(&case.cron).unwrap(),
            Zone::new(&case.zone).unwrap(),
        );
        for minute in (0..60 * 60).step_by(7) {
            let Some(expected) = case.minutes.iter().find(|due| **due > minute) else {
                break;
            };
            // Half a second past the minute, so that fractions are exercised too.
            let start = case.from.as_micros() + minute * 60_000_000 + 500_000;
            let next = cron
                .next_after(Timestamp::from_micros(start), &zone)
                .unwrap();
            let found = (next.as_micros() - case.from.as_micros()) / 60_000_000;
            assert_eq!(
                found, *expected,
                "{} in {} after {minute}",
                case.cron, case.zone
            );
        }
    }
}

/// Behaviour 63.
#[test]
fn a_due_instant_says_which_change_of_the_clock_it_met() {
    let zone = Zone::new("America/New_York").unwrap();
    let change = |cron: &str, after: &str| {
        let cron = CronExpr::parse(cron).unwrap();
        let due = cron.next_after(instant(after), &zone).unwrap();
        (due.to_string(), cron.clock_change_at(due, &zone))
    };
    assert_eq!(
        change("30 2 * * *", "2026-03-08T00:00:00-05:00"),
        ("2026-03-08T07:00:00.000Z".into(), Some(ClockChange::Gap))
    );
    assert_eq!(
        change("30 1 * * *", "2026-11-01T00:00:00-04:00"),
        (
            "2026-11-01T05:30:00.000Z".into(),
            Some(ClockChange::FirstPass)
        )
    );
    assert_eq!(
        change("30 * * * *", "2026-11-01T01:30:00-04:00"),
        (
            "2026-11-01T06:30:00.000Z".into(),
            Some(ClockChange::SecondPass)
        )
    );
    assert_eq!(
        change("30 3 * * *", "2026-03-08T00:00:00-05:00"),
        ("2026-03-08T07:30:00.000Z".into(), None)
    );
}

#[test]
fn seconds_within_a_gap_are_due_once_at_its_end() {
    let zone = Zone::new("America/New_York").unwrap();
    let cron = CronExpr::parse("*/10 30 2 * * *").unwrap();
    let end = instant("2026-03-08T03:00:00-04:00");
    assert_eq!(
        cron.next_after(instant("2026-03-08T00:00:00-05:00"), &zone),
        Some(end)
    );
    let day_after = instant("2026-03-09T02:30:00-04:00");
    assert_eq!(cron.next_after(end, &zone), Some(day_after));
}

#[test]
fn a_wildcard_that_only_ever_meets_a_gap_ends_the_search() {
    let zone = Zone::new("America/New_York").unwrap();
    let cron = CronExpr::parse("0 */5 2 ? 3 SUN#2").unwrap();
    assert_eq!(
        cron.next_after(instant("2026-01-01T00:00:00Z"), &zone),
        None
    );
}

#[test]
fn a_skipped_day_is_due_at_its_end() {
    let zone = Zone::new("Pacific/Apia").unwrap();
    let cron = CronExpr::parse("0 9 30 12 *").unwrap();
    assert_eq!(
        cron.next_after(instant("2011-12-29T12:00:00-10:00"), &zone),
        Some(instant("2011-12-31T00:00:00+14:00"))
    );
}
