//! Failures that match a pattern, as a function of SQL.

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use tidemill_shared::{ErrorPattern, FailureRecord};

use crate::fault::Sql;

/// The condition of a search: takes the pattern.
pub(super) const IS_MEANT: &str =
    "d.error_class IS NOT NULL AND failure_is_meant(?, d.error_class, d.error_message)";

/// Makes the function known to a connection.
pub(crate) fn register(conn: &Connection) -> Sql<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    conn.create_scalar_function("failure_is_meant", 3, flags, is_meant)
}

fn is_meant(context: &Context<'_>) -> Sql<bool> {
    // Read once for each statement.
    let pattern = context.get_or_create_aux(0, |text| -> Result<_, tidemill_shared::Error> {
        ErrorPattern::new(text.as_str().unwrap_or_default())
    })?;
    Ok(pattern.is_match(&FailureRecord {
        class: context.get(1)?,
        message: context.get(2)?,
    }))
}
