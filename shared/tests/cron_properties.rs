//! Properties of the next due instant, against the crate croner as a second opinion.

#![expect(
    clippy::unwrap_used,
    reason = "these are tests, their helpers included"
)]

use std::sync::OnceLock;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use tidemill_shared::Timestamp;
use tidemill_shared::schedule::{CronExpr, Zone};

/// A value, a range, a step or a short list, within these ends.
fn field(min: u32, max: u32) -> impl Strategy<Value = String> {
    let value = min..=max;
    let range = (min..=max, min..=max).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b)));
    let span = max - min + 1;
    prop_oneof![
        3 => Just("*".to_owned()),
        2 => value.clone().prop_map(|v| v.to_string()),
        1 => range.clone(),
        1 => (2..=span.min(30)).prop_map(|n| format!("*/{n}")),
        1 => (range, 1..=span.min(9)).prop_map(|(range, n)| format!("{range}/{n}")),
        1 => prop::collection::vec(value, 1..4).prop_map(|values| {
            values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        }),
    ]
}

/// A day of the month. Steps from `*` are left out: croner, like Vixie, does not count them as a
/// restriction, and Tidemill does.
fn month_day() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("*".to_owned()),
        2 => (1..=31_u32).prop_map(|day| day.to_string()),
        1 => (1..=28_u32).prop_map(|day| format!("{day}W")),
        1 => Just("L".to_owned()),
        1 => (1..=15_u32, 16..=31_u32).prop_map(|(from, to)| format!("{from}-{to}")),
    ]
}

fn weekday() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("*".to_owned()),
        2 => (0..=7_u32).prop_map(|day| day.to_string()),
        1 => (0..=6_u32, 1..=4_u32).prop_map(|(day, nth)| format!("{day}#{nth}")),
        1 => (0..=6_u32).prop_map(|day| format!("{day}L")),
        1 => Just("MON-FRI".to_owned()),
        1 => Just("sat,SUN".to_owned()),
    ]
}

/// An expression of six fields that can be due.
fn expression() -> impl Strategy<Value = String> {
    (
        field(0, 59),
        field(0, 59),
        field(0, 23),
        month_day(),
        field(1, 12),
        weekday(),
    )
        .prop_map(|(s, m, h, day, month, weekday)| format!("{s} {m} {h} {day} {month} {weekday}"))
        .prop_filter("it never fires", |text| CronExpr::parse(text).is_ok())
}

fn croner(text: &str) -> Cron {
    CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Optional)
        .build()
        .parse(text)
        .unwrap()
}

/// 1990 to 2090.
fn moment() -> impl Strategy<Value = Timestamp> {
    (631_152_000_000_000..3_786_912_000_000_000_i64).prop_map(Timestamp::from_micros)
}

/// Zones whose clocks change in different ways.
fn zones() -> &'static [Zone] {
    static ZONES: OnceLock<Vec<Zone>> = OnceLock::new();
    ZONES.get_or_init(|| {
        [
            "UTC",
            "America/New_York",
            "Australia/Lord_Howe",
            "America/Santiago",
            "Antarctica/Troll",
            "Africa/Casablanca",
            "Pacific/Apia",
        ]
        .map(|name| Zone::new(name).unwrap())
        .into()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_next_instant_in_utc_is_the_one_that_croner_finds(text in expression(), after in moment()) {
        let ours = CronExpr::parse(&text).unwrap().next_after(after, &Zone::utc());
        let start = after.to_jiff().to_zoned(TimeZone::UTC);
        let theirs = croner(&text).find_next_occurrence(&start, false).unwrap();
        // Croner keeps the fraction of the start, which no field can name.
        let theirs = theirs.round(jiff::ZonedRound::new().smallest(jiff::Unit::Second).mode(jiff::RoundMode::Floor)).unwrap();
        prop_assert_eq!(ours, Some(Timestamp::from_jiff(theirs.timestamp())), "{}", text);
    }

    #[test]
    fn the_next_instant_is_later_and_none_between_is_due(
        text in expression(),
        after in moment(),
        zone in 0..7_usize,
    ) {
        let zone = &zones()[zone];
        let (cron, second) = (CronExpr::parse(&text).unwrap(), croner(&text));
        let Some(next) = cron.next_after(after, zone) else { return Ok(()) };
        prop_assert!(next > after);
        let shown = |at: Timestamp| at.to_jiff().to_zoned(zone.to_jiff().clone());
        let matches = |at: Timestamp| second.is_time_matching(&shown(at)).unwrap();
        prop_assert!(
            matches(next) || cron.clock_change_at(next, zone).is_some(),
            "{text} is due at {next} in {zone:?} but does not match"
        );
        // Every second before it, as far as that is quick.
        let first = after.as_micros().div_euclid(1_000_000) + 1;
        for at in (first..next.as_micros() / 1_000_000).take(2_000) {
            let at = Timestamp::from_micros(at * 1_000_000);
            // A fixed time is not due again in the second pass of an overlap.
            prop_assert!(
                !matches(at) || cron.clock_change_at(at, zone).is_some(),
                "{text} matches at {at}, before {next}, in {zone:?}"
            );
        }
    }

    #[test]
    fn the_next_instant_is_the_same_from_anywhere_before_it(
        text in expression(),
        after in moment(),
        zone in 0..7_usize,
        share in 0.0..1.0_f64,
    ) {
        let (cron, zone) = (CronExpr::parse(&text).unwrap(), &zones()[zone]);
        let Some(next) = cron.next_after(after, zone) else { return Ok(()) };
        let within = after + next.since(after).mul_f64(share * 0.999_999);
        prop_assert_eq!(cron.next_after(within, zone), Some(next));
    }

    #[test]
    fn a_year_of_instants_never_goes_back_whatever_the_clock_does(
        text in expression(),
        after in moment(),
        zone in 0..7_usize,
    ) {
        let (cron, zone) = (CronExpr::parse(&text).unwrap(), &zones()[zone]);
        let mut at = after;
        for _ in 0..200 {
            let Some(next) = cron.next_after(at, zone) else { return Ok(()) };
            prop_assert!(next > at, "{text} goes from {at} to {next}");
            at = next;
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[ -~\\t\\n\u{0}é١]{0,60}") {
        if let Err(error) = CronExpr::parse(&text) {
            prop_assert!(error.to_string().lines().count() >= 1);
        }
    }

    #[test]
    fn text_that_looks_like_cron_never_makes_the_parser_panic(
        text in "([*?LWH0-9,/#-]{1,6}|MON|jan|SUN-SAT)( ([*?LW0-9,/#-]{1,6}|MON|FRIL)){3,7}"
    ) {
        if let Ok(cron) = CronExpr::parse(&text) {
            let _described: String = cron.describe();
            let after = Timestamp::from_micros(1_767_225_600_000_000);
            for zone in zones() {
                if let Some(next) = cron.next_after(after, zone) {
                    prop_assert!(next > after);
                }
            }
        }
    }
}
