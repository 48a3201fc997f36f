//! Bounds of schedules: start, end, excluded dates, against the rule that is filtered by hand.

#![expect(
    clippy::unwrap_used,
    reason = "these are tests, their helpers included"
)]

use proptest::prelude::*;
use serde_json::{Value, json};
use tidemill_shared::Timestamp;
use tidemill_shared::schedule::{Bounds, CronExpr, ExcludedDates, Recurrence, Schedule, Zone};

/// A schedule with bounds, as they were first written.
const GOLDEN: &str = include_str!("golden/schedule-with-bounds.json");

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn schedule(more: Value) -> Result<Schedule, String> {
    let mut form = json!({ "id": "a", "kind": "echo" });
    if let (Value::Object(form), Value::Object(more)) = (&mut form, more) {
        form.extend(more);
    }
    serde_json::from_value(form).map_err(|e| e.to_string())
}

/// The instants after one, at most so many.
fn instants(rule: &Recurrence, after: &str, most: usize) -> Vec<String> {
    let next = |at: &Timestamp| rule.next_after(*at);
    let all = std::iter::successors(rule.next_after(at(after)), next);
    all.take(most).map(|at| at.to_string()).collect()
}

#[test]
fn nothing_is_due_before_the_start_or_after_the_end_and_both_ends_count() {
    let bounded = schedule(json!({
        "every": "1m",
        "start": "2026-01-01T00:02:00Z",
        "end": "2026-01-01T01:04:00+01:00",
    }));
    assert_eq!(
        instants(&bounded.unwrap().recurrence, "2026-01-01T00:00:00Z", 9),
        [
            "2026-01-01T00:02:00.000Z",
            "2026-01-01T00:03:00.000Z",
            "2026-01-01T00:04:00.000Z"
        ]
    );
}

#[test]
fn an_excluded_date_is_one_of_the_zone_of_the_schedule() {
    let daily = json!({
        "cron": "30 23 * * *",
        "time_zone": "America/New_York",
        "exclude": ["2026-12-24..2026-12-25", "2026-12-27"],
    });
    assert_eq!(
        instants(
            &schedule(daily).unwrap().recurrence,
            "2026-12-23T12:00:00Z",
            3
        ),
        // 23:30 in New York is the next date in UTC.
        [
            "2026-12-24T04:30:00.000Z",
            "2026-12-27T04:30:00.000Z",
            "2026-12-29T04:30:00.000Z"
        ]
    );
}

/// Behaviour 63. The clock of St John's went back at 00:01, to 23:01 of the date before.
#[test]
fn a_date_that_comes_back_when_the_clock_does_is_not_excluded_with_its_neighbour() {
    let halves = |exclude: &str| {
        let rule = schedule(json!({
            "cron": "0,30 * * * *",
            "time_zone": "America/St_Johns",
            "exclude": [exclude],
        }));
        instants(&rule.unwrap().recurrence, "2007-11-04T02:00:00Z", 4)
    };
    // 23:30 of the 3rd comes twice, with 00:00 of the 4th between; that comes again later.
    let of_the_third = "2007-11-04T03:00:00.000Z";
    let of_the_fourth = ["2007-11-04T02:30:00.000Z", "2007-11-04T03:30:00.000Z"];
    assert_eq!(
        halves("2007-11-04")[..2],
        [of_the_third, "2007-11-05T03:30:00.000Z"]
    );
    assert_eq!(halves("2007-11-03")[..2], of_the_fourth);
}

#[test]
fn a_long_excluded_range_of_a_fast_rule_is_passed_over_at_once() {
    let fast = schedule(json!({ "every": "100ms", "exclude": ["2026-01-01..2035-12-31"] }));
    assert_eq!(
        instants(&fast.unwrap().recurrence, "2026-01-01T00:00:00Z", 1),
        ["2036-01-01T00:00:00.000Z"]
    );
}

#[test]
fn at_the_ends_of_time_the_search_ends_too() {
    let last = schedule(json!({ "every": "1d", "exclude": ["9990-01-02..9999-12-31"] })).unwrap();
    assert_eq!(last.recurrence.next_after(at("9990-01-01T00:00:00Z")), None);
    let first = schedule(json!({ "every": "1d", "exclude": ["0001-01-01..0001-01-02"] })).unwrap();
    let found = first.recurrence.next_after(Timestamp::MIN);
    assert_eq!(found, Some(at("0001-01-03T00:00:00Z")));
}

#[test]
fn bounds_that_contradict_themselves_are_refused_with_a_remedy() {
    let cases = [
        (
            json!({ "every": "1m", "start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z" }),
            "expected a later end",
        ),
        (json!({ "every": "1m", "limit": 0 }), "expected 1 or more"),
        (json!({ "every": "1m", "limit": -1 }), "u64"),
        (
            json!({ "every": "1m", "start": "2026-01-01T00:00:00" }),
            "zone",
        ),
        (
            json!({ "every": "1m", "exclude": ["25.12.2026"] }),
            "expected 2026-12-25 or",
        ),
        (
            json!({ "at": "2026-01-01T00:00:00Z", "start": "2026-01-02T00:00:00Z" }),
            "before its start",
        ),
        (
            json!({ "at": "2026-01-03T00:00:00Z", "end": "2026-01-02T00:00:00Z" }),
            "after its end",
        ),
        (
            json!({ "at": "2026-01-01T00:00:00Z", "exclude": ["2026-01-01"] }),
            "on a date that it excludes",
        ),
    ];
    for (form, named) in cases {
        let message = schedule(form.clone()).unwrap_err();
        assert!(message.contains(named), "{form} says: {message}");
        assert!(
            message.contains("schedule") || message.contains("u64") || message.contains("zone")
        );
    }
}

/// Behaviour 59. Without bounds the stored form stays what it was; with them it says the same again.
#[test]
fn bounds_are_written_as_they_are_read_and_left_out_when_there_are_none() {
    let form: Value = serde_json::from_str(GOLDEN).unwrap();
    let read = schedule(form.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), form);
    assert_eq!(read.limit(), Some(200));
    let plain = schedule(json!({ "every": "1m", "exclude": [] })).unwrap();
    let written = serde_json::to_value(&plain).unwrap();
    for name in ["start", "end", "limit", "exclude"] {
        assert!(written.get(name).is_none(), "{name}");
    }
}

#[test]
fn bounds_replace_those_that_a_rule_has() {
    let rule = schedule(json!({ "every": "1m", "limit": 3 }))
        .unwrap()
        .recurrence;
    let plain = rule.clone().within(Bounds::default()).unwrap();
    assert_eq!(&plain, rule.rule());
    assert_eq!(plain.bounds(), None);
}

/// Zones whose clocks change at noon of nowhere: at midnight, by half an hour, by a whole day.
const ZONES: [&str; 6] = [
    "UTC",
    "Europe/Madrid",
    "America/St_Johns",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Pacific/Apia",
];
const RULES: [&str; 6] = [
    "*/7 * * * *",
    "30 0 * * *",
    "0,30 23 * * *",
    "0 */6 * * *",
    "15 2 * * SUN",
    "0 0 1,15 * *",
];

proptest! {
    /// The bounds against the plain rule, of which what they leave out is struck by hand.
    #[test]
    fn what_is_due_within_bounds_is_what_is_left_of_the_rule(
        zone in 0..ZONES.len(),
        rule in 0..RULES.len(),
        begin in prop_oneof![
            // Around changes of these clocks, and anywhere.
            Just(1_194_000_000_i64), Just(1_325_100_000), Just(1_774_600_000), Just(1_788_600_000),
            1_000_000_000..2_000_000_000_i64,
        ],
        start in proptest::option::of(0..10 * 86_400_i64),
        end in proptest::option::of(10 * 86_400..40 * 86_400_i64),
        excluded in proptest::collection::vec((0..30_i64, 0..4_i64), 0..6),
    ) {
        let zone = Zone::new(ZONES[zone]).unwrap();
        let shown = |at: Timestamp| zone.to_jiff().to_datetime(at.to_jiff()).date();
        let second = |offset: i64| Timestamp::from_millis((begin + offset) * 1_000);
        let day = |offset: i64| shown(second(offset * 86_400));
        let ranges: Vec<_> = excluded.iter().map(|(first, more)| (day(*first), day(first + more))).collect();
        let entries = ranges.iter().map(|(first, last)| format!("{first}..{last}"));
        let bounds = Bounds {
            start: start.map(second),
            end: end.map(second),
            limit: None,
            exclude: ExcludedDates::read(entries.collect::<Vec<_>>()).unwrap(),
        };
        let plain = Recurrence::Cron { expression: CronExpr::parse(RULES[rule]).unwrap(), zone: zone.clone() };
        let bounded = plain.clone().within(bounds.clone()).unwrap();
        let until = second(45 * 86_400);
        let walk = |rule: &Recurrence| -> Vec<Timestamp> {
            let next = |at: &Timestamp| rule.next_after(*at).filter(|at| *at <= until);
            std::iter::successors(next(&second(0)), next).collect()
        };
        let mut expected = walk(&plain);
        expected.retain(|at| {
            bounds.start.is_none_or(|start| *at >= start)
                && bounds.end.is_none_or(|end| *at <= end)
                && !ranges.iter().any(|(first, last)| (*first..=*last).contains(&shown(*at)))
        });
        prop_assert_eq!(walk(&bounded), expected);
    }
}
