//! A search, and the conditions that it has to meet.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use tidemill_shared::{Cursor, MAX_LOOK, TaskFilter};

use super::parts::{Order, Part};
use crate::book::find_kind;
use crate::code::reason_code;
use crate::fault::Sql;
use crate::query::failure;

/// The conditions of a search, but for the states.
pub(super) struct Search {
    conditions: Vec<&'static str>,
    values: Vec<Value>,
    /// Where it goes on: before this row number.
    before: i64,
    pub(super) ns: i64,
    pub(super) queue: Option<i64>,
}

impl Search {
    /// `None` when nothing can match.
    pub(super) fn new(
        conn: &Connection,
        ns: i64,
        filter: &TaskFilter,
        cursor: Option<Cursor>,
    ) -> Sql<Option<Self>> {
        let before = cursor.map_or(i64::MAX, |cursor| {
            i64::try_from(cursor.0).unwrap_or(i64::MAX)
        });
        let mut search = Self {
            conditions: vec!["t.ns = ?", "t.seq < ?"],
            values: vec![Value::Integer(ns), Value::Integer(before)],
            before,
            ns,
            queue: None,
        };
        let mut and = |condition, value: Value| {
            search.conditions.push(condition);
            search.values.push(value);
        };
        if let Some(queue) = &filter.queue {
            let no: Option<i64> = conn
                .prepare_cached("SELECT no FROM queue WHERE ns = ?1 AND name = ?2")?
                .query_row((ns, queue.as_str()), |row| row.get(0))
                .optional()?;
            let Some(no) = no else { return Ok(None) };
            and("t.queue = ?", Value::Integer(no));
            search.queue = Some(no);
        }
        let mut and = |condition, value: Value| {
            search.conditions.push(condition);
            search.values.push(value);
        };
        if let Some(kind) = &filter.kind {
            let Some(no) = find_kind(conn, kind)? else {
                return Ok(None);
            };
            and("t.kind = ?", Value::Integer(no));
        }
        if let Some(since) = filter.since {
            and("t.enqueued_at >= ?", Value::Integer(since.as_micros()));
        }
        if let Some(until) = filter.until {
            and("t.enqueued_at < ?", Value::Integer(until.as_micros()));
        }
        if let Some(since) = filter.ended_since {
            and("t.finished_at >= ?", Value::Integer(since.as_micros()));
        }
        if let Some(until) = filter.ended_until {
            and("t.finished_at < ?", Value::Integer(until.as_micros()));
        }
        if let Some(pattern) = &filter.error {
            let text = Value::Text(pattern.as_str().to_owned());
            and(failure::IS_MEANT, text);
        }
        if let Some(reason) = filter.reason {
            and("d.reason = ?", Value::Integer(reason_code(reason)));
        }
        if let Some(schedule) = &filter.schedule {
            and("t.schedule = ?", Value::Text(schedule.as_str().to_owned()));
        }
        let mut and = |condition, value: Value| {
            search.conditions.push(condition);
            search.values.push(value);
        };
        if let Some(key) = &filter.key {
            and("t.key = ?", Value::Text(key.as_str().to_owned()));
        }
        Ok(Some(search))
    }

    /// The first that a search of a part does not look at any more; `None` when it looks at all of it.
    pub(super) fn end(&self, conn: &Connection, part: &Part) -> Sql<Option<i64>> {
        let Order::Newest(index) = &part.order else {
            return Ok(None);
        };
        let sql = format!(
            "SELECT t.seq FROM task t {} WHERE t.seq < ? {} ORDER BY t.seq DESC LIMIT 1 OFFSET {MAX_LOOK}",
            index.name, index.condition,
        );
        let mut values = vec![Value::Integer(self.before)];
        values.extend(index.values.iter().cloned());
        conn.prepare_cached(&sql)?
            .query_row(params_from_iter(values), |row| row.get(0))
            .optional()
    }

    /// Finds so many of a part, down to its end, and says how many.
    pub(super) fn run(
        &self,
        conn: &Connection,
        part: &Part,
        end: Option<i64>,
        limit: usize,
        found: &mut Vec<i64>,
    ) -> Sql<usize> {
        let mut sql = format!(
            "SELECT t.seq FROM task t {} LEFT JOIN detail d ON d.task = t.seq WHERE {}{}",
            part.index(),
            self.conditions.join(" AND "),
            part.condition
        );
        match &part.states[..] {
            [] => {}
            // Only then the index hands them out in the order of their row numbers.
            [code] => sql.push_str(&format!(" AND t.state = {code}")),
            codes => {
                let codes: Vec<_> = codes.iter().map(i64::to_string).collect();
                sql.push_str(&format!(" AND t.state IN ({})", codes.join(", ")));
            }
        }
        sql.push_str(" AND t.seq > ? ORDER BY t.seq DESC LIMIT ?");
        let mut values = self.values.clone();
        values.push(Value::Integer(end.unwrap_or(0)));
        values.push(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
        let mut select = conn.prepare_cached(&sql)?;
        let rows = select.query_map(params_from_iter(values), |row| row.get(0))?;
        let before = found.len();
        for seq in rows {
            found.push(seq?);
        }
        Ok(found.len() - before)
    }
}
