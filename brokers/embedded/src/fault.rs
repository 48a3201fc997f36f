//! What SQLite reports, as an error of the contract.

use rusqlite::ErrorCode;
use tidemill_shared::{Error, ErrorKind};

/// The result of a piece of work inside a transaction. An error undoes the whole transaction;
/// what is merely refused is an answer.
pub(crate) type Sql<T> = rusqlite::Result<T>;

/// Stored data that makes no sense.
pub(crate) fn nonsense(what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(
        0,
        rusqlite::types::Type::Null,
        format!("the store holds a malformed {what}").into(),
    )
}

/// Whether the fault lies in the file or the connection rather than in one call: then all calls of
/// the transaction fail. A full disk is met by one call, and others may still fit.
pub(crate) fn is_of_the_store(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(cause, _) => !matches!(
            cause.code,
            ErrorCode::ConstraintViolation
                | ErrorCode::TooBig
                | ErrorCode::TypeMismatch
                | ErrorCode::DiskFull
        ),
        _ => false,
    }
}

/// Whether the connection must not be trusted any more. After a failed write or sync the state of
/// the operating system's cache is unknown, so the file is opened afresh and recovered.
pub(crate) fn is_of_the_connection(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::ApiMisuse
                | ErrorCode::FileLockingProtocolFailed
        )
    )
}

/// The error for the caller.
pub(crate) fn fault(operation: &'static str, error: rusqlite::Error) -> Error {
    let (kind, message) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            ErrorKind::Unavailable,
            "the store is being written by another process that does not let go of it",
        ),
        Some(ErrorCode::DiskFull) => (
            ErrorKind::Unavailable,
            "the disk is full, or the store has reached its page limit; make room",
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => (
            ErrorKind::Unavailable,
            "the store's file or folder is read-only; expected both to be writable",
        ),
        Some(ErrorCode::SystemIoFailure) => (
            ErrorKind::Unavailable,
            "the disk reported an error; nothing of this call was acknowledged",
        ),
        Some(ErrorCode::CannotOpen) => (ErrorKind::Unavailable, "the store cannot be opened"),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => (
            ErrorKind::Corrupt,
            "the store's file is damaged or is not a Tidemill store; restore it from a copy",
        ),
        Some(ErrorCode::OutOfMemory) => (ErrorKind::Unavailable, "there is no memory left"),
        Some(ErrorCode::TooBig) => (ErrorKind::Invalid, "a value is too large for the store"),
        _ if matches!(
            error,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
        ) =>
        {
            (
                ErrorKind::Corrupt,
                "the store holds data that cannot be read",
            )
        }
        _ => (ErrorKind::Internal, "the store refused a statement"),
    };
    Error::new(kind, operation, format!("{message}: {error}")).with_source(error)
}
