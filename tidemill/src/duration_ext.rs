//! Durations as they are spoken.

use std::time::Duration;

/// Durations as they are spoken: `10.minutes()`.
///
/// Only `u64` has these, so that a bare number such as `10` is one. They saturate at
/// [`Duration::MAX`].
///
/// ```
/// use std::time::Duration;
/// use tidemill::DurationExt;
///
/// assert_eq!(10.minutes(), Duration::from_secs(600));
/// ```
pub trait DurationExt {
    /// This many milliseconds.
    fn millis(self) -> Duration;
    /// This many seconds.
    fn seconds(self) -> Duration;
    /// This many minutes.
    fn minutes(self) -> Duration;
    /// This many hours.
    fn hours(self) -> Duration;
    /// This many days of 24 hours.
    fn days(self) -> Duration;
}

impl DurationExt for u64 {
    fn millis(self) -> Duration {
        Duration::from_millis(self)
    }

    fn seconds(self) -> Duration {
        Duration::from_secs(self)
    }

    fn minutes(self) -> Duration {
        Duration::from_secs(self.saturating_mul(60))
    }

    fn hours(self) -> Duration {
        Duration::from_secs(self.saturating_mul(3_600))
    }

    fn days(self) -> Duration {
        Duration::from_secs(self.saturating_mul(86_400))
    }
}
