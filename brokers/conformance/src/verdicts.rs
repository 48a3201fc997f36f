//! Verdicts as the cases speak of them.

use tidemill_shared::{BuryReason, FailureRecord, Payload, ReleaseCause, Timestamp, Verdict};

/// Success without a result.
pub(crate) const fn ack() -> Verdict {
    Verdict::Ack { result: None }
}

/// Success with a result.
pub(crate) fn ack_with(text: &str) -> Verdict {
    Verdict::Ack {
        result: Some(Payload::bytes(text.as_bytes())),
    }
}

/// A failure that is retried.
pub(crate) fn retry(at: Timestamp, message: &str) -> Verdict {
    Verdict::Retry {
        at,
        failure: FailureRecord::new("error", message),
    }
}

/// The last failure.
pub(crate) fn bury(message: &str) -> Verdict {
    bury_for(BuryReason::AttemptsExhausted, message)
}

/// A failure that buries, for this reason.
pub(crate) fn bury_for(reason: BuryReason, message: &str) -> Verdict {
    Verdict::Bury {
        reason,
        failure: FailureRecord::new("error", message),
    }
}

/// Back to the front at once.
pub(crate) const fn release(cause: ReleaseCause) -> Verdict {
    Verdict::Release { at: None, cause }
}

/// Back at an instant, at the handler's wish.
pub(crate) const fn snooze(at: Timestamp) -> Verdict {
    Verdict::Release {
        at: Some(at),
        cause: ReleaseCause::Snooze,
    }
}
