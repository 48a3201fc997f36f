//! Statements for many rows at once.
//!
//! Each execution of a statement opens every index of its table anew; doing many rows in one
//! execution shares that. There is a statement for each of a few sizes, so that all stay prepared.
//! They say `OR FAIL`, because the transaction is undone as a whole when a statement fails: SQLite
//! need not be able to undo the statement alone.

use std::sync::LazyLock;

use rusqlite::types::{ToSqlOutput, Value};
use rusqlite::{Connection, Statement, ToSql, params_from_iter};

use crate::fault::Sql;

/// The sizes of lists, largest first.
const LISTS: [usize; 4] = [256, 64, 8, 1];

/// A statement that ends in a list of row numbers, in each size.
#[derive(Debug)]
pub(crate) struct Listed([String; LISTS.len()]);

impl Listed {
    /// A statement that is complete once `IN (…)` stands behind it.
    pub(crate) fn new(sql: &str) -> Self {
        Self(LISTS.map(|size| format!("{sql} IN ({})", places(size))))
    }

    /// Executes it for these rows, after the values that come first, and lets `each` see each
    /// execution.
    pub(crate) fn run(
        &self,
        conn: &Connection,
        first: &[&dyn ToSql],
        seqs: &[i64],
        mut each: impl FnMut(&mut Statement<'_>, &[ToSqlOutput<'_>]) -> Sql<()>,
    ) -> Sql<()> {
        let mut rest = seqs;
        while !rest.is_empty() {
            let size = LISTS.iter().position(|size| *size <= rest.len());
            let size = size.unwrap_or(LISTS.len() - 1);
            let (now, later) = rest.split_at(LISTS[size].min(rest.len()));
            rest = later;
            let mut values = Vec::with_capacity(first.len() + now.len());
            for value in first {
                values.push(value.to_sql()?);
            }
            let rows = now.iter().map(|seq| Value::Integer(*seq));
            values.extend(rows.map(ToSqlOutput::Owned));
            let mut statement = conn.prepare_cached(&self.0[size])?;
            each(&mut statement, &values)?;
        }
        Ok(())
    }

    /// Executes it for these rows and says how many were changed.
    pub(crate) fn execute(
        &self,
        conn: &Connection,
        first: &[&dyn ToSql],
        seqs: &[i64],
    ) -> Sql<usize> {
        let mut changed = 0;
        self.run(conn, first, seqs, |statement, values| {
            changed += statement.execute(params_from_iter(values))?;
            Ok(())
        })?;
        Ok(changed)
    }
}

/// So many placeholders.
fn places(size: usize) -> String {
    let mut places = "?, ".repeat(size);
    places.truncate(places.len().saturating_sub(2));
    places
}

/// What a lease token is compared with.
#[derive(Debug)]
pub(crate) struct ActiveRow {
    pub(crate) seq: i64,
    pub(crate) fence: i64,
    pub(crate) queue: i64,
    pub(crate) flags: i64,
    pub(crate) worker: String,
    pub(crate) id: String,
}

/// Those of these tasks that are active, in the order of their row numbers.
pub(crate) fn active(conn: &Connection, ns: i64, seqs: &[i64]) -> Sql<Vec<ActiveRow>> {
    static SELECT: LazyLock<Listed> = LazyLock::new(|| {
        Listed::new(concat!(
            "SELECT seq, fence, queue, flags, coalesce(worker, ''), id FROM task NOT INDEXED ",
            "WHERE ns = ?1 AND state = 3 AND seq"
        ))
    });
    let mut found = Vec::with_capacity(seqs.len());
    SELECT.run(conn, &[&ns], seqs, |statement, values| {
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            found.push(ActiveRow {
                seq: row.get(0)?,
                fence: row.get(1)?,
                queue: row.get(2)?,
                flags: row.get(3)?,
                worker: row.get(4)?,
                id: row.get(5)?,
            });
        }
        Ok(())
    })?;
    found.sort_unstable_by_key(|row| row.seq);
    Ok(found)
}
