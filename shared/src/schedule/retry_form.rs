//! The retry policy as it stands in a schedule file.
//!
//! On the wire a policy may carry fields of a newer version, which are ignored; in a file an unknown
//! field is a misspelt one, and refused.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::{Jitter, RetryPolicy, seconds_text};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RetryForm {
    max_attempts: u32,
    #[serde(with = "seconds_text")]
    initial: Duration,
    multiplier: f64,
    #[serde(with = "seconds_text")]
    max: Duration,
    jitter: Jitter,
    #[serde(with = "seconds_text::option")]
    max_elapsed: Option<Duration>,
    non_retryable: Vec<String>,
    crash_limit: u32,
}

impl Default for RetryForm {
    fn default() -> Self {
        let policy = RetryPolicy::default();
        Self {
            max_attempts: policy.max_attempts,
            initial: policy.initial,
            multiplier: policy.multiplier,
            max: policy.max,
            jitter: policy.jitter,
            max_elapsed: policy.max_elapsed,
            non_retryable: policy.non_retryable,
            crash_limit: policy.crash_limit,
        }
    }
}

/// Reads a retry policy as people write it, and refuses fields that it does not know: for
/// `deserialize_with`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RetryPolicy, D::Error> {
    let form = RetryForm::deserialize(deserializer)?;
    Ok(RetryPolicy {
        max_attempts: form.max_attempts,
        initial: form.initial,
        multiplier: form.multiplier,
        max: form.max,
        jitter: form.jitter,
        max_elapsed: form.max_elapsed,
        non_retryable: form.non_retryable,
        crash_limit: form.crash_limit,
    })
}
