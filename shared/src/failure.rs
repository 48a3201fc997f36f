//! Why a run did not succeed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest failure text that is kept, in bytes; more is cut and marked.
const MAX_MESSAGE: usize = 8 * 1024;

/// One failure of a run, as it is kept with the task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureRecord {
    /// A short stable word for metrics and for [`RetryPolicy::non_retryable`](crate::RetryPolicy),
    /// such as `error`, `panic`, `timeout` or one of the handler's own.
    pub class: String,
    /// What happened, at most 8 KiB.
    pub message: String,
}

impl FailureRecord {
    /// A failure of this class; an over-long message is cut at 8 KiB with a mark that says so.
    pub fn new(class: impl Into<String>, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > MAX_MESSAGE {
            let dropped = message.len();
            let cut = (0..=MAX_MESSAGE)
                .rev()
                .find(|at| message.is_char_boundary(*at))
                .unwrap_or(0);
            message.truncate(cut);
            message.push_str(&format!("… ({} bytes cut)", dropped - cut));
        }
        Self {
            class: class.into(),
            message,
        }
    }
}

impl fmt::Display for FailureRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.message)
    }
}

/// Why a task became a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuryReason {
    /// Its attempts were used up.
    AttemptsExhausted,
    /// Its handler rejected it, or failed with a class that is final.
    Rejected,
    /// Its deadline passed.
    DeadlineExceeded,
    /// Workers died under it as often as its crash limit allows.
    CrashLoop,
    /// No worker knew its kind for too long.
    UnknownKind,
    /// Its stored form could not be read; the bytes are kept.
    Undecodable,
    /// An operator buried it.
    Operator,
}

impl BuryReason {
    /// The name on the surface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AttemptsExhausted => "attempts_exhausted",
            Self::Rejected => "rejected",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::CrashLoop => "crash_loop",
            Self::UnknownKind => "unknown_kind",
            Self::Undecodable => "undecodable",
            Self::Operator => "operator",
        }
    }

    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::AttemptsExhausted,
        Self::Rejected,
        Self::DeadlineExceeded,
        Self::CrashLoop,
        Self::UnknownKind,
        Self::Undecodable,
        Self::Operator,
    ];
}

impl fmt::Display for BuryReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::FailureRecord;

    #[test]
    fn a_huge_message_is_cut_with_a_mark() {
        let failure = FailureRecord::new("error", "é".repeat(1_000_000));
        assert!(failure.message.len() < 9_000);
        assert!(failure.message.ends_with("bytes cut)"));
    }
}
