//! Which tasks match a filter, newest first.

mod parts;
mod search;

use rusqlite::Connection;
use tidemill_shared::{Cursor, Page, TaskFilter};

use crate::fault::Sql;
use crate::query::record::{RawRecord, by_seq};
use search::Search;

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
/// nothing can move, or of the last that was looked at.
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
    // This one, and what is older, has not been looked at everywhere.
    let mut floor = None;
    for part in search.parts(conn, ns, filter)? {
        let wanted = limit.saturating_add(1).min(part.at_most);
        if wanted > 0 {
            let end = search.end(conn, &part)?;
            let count = search.run(conn, &part, end, wanted, &mut found)?;
            if count < part.at_most {
                floor = floor.max(end);
            }
        }
    }
    found.retain(|seq| floor.is_none_or(|floor| *seq > floor));
    found.sort_unstable_by(|a, b| b.cmp(a));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = match more {
        true => found.last().copied(),
        false => floor.map(|floor| floor + 1),
    };
    Ok(Page {
        next: next.map(|seq| Cursor(seq.unsigned_abs())),
        items: found,
    })
}
