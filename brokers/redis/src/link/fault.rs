//! What is wrong with a server, whoever asks.

use tidemill_shared::{Error, ErrorKind};

/// An error that belongs to no operation yet: callers that share a connection share its faults.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    kind: ErrorKind,
    message: String,
    /// It is a wrong setting at first, but an incident once the setting has worked.
    passes: bool,
}

impl Fault {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            passes: false,
        }
    }

    /// It may pass.
    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// It stays until somebody changes a setting.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// It is a wrong setting at first; once there was a connection, it may pass: a master that was
    /// demoted, a certificate that has expired.
    pub(super) fn setting(message: impl Into<String>) -> Self {
        Self {
            passes: true,
            ..Self::invalid(message)
        }
    }

    /// As it looks to one who had a connection before, or had none.
    pub(super) fn seen(self, was_up: bool) -> Self {
        if self.passes && was_up {
            Self::unavailable(self.message)
        } else {
            self
        }
    }

    pub(super) fn closed() -> Self {
        Self::unavailable("the connection to redis was closed by this program")
    }

    /// Whether waiting is of no use.
    pub(super) fn is_final(&self) -> bool {
        !matches!(self.kind, ErrorKind::Unavailable | ErrorKind::Timeout)
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn to_error(&self, operation: &'static str) -> Error {
        Error::new(self.kind, operation, self.message.clone())
    }
}
