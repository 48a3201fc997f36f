//! The parts of a search, of one index each: that which leads there soonest.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension};
use tidemill_shared::{MAX_LOOK, State, TaskFilter};

use super::search::Search;
use crate::code::{HELD, SCHEDULED, state_code};
use crate::fault::Sql;

/// A search of one index.
pub(super) struct Part {
    pub(super) order: Order,
    pub(super) condition: &'static str,
    pub(super) states: Vec<i64>,
    /// No more than this many can be found, so the search ends when it has them.
    pub(super) at_most: usize,
}

/// How an index hands tasks out.
pub(super) enum Order {
    /// From the newest, so that it can be left after [`MAX_LOOK`].
    Newest(Index),
    /// In another order: all of them are looked at, which are no more than [`MAX_LOOK`].
    Other(&'static str),
}

/// An index, and what it is asked for.
pub(super) struct Index {
    pub(super) name: &'static str,
    pub(super) condition: String,
    pub(super) values: Vec<Value>,
}

impl Part {
    pub(super) const fn index(&self) -> &'static str {
        match &self.order {
            Order::Newest(index) => index.name,
            Order::Other(name) => name,
        }
    }

    /// Every task, by its row number.
    fn of_all(states: Vec<i64>, at_most: usize) -> Self {
        Self {
            order: Order::Newest(Index {
                name: "NOT INDEXED",
                condition: String::new(),
                values: Vec::new(),
            }),
            condition: "",
            states,
            at_most,
        }
    }
}

fn codes(state: State) -> Vec<i64> {
    match state {
        State::Scheduled => vec![SCHEDULED, HELD],
        other => vec![state_code(other)],
    }
}

impl Search {
    /// The searches that together find everything.
    pub(super) fn parts(&self, conn: &Connection, ns: i64, filter: &TaskFilter) -> Sql<Vec<Part>> {
        let wanted = |state: &State| filter.states.is_empty() || filter.states.contains(state);
        let states: Vec<State> = State::ALL.into_iter().filter(wanted).collect();
        let all_codes = match filter.states.is_empty() {
            true => Vec::new(),
            false => states.iter().copied().flat_map(codes).collect(),
        };
        if let Some(order) = self.named(conn, ns, filter)? {
            return Ok(vec![Part {
                order,
                condition: "",
                states: all_codes,
                at_most: usize::MAX,
            }]);
        }
        if filter.states.is_empty() && filter.queue.is_none() {
            return Ok(vec![Part::of_all(Vec::new(), usize::MAX)]);
        }
        let mut parts = Vec::new();
        let mut rest = Part::of_all(Vec::new(), 0);
        for state in states {
            let at_most = self.count(conn, state, self.queue)?;
            if at_most == 0 {
                continue;
            }
            match self.of_state(conn, state, at_most)? {
                Some(part) => parts.push(part),
                None => {
                    rest.states.extend(codes(state));
                    rest.at_most = rest.at_most.saturating_add(at_most);
                }
            }
        }
        parts.push(rest);
        Ok(parts)
    }

    /// The index of what is rare: a key, or a schedule with few tasks.
    fn named(&self, conn: &Connection, ns: i64, filter: &TaskFilter) -> Sql<Option<Order>> {
        if let Some(key) = &filter.key {
            return Ok(Some(Order::Newest(Index {
                name: "INDEXED BY task_key",
                condition: "AND t.ns = ? AND t.key = ?".into(),
                values: vec![Value::Integer(ns), Value::Text(key.as_str().to_owned())],
            })));
        }
        let Some(schedule) = &filter.schedule else {
            return Ok(None);
        };
        let sql = "SELECT 1 FROM task INDEXED BY task_schedule WHERE ns = ?1 AND schedule = ?2 LIMIT 1 OFFSET ?3";
        let many = conn
            .prepare_cached(sql)?
            .query_row((ns, schedule.as_str(), limit()), |_| Ok(()))
            .optional()?;
        Ok(match many {
            Some(()) => None,
            None => Some(Order::Other("INDEXED BY task_schedule")),
        })
    }

    /// The index of a state, where that is sooner than all tasks.
    fn of_state(&self, conn: &Connection, state: State, at_most: usize) -> Sql<Option<Part>> {
        let part = |order, condition, states| {
            Ok(Some(Part {
                order,
                condition,
                states,
                at_most,
            }))
        };
        let all = |state| self.count(conn, state, None);
        match state {
            State::Completed | State::Dead | State::Cancelled => {
                let code = state_code(state);
                let index = Index {
                    name: "INDEXED BY task_final",
                    condition: format!("AND t.ns = ? AND t.state >= 5 AND t.state = {code}"),
                    values: vec![Value::Integer(self.ns)],
                };
                part(Order::Newest(index), " AND t.state >= 5", vec![code])
            }
            State::Active if all(State::Active)? <= MAX_LOOK => {
                let order = Order::Other("INDEXED BY task_leased");
                part(order, " AND t.state = 3", Vec::new())
            }
            State::Retry if all(State::Retry)? + all(State::Scheduled)? <= MAX_LOOK => {
                let order = Order::Other("INDEXED BY task_due");
                part(order, " AND t.state <= 1", codes(State::Retry))
            }
            State::Pending if self.queue.is_some() && at_most <= MAX_LOOK => {
                let order = Order::Other("INDEXED BY task_ready");
                part(order, " AND t.state = 2", Vec::new())
            }
            State::Active | State::Retry | State::Pending | State::Scheduled => Ok(None),
        }
    }

    /// How many tasks there are in a state: in a queue, or in all of them.
    fn count(&self, conn: &Connection, state: State, queue: Option<i64>) -> Sql<usize> {
        let column = state.as_str();
        let sql = format!(
            "SELECT coalesce(sum({column}), 0) FROM queue WHERE ns = ?1 AND (?2 IS NULL OR no = ?2)"
        );
        let count: i64 = conn
            .prepare_cached(&sql)?
            .query_row((self.ns, queue), |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }
}

fn limit() -> i64 {
    i64::try_from(MAX_LOOK).unwrap_or(i64::MAX)
}
