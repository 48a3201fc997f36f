//! Whether this process has lived without a gap, so that a lease that looks expired is.

use tidemill_shared::Timestamp;
use tokio::time::Instant;

use crate::settings::Settings;

/// Both clocks as they were at the last look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pulse {
    wall: Timestamp,
    instant: Instant,
}

/// Why leases that look expired may be alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The store's clock has gained on the monotonic one: it was set, or the machine slept.
    ClockLeapt,
    /// The sweep comes late: this process was stopped, or its threads were blocked.
    Late,
    /// This worker's own leases have not been renewed of late.
    NotRenewed,
}

impl Doubt {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::ClockLeapt => "the clock leapt",
            Self::Late => "the sweep is late",
            Self::NotRenewed => "the own leases are not renewed",
        }
    }
}

impl Pulse {
    pub(super) const fn new(wall: Timestamp, instant: Instant) -> Self {
        Self { wall, instant }
    }

    /// Looks at a sweep that was due at `due`, with the latest round of renewals that began at
    /// `renewed`.
    pub(super) fn doubt(
        &mut self,
        wall: Timestamp,
        now: Instant,
        due: Instant,
        renewed: Option<Instant>,
        settings: &Settings,
    ) -> Option<Doubt> {
        let walked = wall.since(self.wall);
        let passed = now.saturating_duration_since(self.instant);
        *self = Self::new(wall, now);
        let third = settings.lease / 3;
        let two_beats = settings.heartbeat() * 2;
        if walked.saturating_sub(passed) > third {
            return Some(Doubt::ClockLeapt);
        }
        if now.saturating_duration_since(due) > two_beats {
            return Some(Doubt::Late);
        }
        let fresh = two_beats.max(third);
        if renewed.is_none_or(|at| now.saturating_duration_since(at) > fresh) {
            return Some(Doubt::NotRenewed);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidemill_shared::{Clock, ManualClock, Timestamp};
    use tokio::time::Instant;

    use super::{Doubt, Pulse};
    use crate::settings::Settings;

    /// A worker with leases of 10 s, so a beat of 1 s, and the round of a sweep 1 s after the last.
    struct Round {
        clock: ManualClock,
        start: Instant,
        pulse: Pulse,
    }

    const SECOND: Duration = Duration::from_secs(1);

    impl Round {
        fn new() -> Self {
            let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
            let start = Instant::now();
            let pulse = Pulse::new(clock.now(), start);
            Self {
                clock,
                start,
                pulse,
            }
        }

        /// The next look, `after` by the monotonic clock and `by` by the wall; the renewals began
        /// `renewed` before the look.
        fn look(&mut self, after: Duration, by: Duration, renewed: Option<u64>) -> Option<Doubt> {
            self.clock.advance(by);
            let due = self.start + SECOND;
            let now = self.start + after;
            self.start = now;
            let renewed = renewed.map(|seconds| now - Duration::from_secs(seconds));
            let settings = Settings::default();
            self.pulse
                .doubt(self.clock.now(), now, due, renewed, &settings)
        }
    }

    #[test]
    fn a_worker_that_lives_on_sweeps() {
        let mut round = Round::new();
        for _ in 0..3 {
            assert_eq!(round.look(SECOND, SECOND, Some(1)), None);
        }
    }

    #[test]
    fn after_a_leap_of_the_wall_clock_or_a_suspend_there_is_no_sweep() {
        let mut round = Round::new();
        let leapt = round.look(SECOND, 60 * SECOND, Some(1));
        assert_eq!(leapt, Some(Doubt::ClockLeapt));
        assert_eq!(round.look(SECOND, SECOND, Some(1)), None);
        // A little, or backwards, harms nobody.
        assert_eq!(round.look(SECOND, 4 * SECOND, Some(1)), None);
        round.clock.set(Timestamp::from_millis(0));
        assert_eq!(round.look(SECOND, SECOND, Some(1)), None);
    }

    #[test]
    fn after_a_stop_of_the_process_there_is_no_sweep() {
        let mut round = Round::new();
        let late = round.look(30 * SECOND, 30 * SECOND, Some(0));
        assert_eq!(late, Some(Doubt::Late));
        assert_eq!(round.look(SECOND, SECOND, Some(1)), None);
    }

    #[test]
    fn while_the_own_leases_are_not_renewed_there_is_no_sweep() {
        let mut round = Round::new();
        let stale = round.look(SECOND, SECOND, Some(4));
        assert_eq!(stale, Some(Doubt::NotRenewed));
        assert_eq!(round.look(SECOND, SECOND, None), Some(Doubt::NotRenewed));
    }
}
