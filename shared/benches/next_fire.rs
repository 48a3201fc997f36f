//! How long it takes to find the next instant of a cron expression, beside the crate croner.
//!
//! `cargo bench -p tidemill-shared --bench next_fire`

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock and prints what it found"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use croner::parser::{CronParser, Seconds, Year};
use tidemill_shared::Timestamp;
use tidemill_shared::schedule::{CronExpr, Interval, Recurrence, Zone};

const EXPRESSIONS: [&str; 9] = [
    "* * * * *",
    "*/15 * * * *",
    "0 9 * * MON-FRI",
    "0 0/15 8-17 * * ?",
    "30 2 * * *",
    "0 0 ? * 5L",
    "0 0 29 2 1",
    "0 0 0 29 2 ? 2096",
    "*/7 */11 */5 29 2 ? 2096",
];
const ZONES: [&str; 2] = ["UTC", "America/New_York"];
/// How long each is measured.
const SPAN: Duration = Duration::from_millis(200);

/// Nanoseconds per call: each call starts from what the last one found.
fn measure(mut next: impl FnMut(usize)) -> f64 {
    let start = Instant::now();
    let mut calls = 0_u32;
    while start.elapsed() < SPAN {
        for _ in 0..16 {
            next(usize::try_from(calls).unwrap());
            calls += 1;
        }
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
}

fn main() {
    let begin: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    println!(
        "{:<28}{:<18}{:>14}{:>14}{:>9}",
        "expression", "zone", "tidemill", "croner", "ratio"
    );
    for text in EXPRESSIONS {
        for name in ZONES {
            let (cron, zone) = (CronExpr::parse(text).unwrap(), Zone::new(name).unwrap());
            let mut at = begin;
            let ours = measure(|_| at = cron.next_after(black_box(at), &zone).unwrap_or(begin));

            let other = CronParser::builder()
                .seconds(Seconds::Optional)
                .year(Year::Optional)
                .sloppy_ranges(true)
                .build()
                .parse(&text.replace('?', "*"))
                .unwrap();
            let first = begin.to_jiff().to_zoned(zone.to_jiff().clone());
            let mut at = first.clone();
            let theirs = measure(|_| {
                at = other
                    .find_next_occurrence(black_box(&at), false)
                    .unwrap_or_else(|_| first.clone());
            });
            println!(
                "{text:<28}{name:<18}{ours:>11.0} ns{theirs:>11.0} ns{:>8.1}x",
                theirs / ours
            );
        }
    }
    let every = Recurrence::Every(Interval::new(Duration::from_secs(30)).unwrap());
    let mut at = begin;
    let nanos = measure(|_| at = every.next_after(black_box(at)).unwrap_or(begin));
    println!("{:<46}{nanos:>11.0} ns", "every = \"30s\"");
    let parsed = measure(|n| {
        black_box(CronExpr::parse(EXPRESSIONS[n % EXPRESSIONS.len()]).unwrap());
    });
    println!("{:<46}{parsed:>11.0} ns", "parsing, on average");
}
