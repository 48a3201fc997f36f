//! The server's clock, without a server: readings are handed in.

use std::time::Duration;

use tidemill_shared::Clock;
use tokio::task::JoinSet;

use super::{Hands, Reading, ServerClock};

const HOUR: i64 = 3_600_000_000;

fn clock(offset: i64) -> ServerClock {
    let clock = ServerClock {
        hands: Hands::new().into(),
        _tasks: JoinSet::new(),
    };
    clock.hands.set(Reading { offset, error: 10 });
    clock
}

fn correct(clock: &ServerClock, offset: i64, error: i64) {
    clock.hands.correct(Reading { offset, error });
}

/// How far the clock is from where this offset would put it, in microseconds.
fn distance(clock: &ServerClock, offset: i64) -> i64 {
    (clock.now().as_micros() - clock.hands.elapsed() - offset).abs()
}

#[test]
fn a_reading_that_agrees_within_its_error_changes_nothing() {
    let clock = clock(5 * HOUR);
    correct(&clock, 5 * HOUR + 400_000, 500_000);
    assert!(distance(&clock, 5 * HOUR) < 50_000);
}

#[test]
fn a_reading_that_disagrees_moves_the_clock_by_no_more_than_it_must() {
    let clock = clock(5 * HOUR);
    correct(&clock, 5 * HOUR + 700_000, 200_000);
    assert!(distance(&clock, 5 * HOUR + 500_000) < 50_000);
}

#[test]
fn a_small_correction_backwards_holds_the_clock_still() {
    let clock = clock(5 * HOUR);
    let before = clock.now();
    correct(&clock, 5 * HOUR - 900_000, 10);
    let held = clock.now();
    assert!(held >= before);
    assert_eq!(clock.now(), held);
}

#[test]
fn a_clock_that_was_set_back_by_hours_is_followed_at_once() {
    let clock = clock(5 * HOUR);
    let before = clock.now();
    correct(&clock, 2 * HOUR, 10);
    assert!(before.since(clock.now()) > Duration::from_secs(2 * 3_600));
    assert!(distance(&clock, 2 * HOUR) < 50_000);
}

#[tokio::test]
async fn a_sleeper_is_never_early() {
    let clock = clock(HOUR);
    for micros in [0, 1, 900, 1_500, 7_300] {
        let due = clock.now() + Duration::from_micros(micros);
        clock.sleep_until(due).await;
        assert!(clock.now() >= due);
    }
}

#[tokio::test]
async fn a_sleeper_notices_that_the_clock_was_set() {
    let clock = clock(HOUR);
    let due = clock.now() + Duration::from_secs(3_600);
    let mut sleepers = JoinSet::new();
    sleepers.spawn(clock.sleep_until(due));
    correct(&clock, 3 * HOUR, 10);
    sleepers.join_next().await.unwrap().unwrap();
    assert!(clock.now() >= due);
}
