//! One error for the contracts: what went wrong, in which operation, and whether to try again.

use std::fmt;

/// The result of an operation of a contract.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller's input is wrong; the message says what was expected.
    Invalid,
    /// What was named does not exist.
    NotFound,
    /// It exists already, or has changed since it was read.
    Conflict,
    /// A limit refuses it for now, such as a full queue. Worth a retry.
    Refused,
    /// The store cannot be reached or is busy. Worth a retry.
    Unavailable,
    /// No answer came in time, so the outcome is unknown. Worth a retry with the same id.
    Timeout,
    /// Somebody else holds the right to do this: a stale lease or an old epoch.
    Fenced,
    /// Stored data cannot be read.
    Corrupt,
    /// This broker or build does not do that.
    Unsupported,
    /// A fault of Tidemill itself.
    Internal,
}

impl ErrorKind {
    /// A stable lower-case word for logs, metrics and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Fenced => "fenced",
            Self::Corrupt => "corrupt",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal",
        }
    }
}

/// An error of a contract. Its text is a lower-case fragment that fits behind "failed to …".
#[derive(Debug)]
#[non_exhaustive]
pub struct Error {
    kind: ErrorKind,
    operation: &'static str,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of this kind in this operation (a verb such as `enqueue`, or what was parsed).
    pub fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            operation,
            message: message.into(),
            source: None,
        }
    }

    /// The input is wrong.
    pub fn invalid(what: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, what, message)
    }

    /// Adds what caused it.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The operation that failed.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Refused | ErrorKind::Unavailable | ErrorKind::Timeout
        )
    }

    /// The same error for another caller of a shared batch (the cause is kept as text).
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let copy = Self::new(self.kind, self.operation, self.message.clone());
        let mut causes = Vec::new();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        if causes.is_empty() {
            copy
        } else {
            copy.with_source(causes.join(": "))
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_ref()
            .map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::{Error, ErrorKind};

    #[test]
    fn a_duplicate_keeps_its_causes_as_text() {
        let disk =
            Error::new(ErrorKind::Internal, "sync", "the disk is full").with_source("os error 28");
        let error =
            Error::new(ErrorKind::Unavailable, "enqueue", "the store is down").with_source(disk);
        let copy = error.duplicate();
        assert_eq!(copy.kind(), ErrorKind::Unavailable);
        assert_eq!(copy.to_string(), "the store is down");
        let cause = copy.source().unwrap().to_string();
        assert_eq!(cause, "the disk is full: os error 28");
        assert!(error.duplicate().duplicate().source().is_some());
        assert!(Error::invalid("x", "y").duplicate().source().is_none());
    }
}
