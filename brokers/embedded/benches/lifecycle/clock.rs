//! The wall clock, and a stopwatch.

use std::time::{Duration, Instant, SystemTime};

use tidemill_shared::{Clock, Sleep, Timestamp};

#[derive(Debug)]
pub(crate) struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Timestamp::from_micros(0) + since.unwrap_or_default()
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        Box::pin(tokio::time::sleep(deadline.since(self.now())))
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement")]
pub(crate) fn start() -> Instant {
    Instant::now()
}

/// The processor time of this process, in steps of 10 ms; zero where `/proc` does not tell it.
pub(crate) fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold blanks, user and system time are the 12th and 13th field.
    let ticks = stat.rsplit(')').next().map(|rest| {
        let fields = rest.split_whitespace().skip(11).take(2);
        fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
    });
    Duration::from_millis(10 * ticks.unwrap_or(0))
}
