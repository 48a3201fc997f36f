//! When a failed task runs again.

use std::time::Duration;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::timestamp::MAX_DURATION;
use crate::{Error, FailureRecord, Result, seconds_text};

/// How a delay is spread, so that what failed together does not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Jitter {
    /// Anywhere from zero to the computed delay ("full jitter").
    #[default]
    Full,
    /// From half of the computed delay to all of it ("equal jitter").
    Equal,
    /// The computed delay.
    None,
}

/// Exponential backoff as plain data: decided by the worker, executed by the broker.
///
/// After the `n`-th failure (from 1) the computed delay is `initial · multiplier^(n−1)`, at most
/// `max`, then spread by `jitter`. All arithmetic saturates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryPolicy {
    /// Runs in all, the first included; 1 means no retry. Default 10.
    pub max_attempts: u32,
    /// Delay after the first failure. Default 1 s.
    #[serde(with = "seconds_text")]
    pub initial: Duration,
    /// Growth per failure, from 1. Default 2.
    pub multiplier: f64,
    /// Upper limit of the delay. Default 10 min.
    #[serde(with = "seconds_text")]
    pub max: Duration,
    /// How the delay is spread. Default full.
    pub jitter: Jitter,
    /// No retry starts later than this after the task was enqueued. Default: no limit.
    #[serde(with = "seconds_text::option", skip_serializing_if = "Option::is_none")]
    pub max_elapsed: Option<Duration>,
    /// Classes of failure that are final at once. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub non_retryable: Vec<String>,
    /// How many crashes of a worker under this task bury it as poison. Default 3.
    pub crash_limit: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 10,
            initial: Duration::from_secs(1),
            multiplier: 2.0,
            max: Duration::from_secs(600),
            jitter: Jitter::Full,
            max_elapsed: None,
            non_retryable: Vec::new(),
            crash_limit: 3,
        }
    }
}

impl RetryPolicy {
    /// Refuses settings that make no sense, naming the one that is wrong.
    pub fn check(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::invalid("retry policy", message));
        if !(1..=1_000_000).contains(&self.max_attempts) {
            return wrong(format!(
                "max_attempts is {}; expected 1 to 1000000",
                self.max_attempts
            ));
        }
        if !(self.multiplier.is_finite() && (1.0..=1_000.0).contains(&self.multiplier)) {
            return wrong(format!(
                "multiplier is {}; expected 1 to 1000",
                self.multiplier
            ));
        }
        if self.crash_limit == 0 {
            return wrong("crash_limit is 0; expected 1 or more".into());
        }
        // What is longer could not be read back from the wire.
        let delays = [
            ("initial", Some(self.initial)),
            ("max", Some(self.max)),
            ("max_elapsed", self.max_elapsed),
        ];
        for (name, delay) in delays {
            if delay.is_some_and(|delay| delay > MAX_DURATION) {
                return wrong(format!("{name} is over 100 years"));
            }
        }
        Ok(())
    }

    /// The delay after the `failures`-th failure, before jitter.
    #[must_use]
    pub fn backoff(&self, failures: u32) -> Duration {
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.initial.as_secs_f64() * self.multiplier.powi(exponent);
        Duration::try_from_secs_f64(seconds)
            .unwrap_or(Duration::MAX)
            .min(self.max)
    }

    /// The delay before the next run, or `None` when this failure was the last.
    ///
    /// `failures` counts the failed runs, this one included; `elapsed` is the time since the task
    /// was enqueued.
    pub fn next_delay(
        &self,
        failures: u32,
        failure: &FailureRecord,
        elapsed: Duration,
        rng: &mut dyn Rng,
    ) -> Option<Duration> {
        if failures >= self.max_attempts || self.non_retryable.contains(&failure.class) {
            return None;
        }
        let backoff = self.backoff(failures);
        let delay = match self.jitter {
            Jitter::Full => backoff.mul_f64(rng.random::<f64>()),
            Jitter::Equal => backoff / 2 + (backoff / 2).mul_f64(rng.random::<f64>()),
            Jitter::None => backoff,
        };
        match self.max_elapsed {
            Some(limit) if elapsed.saturating_add(delay) > limit => None,
            _ => Some(delay),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::{Jitter, RetryPolicy};
    use crate::FailureRecord;

    fn plain() -> RetryPolicy {
        RetryPolicy {
            jitter: Jitter::None,
            ..RetryPolicy::default()
        }
    }

    #[test]
    fn the_delay_doubles_up_to_the_cap() {
        let policy = plain();
        let seconds: Vec<_> = (1..=12).map(|n| policy.backoff(n).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
    }

    #[test]
    fn extreme_counts_saturate_at_the_cap() {
        let policy = RetryPolicy {
            max: Duration::MAX,
            multiplier: 1_000.0,
            ..plain()
        };
        assert_eq!(policy.backoff(u32::MAX), Duration::MAX);
    }

    #[test]
    fn the_last_attempt_and_a_final_class_are_not_retried() {
        let mut rng = StdRng::seed_from_u64(1);
        let policy = RetryPolicy {
            max_attempts: 3,
            non_retryable: vec!["bad_input".into()],
            ..plain()
        };
        let error = FailureRecord::new("error", "boom");
        assert!(
            policy
                .next_delay(2, &error, Duration::ZERO, &mut rng)
                .is_some()
        );
        assert!(
            policy
                .next_delay(3, &error, Duration::ZERO, &mut rng)
                .is_none()
        );
        let fatal = FailureRecord::new("bad_input", "boom");
        assert!(
            policy
                .next_delay(1, &fatal, Duration::ZERO, &mut rng)
                .is_none()
        );
    }

    #[test]
    fn no_retry_starts_after_the_elapsed_limit() {
        let mut rng = StdRng::seed_from_u64(1);
        let policy = RetryPolicy {
            max_elapsed: Some(Duration::from_secs(10)),
            ..plain()
        };
        let error = FailureRecord::new("error", "boom");
        assert!(
            policy
                .next_delay(1, &error, Duration::from_secs(9), &mut rng)
                .is_some()
        );
        assert!(
            policy
                .next_delay(2, &error, Duration::from_secs(9), &mut rng)
                .is_none()
        );
    }

    #[test]
    fn jitter_stays_within_its_bounds_and_repeats_with_its_seed() {
        let error = FailureRecord::new("error", "boom");
        for (jitter, low) in [(Jitter::Full, 0), (Jitter::Equal, 4)] {
            let policy = RetryPolicy { jitter, ..plain() };
            let draw = |seed| {
                let mut rng = StdRng::seed_from_u64(seed);
                (0..100)
                    .map(|_| {
                        policy
                            .next_delay(4, &error, Duration::ZERO, &mut rng)
                            .unwrap()
                    })
                    .collect::<Vec<_>>()
            };
            assert!(draw(7).iter().all(|d| (low..=8).contains(&d.as_secs())));
            assert_eq!(draw(7), draw(7));
        }
    }

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        for (policy, name) in [
            (
                RetryPolicy {
                    max_attempts: 0,
                    ..plain()
                },
                "max_attempts",
            ),
            (
                RetryPolicy {
                    multiplier: f64::NAN,
                    ..plain()
                },
                "multiplier",
            ),
            (
                RetryPolicy {
                    crash_limit: 0,
                    ..plain()
                },
                "crash_limit",
            ),
            (
                RetryPolicy {
                    max_elapsed: Some(Duration::MAX),
                    ..plain()
                },
                "max_elapsed",
            ),
        ] {
            assert!(policy.check().unwrap_err().to_string().contains(name));
        }
    }
}
