//! What is wrong with an expression, and where.

use std::ops::Range;

use crate::Error;

/// What is wrong, and at which bytes of the expression.
#[derive(Debug)]
pub(super) struct Fault {
    place: Range<usize>,
    reason: String,
    expected: String,
}

impl Fault {
    pub(super) fn new(
        place: Range<usize>,
        reason: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            place,
            reason: reason.into(),
            expected: expected.into(),
        }
    }

    /// The error for an expression that is too long to be shown.
    pub(super) fn too_long(text: &str) -> Error {
        let start: String = text
            .chars()
            .take(40)
            .flat_map(char::escape_default)
            .collect();
        Error::invalid(
            "cron expression",
            format!(
                "the cron expression \"{start}…\" has {} bytes; expected at most {}",
                text.len(),
                super::MAX_TEXT
            ),
        )
    }

    /// The message: what is wrong, the expression, a line that marks the place, what was expected.
    pub(super) fn into_error(self, text: &str) -> Error {
        let mut shown = String::new();
        let mut marks = String::new();
        for (at, c) in text.char_indices() {
            // What a terminal would not show as one column is written as an escape.
            let piece: String = match c {
                ' '..='~' => c.into(),
                _ => c.escape_default().collect(),
            };
            let here =
                self.place.contains(&at) || (self.place.is_empty() && self.place.start == at);
            let mark = if here { '^' } else { ' ' };
            marks.extend(piece.chars().map(|_| mark));
            shown.push_str(&piece);
        }
        if !marks.contains('^') {
            marks.push('^');
        }
        Error::invalid(
            "cron expression",
            format!(
                "the cron expression is not valid: {}\n  {shown}\n  {}\nexpected {}",
                self.reason,
                marks.trim_end(),
                self.expected
            ),
        )
    }
}
