//! Which tasks match a filter, newest first.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use tidemill_shared::{Cursor, Page, State, TaskFilter};

use crate::book::find_kind;
use crate::code::{HELD, SCHEDULED, reason_code, state_code};
use crate::fault::Sql;
use crate::query::record::{RawRecord, by_seq};

/// A page of tasks.
pub(crate) fn list(
    conn: &Connection,
    ns: i64,
    filter: &TaskFilter,
    cursor: Option<Cursor>,
    limit: usize,
) -> Sql<Page<RawRecord>> {
    let page = matching(conn, ns, filter, cursor, limit)?;
    let mut items = Vec::with_capacity(page.items.len());
    for seq in page.items {
        items.extend(by_seq(conn, seq)?);
    }
    Ok(Page {
        items,
        next: page.next,
    })
}

/// The row numbers of a page of tasks. The cursor is the last row number of the page before, which
/// nothing can move.
pub(crate) fn matching(
    conn: &Connection,
    ns: i64,
    filter: &TaskFilter,
    cursor: Option<Cursor>,
    limit: usize,
) -> Sql<Page<i64>> {
    let nothing = Page {
        items: Vec::new(),
        next: None,
    };
    let Some(search) = Search::new(conn, ns, filter, cursor)? else {
        return Ok(nothing);
    };
    let mut found = Vec::new();
    for part in search.parts(conn, ns, filter)? {
        let wanted = limit.saturating_add(1).min(part.at_most);
        if wanted > 0 {
            search.run(conn, &part, wanted, &mut found)?;
        }
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more);
    Ok(Page {
        next: next.map(|seq| Cursor(seq.unsigned_abs())),
        items: found,
    })
}

/// The conditions of a search, but for the states.
struct Search {
    conditions: Vec<&'static str>,
    values: Vec<Value>,
    queue: Option<i64>,
    /// The index that leads straight to what is wanted, if the filter names something rare.
    index: Option<&'static str>,
}

/// A search of one index.
struct Part {
    index: &'static str,
    condition: &'static str,
    states: Vec<i64>,
    /// No more than this many can be found, so the search ends when it has them.
    at_most: usize,
}

impl Search {
    /// `None` when nothing can match.
    fn new(
        conn: &Connection,
        ns: i64,
        filter: &TaskFilter,
        cursor: Option<Cursor>,
    ) -> Sql<Option<Self>> {
        let mut search = Self {
            conditions: vec!["t.ns = ?"],
            values: vec![Value::Integer(ns)],
            queue: None,
            index: None,
        };
        let mut and = |condition, value: Value| {
            search.conditions.push(condition);
            search.values.push(value);
        };
        if let Some(cursor) = cursor {
            let before = i64::try_from(cursor.0).unwrap_or(i64::MAX);
            and("t.seq < ?", Value::Integer(before));
        }
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
        if let Some(text) = &filter.error {
            and("instr(d.error_message, ?) > 0", Value::Text(text.clone()));
        }
        if let Some(reason) = filter.reason {
            and("d.reason = ?", Value::Integer(reason_code(reason)));
        }
        if let Some(schedule) = &filter.schedule {
            and("t.schedule = ?", Value::Text(schedule.as_str().to_owned()));
            search.index = Some("INDEXED BY task_schedule");
        }
        let mut and = |condition, value: Value| {
            search.conditions.push(condition);
            search.values.push(value);
        };
        if let Some(key) = &filter.key {
            and("t.key = ?", Value::Text(key.as_str().to_owned()));
            search.index = Some("INDEXED BY task_key");
        }
        Ok(Some(search))
    }

    /// The searches that together find everything.
    fn parts(&self, conn: &Connection, ns: i64, filter: &TaskFilter) -> Sql<Vec<Part>> {
        let wanted = |state: &State| filter.states.is_empty() || filter.states.contains(state);
        let codes = |state: State| match state {
            State::Scheduled => vec![SCHEDULED, HELD],
            other => vec![state_code(other)],
        };
        let states: Vec<State> = State::ALL.into_iter().filter(wanted).collect();
        if self.index.is_some() || filter.states.is_empty() {
            let all = filter.states.is_empty();
            return Ok(vec![Part {
                index: self.index.unwrap_or("NOT INDEXED"),
                condition: "",
                states: if all {
                    Vec::new()
                } else {
                    states.into_iter().flat_map(codes).collect()
                },
                at_most: usize::MAX,
            }]);
        }
        let mut parts = Vec::new();
        let mut scanned = Part {
            index: "NOT INDEXED",
            condition: "",
            states: Vec::new(),
            at_most: 0,
        };
        for state in states {
            let at_most = self.count(conn, ns, state)?;
            if at_most == 0 {
                continue;
            }
            match state {
                State::Active => parts.push(Part {
                    index: "INDEXED BY task_leased",
                    condition: " AND t.state = 3",
                    states: Vec::new(),
                    at_most,
                }),
                State::Completed | State::Dead | State::Cancelled => parts.push(Part {
                    index: "INDEXED BY task_final",
                    condition: " AND t.state >= 5",
                    states: codes(state),
                    at_most,
                }),
                State::Scheduled | State::Pending | State::Retry => {
                    scanned.states.extend(codes(state));
                    scanned.at_most = scanned.at_most.saturating_add(at_most);
                }
            }
        }
        parts.push(scanned);
        Ok(parts)
    }

    /// How many tasks there are in a state: in the queue that is meant, or in all of them.
    fn count(&self, conn: &Connection, ns: i64, state: State) -> Sql<usize> {
        let column = state.as_str();
        let sql = format!(
            "SELECT coalesce(sum({column}), 0) FROM queue WHERE ns = ?1 AND (?2 IS NULL OR no = ?2)"
        );
        let count: i64 = conn
            .prepare_cached(&sql)?
            .query_row((ns, self.queue), |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    fn run(&self, conn: &Connection, part: &Part, limit: usize, found: &mut Vec<i64>) -> Sql<()> {
        let mut sql = format!(
            "SELECT t.seq FROM task t {} LEFT JOIN detail d ON d.task = t.seq WHERE {}{}",
            part.index,
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
        sql.push_str(" ORDER BY t.seq DESC LIMIT ?");
        let mut values = self.values.clone();
        values.push(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
        let mut select = conn.prepare_cached(&sql)?;
        let rows = select.query_map(params_from_iter(values), |row| row.get(0))?;
        for seq in rows {
            found.push(seq?);
        }
        Ok(())
    }
}
