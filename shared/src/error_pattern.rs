//! Which failures are meant.

use std::fmt;
use std::str::FromStr;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::{Error, FailureRecord, Result};

/// The longest pattern, in bytes.
const MAX_TEXT: usize = 1_000;
/// What the compiled form may take. Matching takes time that grows with the text alone, whatever the pattern.
const MAX_SIZE: usize = 1 << 20;

/// A regular expression that a failure has to match somewhere, as it is shown: its class, a colon and its message.
/// Upper and lower case are the same.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ErrorPattern(Regex);

impl ErrorPattern {
    /// Reads a pattern in the [syntax of the crate `regex`](https://docs.rs/regex/latest/regex/#syntax).
    pub fn new(text: &str) -> Result<Self> {
        if text.len() > MAX_TEXT {
            return Err(Error::invalid(
                "error pattern",
                format!("the pattern is over {MAX_TEXT} bytes long"),
            ));
        }
        let mut builder = RegexBuilder::new(text);
        let built = builder.case_insensitive(true).size_limit(MAX_SIZE).build();
        built.map(Self).map_err(|error| {
            let why = match error {
                regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
                error => error.to_string(),
            };
            let what = format!(
                "{text:?} is no regular expression: {why}; a backslash before . ( ) [ ] {{ }} + * ? ^ $ | means the sign itself"
            );
            Error::invalid("error pattern", what)
        })
    }

    /// The pattern as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether a failure is meant.
    #[must_use]
    pub fn is_match(&self, failure: &FailureRecord) -> bool {
        self.0.is_match(&failure.to_string())
    }
}

impl FromStr for ErrorPattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl TryFrom<String> for ErrorPattern {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::new(&text)
    }
}

impl From<ErrorPattern> for String {
    fn from(pattern: ErrorPattern) -> Self {
        pattern.as_str().to_owned()
    }
}

impl PartialEq for ErrorPattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for ErrorPattern {}

impl fmt::Display for ErrorPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ErrorPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorPattern;
    use crate::FailureRecord;

    #[test]
    fn a_pattern_finds_what_is_shown_whatever_its_case() {
        let failure = FailureRecord::new("timeout", "Relay 10.0.0.7 did not ANSWER in 30s");
        for text in [
            "answer",
            "relay .* in",
            "^timeout: ",
            r"\d+s$",
            "did not|never",
            "",
        ] {
            let pattern = ErrorPattern::new(text).unwrap();
            assert!(pattern.is_match(&failure), "{text}");
        }
        for text in ["^relay", "answers", "10.0.0.8"] {
            let pattern = ErrorPattern::new(text).unwrap();
            assert!(!pattern.is_match(&failure), "{text}");
        }
    }

    #[test]
    fn what_is_no_pattern_says_so() {
        for text in ["(", "a{1000}{1000}{1000}", "[", &"x".repeat(1_001)] {
            let error = ErrorPattern::new(text).unwrap_err().to_string();
            assert!(
                error.contains("pattern") || error.contains("regular"),
                "{error}"
            );
        }
    }

    /// S33.
    #[test]
    fn nested_repetition_takes_no_longer() {
        let pattern = ErrorPattern::new("(a+)+$").unwrap();
        let failure = FailureRecord {
            class: "error".into(),
            message: format!("{}!", "a".repeat(100_000)),
        };
        assert!(!pattern.is_match(&failure));
    }
}
