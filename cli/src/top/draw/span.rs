//! Time, in few characters.

use std::time::Duration;

use tidemill::{Timestamp, format_duration};

/// An instant, to the second.
pub(super) fn at(at: Timestamp) -> String {
    let whole = Timestamp::from_millis(at.as_millis() / 1_000 * 1_000);
    whole.to_string().replace(".000Z", "Z")
}

/// A span of time in few characters: two units at most.
pub(super) fn short(span: Duration) -> String {
    let seconds = span.as_secs();
    let grain = match seconds {
        0..3_600 => 1,
        3_600..86_400 => 60,
        _ => 3_600,
    };
    format_duration(Duration::from_secs(seconds / grain * grain)).replace(' ', "")
}
