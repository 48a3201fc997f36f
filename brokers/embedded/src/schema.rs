//! The layout of the file, and its versions.

use rusqlite::{Connection, TransactionBehavior};
use tidemill_shared::{Error, ErrorKind, Result};

use crate::fault::{Sql, fault};

/// Marks a file as a Tidemill store: `TIDE` in ASCII.
pub(crate) const APPLICATION_ID: i32 = 0x5449_4445;

/// Steps from one version to the next: the step at index `n` makes version `n + 1`.
const STEPS: [&str; 4] = [
    include_str!("schema/v1.sql"),
    include_str!("schema/v2.sql"),
    include_str!("schema/v3.sql"),
    include_str!("schema/v4.sql"),
];

/// The version that this build reads and writes.
fn current() -> i32 {
    i32::try_from(STEPS.len()).unwrap_or(i32::MAX)
}

/// Brings the file to the current version, in one transaction. Refuses a file that is not a Tidemill
/// store, and one of a newer version.
pub(crate) fn migrate(conn: &mut Connection) -> Result<()> {
    let sql = |error| fault("open", error);
    // Looked at in one transaction, or another process's first steps would be seen by halves.
    let look = conn.transaction().map_err(sql)?;
    if is_current(&look)? {
        return Ok(());
    }
    drop(look);
    let tx = conn
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(sql)?;
    // Another process may have been faster.
    if !is_current(&tx)? {
        let version = number(&tx, "user_version").map_err(sql)?;
        for (next, step) in (1..).zip(STEPS).skip_while(|(next, _)| *next <= version) {
            tx.execute_batch(step).map_err(sql)?;
            tx.pragma_update(None, "user_version", next).map_err(sql)?;
        }
        tx.pragma_update(None, "application_id", APPLICATION_ID)
            .map_err(sql)?;
    }
    tx.commit().map_err(sql)
}

fn is_current(conn: &Connection) -> Result<bool> {
    let sql = |error| fault("open", error);
    let application = number(conn, "application_id").map_err(sql)?;
    let version = number(conn, "user_version").map_err(sql)?;
    let tables: i64 = conn
        .query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))
        .map_err(sql)?;
    if application == APPLICATION_ID {
        if version > current() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "open",
                format!(
                    "the store has version {version}; this build reads up to version {}: use a newer build",
                    current()
                ),
            ));
        }
        return Ok(version == current());
    }
    if application != 0 || version != 0 || tables != 0 {
        return Err(Error::invalid(
            "open",
            "the file is an SQLite database of another program; expected a Tidemill store or no file",
        ));
    }
    Ok(false)
}

fn number(conn: &Connection, pragma: &str) -> Sql<i32> {
    conn.pragma_query_value(None, pragma, |row| row.get(0))
}
