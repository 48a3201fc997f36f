//! The grammar of cron expressions: what is accepted, what is refused and how.

#![expect(
    clippy::unwrap_used,
    reason = "these are tests, their helpers included"
)]

use std::time::{Duration, Instant};

use tidemill_shared::schedule::{CronExpr, Zone};
use tidemill_shared::{ErrorKind, Timestamp};

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The next instants in UTC after 2026-01-01T00:00:00Z, which is a Thursday.
fn next(cron: &str, count: usize) -> Vec<String> {
    next_from(cron, "2026-01-01T00:00:00Z", count)
}

fn next_from(cron: &str, from: &str, count: usize) -> Vec<String> {
    let cron = CronExpr::parse(cron).unwrap();
    let mut at = instant(from);
    let mut found = Vec::new();
    for _ in 0..count {
        let Some(next) = cron.next_after(at, &Zone::utc()) else {
            break;
        };
        found.push(
            next.to_string()
                .replace(":00.000Z", "")
                .replace(".000Z", ""),
        );
        at = next;
    }
    found
}

#[test]
fn five_six_and_seven_fields_are_taken() {
    assert_eq!(next("30 9 * * *", 1), ["2026-01-01T09:30"]);
    assert_eq!(next("15 30 9 * * *", 1), ["2026-01-01T09:30:15"]);
    assert_eq!(next("15 30 9 1 1 ? 2028", 2), ["2028-01-01T09:30:15"]);
}

#[test]
fn a_quarter_of_an_hour_within_office_hours_is_due_forty_times_a_day() {
    let due = next("0 0/15 8-17 * * ?", 41);
    assert_eq!(due[0], "2026-01-01T08:00");
    assert_eq!(due[1], "2026-01-01T08:15");
    assert_eq!(due[39], "2026-01-01T17:45");
    assert_eq!(due[40], "2026-01-02T08:00");
}

#[test]
fn seven_and_zero_are_sunday() {
    for cron in [
        "0 0 * * 7",
        "0 0 * * 0",
        "0 0 * * SUN",
        "0 0 * * sun",
        "0 0 * * sun-sun",
    ] {
        assert_eq!(
            next(cron, 2),
            ["2026-01-04T00:00", "2026-01-11T00:00"],
            "{cron}"
        );
    }
}

#[test]
fn a_range_of_weekdays_may_end_on_sunday() {
    for cron in [
        "0 0 * * mon-sun",
        "0 0 * * 1-7",
        "0 0 * * 0-6",
        "0 0 * * 0-7",
    ] {
        assert_eq!(next(cron, 7).len(), 7);
        assert_eq!(next(cron, 7)[6], "2026-01-08T00:00", "{cron}");
    }
    assert_eq!(next("0 0 * * FRI-SUN", 3)[2], "2026-01-04T00:00");
}

#[test]
fn either_day_field_is_enough_when_both_are_given() {
    assert_eq!(
        next("0 0 1,15 * MON", 4),
        [
            "2026-01-05T00:00",
            "2026-01-12T00:00",
            "2026-01-15T00:00",
            "2026-01-19T00:00"
        ]
    );
}

#[test]
fn the_special_days_of_a_month_are_found() {
    let cases = [
        ("0 0 L * ?", ["2026-01-31T00:00", "2026-02-28T00:00"]),
        ("0 0 15W * ?", ["2026-01-15T00:00", "2026-02-16T00:00"]),
        ("0 0 LW * ?", ["2026-01-30T00:00", "2026-02-27T00:00"]),
        ("0 0 ? * 5L", ["2026-01-30T00:00", "2026-02-27T00:00"]),
        ("0 0 ? * friL", ["2026-01-30T00:00", "2026-02-27T00:00"]),
        ("0 0 ? * MON#2", ["2026-01-12T00:00", "2026-02-09T00:00"]),
        ("0 0 ? * 7#1", ["2026-01-04T00:00", "2026-02-01T00:00"]),
    ];
    for (cron, expected) in cases {
        assert_eq!(next(cron, 2), expected, "{cron}");
    }
}

#[test]
fn names_lists_ranges_and_steps_go_together() {
    assert_eq!(
        next("0 0 1 jan,Mar-MAY/2 *", 3),
        ["2026-03-01T00:00", "2026-05-01T00:00", "2027-01-01T00:00"]
    );
    assert_eq!(
        next("5-59/20,1 0 1 2 *", 4),
        [
            "2026-02-01T00:01",
            "2026-02-01T00:05",
            "2026-02-01T00:25",
            "2026-02-01T00:45"
        ]
    );
    assert_eq!(
        next("0 0 ? * 1/2", 4),
        [
            "2026-01-02T00:00",
            "2026-01-05T00:00",
            "2026-01-07T00:00",
            "2026-01-09T00:00"
        ]
    );
}

#[test]
fn macros_stand_for_their_expressions() {
    for (name, same) in [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@Annually", "0 0 1 1 *"),
    ] {
        assert_eq!(next(name, 5), next(same, 5));
        assert_eq!(CronExpr::parse(name).unwrap().as_str(), name);
    }
}

#[test]
fn spaces_and_tabs_around_and_between_do_not_matter() {
    assert_eq!(next("  0\t 12  * * * ", 1), ["2026-01-01T12:00"]);
}

#[test]
fn a_year_list_ends() {
    assert_eq!(next("0 0 0 29 2 ? 2096", 2), ["2096-02-29T00:00"]);
    assert_eq!(
        next("0 0 0 1 1 ? 2030-2099/60", 3),
        ["2030-01-01T00:00", "2090-01-01T00:00"]
    );
    assert_eq!(next("0 0 0 1 1 ? 2020", 1), [""; 0]);
}

#[test]
fn leap_days_are_found_across_a_century_that_has_none() {
    assert_eq!(
        next_from("0 0 29 2 *", "2096-03-01T00:00:00Z", 1),
        ["2104-02-29T00:00"]
    );
    assert_eq!(
        next_from("0 0 ? 2 THU#5", "2090-01-01T00:00:00Z", 1),
        ["2120-02-29T00:00"]
    );
}

#[test]
fn the_ends_of_time_are_answered() {
    let cron = CronExpr::parse("* * * * * *").unwrap();
    let zone = Zone::new("Pacific/Kiritimati").unwrap();
    assert!(cron.next_after(Timestamp::MIN, &zone).is_some());
    assert_eq!(cron.next_after(Timestamp::MAX, &zone), None);
}

/// What has to be refused, with the text that the marks stand under.
const REFUSED: &[(&str, &str)] = &[
    ("*/0 * * * *", "0"),
    ("*/61 * * * *", "61"),
    ("60 * * * *", "60"),
    ("* 24 * * *", "24"),
    ("* * 0 * *", "0"),
    ("* * 32 * *", "32"),
    ("* * * 13 *", "13"),
    ("* * * * 8", "8"),
    ("60 * * * * *", "60"),
    ("0 0 0 1 1 ? 1969", "1969"),
    ("0 0 0 1 1 ? 2100", "2100"),
    ("5-1 * * * *", "5-1"),
    ("* * * * FRI-MON", "FRI-MON"),
    ("* * * NOV-FEB *", "NOV-FEB"),
    ("1-2-3 * * * *", "2-3"),
    ("1-99999999999999999999 * * * *", "99999999999999999999"),
    ("1/2/3 * * * *", "2/3"),
    ("*/x * * * *", "x"),
    ("*5 * * * *", "*5"),
    ("+1 * * * *", "+1"),
    ("1.5 * * * *", "1.5"),
    ("? ? ? ? ?", "?"),
    ("? * * * *", "?"),
    ("* * * ? *", "?"),
    ("0 0 ? * ?", "?"),
    ("H H * * *", "H"),
    ("H/15 * * * *", "H"),
    ("L * * * *", "L"),
    ("* * * * L", "L"),
    ("* * 32W * *", "32"),
    ("* * WL * *", "WL"),
    ("* * * * MON#6", "6"),
    ("* * * * MON#0", "0"),
    ("* * * * MON#+2", "+2"),
    ("* * * * XYZ", "XYZ"),
    ("* * * FRI *", "FRI"),
    ("MON * * * *", "MON"),
    ("@reboot", "@reboot"),
    ("@every 0s", "@every"),
    ("@every 1ns", "@every"),
    ("@sometimes", "@sometimes"),
    ("CRON_TZ=Nope 0 0 * * *", "CRON_TZ=Nope"),
    ("TZ= 0 0 * * *", "TZ="),
    ("0 0 30 2 *", "30 2 *"),
    ("0 0 31 4 *", "31 4 *"),
    ("0 0 0 29 2 ? 2097", "29 2 ? 2097"),
    ("0 0 ? 2 8L", "8"),
    ("* * * * * * * *", "*"),
];

#[test]
fn what_is_wrong_is_refused_with_a_mark_under_the_place() {
    for (cron, place) in REFUSED {
        let error = CronExpr::parse(cron).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{cron}");
        let message = error.to_string();
        let lines: Vec<&str> = message.lines().collect();
        let [reason, shown, marks, expected] = lines[..] else {
            panic!("expected four lines: {message}");
        };
        assert!(
            reason.starts_with("the cron expression is not valid: "),
            "{message}"
        );
        assert_eq!(shown, format!("  {cron}"), "{message}");
        assert!(expected.starts_with("expected "), "{message}");
        let start = marks.find('^').unwrap();
        assert_eq!(shown.get(start..marks.len()), Some(*place), "{message}");
    }
}

#[test]
fn what_is_missing_is_refused_with_a_mark_at_the_place() {
    for (cron, column) in [
        ("1,,2 * * * *", 2),
        (",1 * * * *", 0),
        ("1, * * * *", 2),
        ("-1 * * * *", 0),
        ("1- * * * *", 2),
        ("*/ * * * *", 2),
        ("/5 * * * *", 0),
        ("* * * *", 7),
        ("", 0),
        ("* * * * #2", 8),
    ] {
        let message = CronExpr::parse(cron).unwrap_err().to_string();
        let marks = message.lines().nth(2).unwrap();
        assert_eq!(marks, format!("  {}^", " ".repeat(column)), "{message}");
    }
}

#[test]
fn strange_characters_are_refused_and_never_shown_raw() {
    let long = "*".repeat(100_000);
    for cron in [
        "* * * * *\0",
        "* * * * *\n* * * * *",
        "١ * * * *",
        "é * * * *",
        "* * * * \u{202e}1",
        "* * * * *\u{1b}[31m",
        "\u{a0}* * * * *",
        &long,
        &"1,".repeat(50_000),
        &"é".repeat(50_000),
    ] {
        let message = CronExpr::parse(cron).unwrap_err().to_string();
        assert!(message.len() < 600, "{} bytes", message.len());
        assert!(
            message
                .chars()
                .all(|c| c == '\n' || c == '…' || matches!(c, ' '..='~')),
            "{message:?}"
        );
    }
}

#[test]
fn the_remedy_is_named() {
    for (cron, remedy) in [
        ("@every 30s", "every = \"30s\""),
        (
            "CRON_TZ=Europe/Madrid 0 0 * * *",
            "time_zone = \"Europe/Madrid\"",
        ),
        ("H * * * *", "jitter"),
        ("* * * * FRI-MON", "FRI-6,0-MON"),
        ("* * * *", "5 fields"),
    ] {
        let message = CronExpr::parse(cron).unwrap_err().to_string();
        assert!(message.contains(remedy), "{message}");
    }
}

#[test]
fn what_never_fires_is_refused_within_fifty_milliseconds() {
    for cron in [
        "0 0 30 2 *",
        "0 0 31 4 *",
        "0 0 31 2,4,6,9,11 *",
        "0 0 0 29 2 ? 2097-2099",
    ] {
        let start = started();
        let message = CronExpr::parse(cron).unwrap_err().to_string();
        assert!(
            start.elapsed() < Duration::from_millis(50),
            "{:?}",
            start.elapsed()
        );
        assert!(message.contains("never fires"), "{message}");
    }
}

#[test]
fn the_next_instant_of_a_sparse_expression_takes_microseconds() {
    let zone = Zone::new("America/New_York").unwrap();
    let from = instant("2026-01-01T00:00:00Z");
    for cron in [
        "0 0 0 29 2 ? 2096",
        "0 0 29 2 1",
        "59 59 23 31 12 ? 2099",
        "0 0 ? 2 MON#5",
        "*/7 */11 */5 29 2 ? 2096",
    ] {
        let cron = CronExpr::parse(cron).unwrap();
        // The best of many, because the machine may be busy with something else.
        let best = (0..200)
            .map(|_| {
                let start = started();
                std::hint::black_box(cron.next_after(from, &zone));
                start.elapsed()
            })
            .min()
            .unwrap();
        assert!(
            best < Duration::from_micros(500),
            "{}: {best:?}",
            cron.as_str()
        );
    }
}

#[expect(clippy::disallowed_methods, reason = "this measures elapsed time")]
fn started() -> Instant {
    Instant::now()
}

#[test]
fn common_expressions_read_as_plain_words() {
    for (cron, words) in [
        ("* * * * *", "every minute"),
        ("* * * * * *", "every second"),
        ("0/30 * * * * ?", "every 30 seconds"),
        ("*/15 * * * *", "every 15 minutes"),
        ("0 * * * *", "every hour"),
        ("5 * * * *", "every hour at minute 5"),
        ("10,40 * * * *", "at minutes 10 and 40 of every hour"),
        ("0 */3 * * *", "every 3 hours"),
        ("0 9 * * *", "at 09:00 every day"),
        ("@daily", "at 00:00 every day"),
        ("30 15 9 * * *", "at 09:15:30 every day"),
        ("0 9 * * MON-FRI", "at 09:00 on Monday to Friday"),
        (
            "0 9,18 * * MON,THU",
            "at 09:00 and 18:00 on Monday and Thursday",
        ),
        ("0 0/15 8-17 * * ?", "every 15 minutes from 08:00 to 17:59"),
        (
            "*/5 9-17 * * 1-5",
            "every 5 minutes from 09:00 to 17:59 on Monday to Friday",
        ),
        ("0 0 1 * *", "at 00:00 on day 1 of the month"),
        ("0 0 L * *", "at 00:00 on the last day of the month"),
        (
            "0 0 15W * *",
            "at 00:00 on the weekday nearest to day 15 of the month",
        ),
        ("0 0 LW * *", "at 00:00 on the last weekday of the month"),
        (
            "0 0 ? * MON#2",
            "at 00:00 on the second Monday of the month",
        ),
        ("0 0 ? * 5L", "at 00:00 on the last Friday of the month"),
        (
            "0 0 1,15 * MON",
            "at 00:00 on days 1 and 15 of the month or on Monday",
        ),
        (
            "0 0 1 1,7 *",
            "at 00:00 on day 1 of the month in January and July",
        ),
        (
            "0 0 0 29 2 ? 2096",
            "at 00:00 on day 29 of the month in February in 2096",
        ),
        (
            "15 10-40 3 * * *",
            "at second 15 in minutes 10 to 40 from 03:00 to 03:59",
        ),
    ] {
        assert_eq!(CronExpr::parse(cron).unwrap().describe(), words, "{cron}");
    }
}
