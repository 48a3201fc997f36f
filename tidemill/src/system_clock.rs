//! The wall clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidemill_shared::{Clock, Sleep, Timestamp};

/// A stepped wall clock is noticed within this time.
const SLICE: Duration = Duration::from_secs(1);

/// The machine's wall clock, in UTC.
///
/// Sleeps on tokio's monotonic timer in slices of at most a second, so that a sleeper notices when
/// the wall clock has been stepped forward or back.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the wall clock"
    )]
    fn now(&self) -> Timestamp {
        let micros = |d: Duration| i64::try_from(d.as_micros()).unwrap_or(i64::MAX);
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => Timestamp::from_micros(micros(after)),
            Err(before) => Timestamp::from_micros(-micros(before.duration())),
        }
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        Box::pin(async move {
            loop {
                let rest = deadline.since(Self.now());
                if rest.is_zero() {
                    return;
                }
                tokio::time::sleep(rest.min(SLICE)).await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::SystemClock;
    use tidemill_shared::Clock;

    #[tokio::test]
    async fn a_sleeper_is_never_early() {
        for micros in [0, 1, 900, 1_500, 7_300] {
            let due = SystemClock.now() + Duration::from_micros(micros);
            SystemClock.sleep_until(due).await;
            assert!(SystemClock.now() >= due);
        }
    }
}
