//! Removing what has outlived its use.

use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{params, params_from_iter};
use tidemill_shared::Timestamp;

use crate::book::minute_of;
use crate::fault::Sql;
use crate::write::task::TaskRow;
use crate::writer::Tx;

/// How long the record of a fire is kept after its instant.
const FIRES_KEPT: Duration = Duration::from_secs(7 * 86_400);

/// How long the history of a queue is kept.
pub(crate) const HISTORY_KEPT: Duration = Duration::from_secs(86_400);

/// Removes finished tasks at the end of their retention, at most `budget` of them.
pub(crate) fn tasks(tx: &mut Tx<'_>, budget: usize, now: Timestamp) -> Sql<usize> {
    let seqs: Vec<i64> = {
        let mut select = tx.conn.prepare_cached(concat!(
            "SELECT seq FROM task WHERE ns = ?1 AND state >= 5 AND until <= ?2 ",
            "ORDER BY until, seq LIMIT ?3"
        ))?;
        let rows = select
            .query_map(params![tx.book.ns, now.as_micros(), limit(budget)], |row| {
                row.get(0)
            })?;
        rows.collect::<Sql<_>>()?
    };
    let pruned = seqs.len();
    for seq in seqs {
        if let Some(mut task) = TaskRow::by_seq(tx, seq)? {
            task.remove(tx)?;
        }
    }
    Ok(pruned)
}

/// Whether keys, fires, steps or markers have outlived their use.
pub(crate) fn has_rest(tx: &Tx<'_>, now: Timestamp) -> Sql<bool> {
    tx.conn
        .prepare_cached(concat!(
            "SELECT EXISTS (SELECT 1 FROM key WHERE prune_at IS NOT NULL AND prune_at <= ?2 ",
            "AND queue IN (SELECT no FROM queue WHERE ns = ?1)) ",
            "OR EXISTS (SELECT 1 FROM fire WHERE ns = ?1 AND scheduled_at <= ?3) ",
            "OR EXISTS (SELECT 1 FROM step WHERE ns = ?1 AND expires_at <= ?2) ",
            "OR EXISTS (SELECT 1 FROM completion WHERE ns = ?1 AND expires_at <= ?2)"
        ))?
        .query_row(
            params![tx.book.ns, now.as_micros(), (now - FIRES_KEPT).as_micros()],
            |row| row.get(0),
        )
}

/// Removes the rest: old fires, keys, steps, markers, minutes and what the departed left; at most
/// `budget` of each.
pub(crate) fn rest(tx: &Tx<'_>, budget: usize, now: Timestamp) -> Sql<()> {
    for kind in &UPKEEP {
        let before = match kind.age {
            Age::Over => now,
            Age::Fire => now - FIRES_KEPT,
            Age::Minute => minute_of(now) - HISTORY_KEPT,
        };
        let old: Vec<Vec<Value>> = {
            let mut select = tx.conn.prepare_cached(kind.old)?;
            let columns = select.column_count();
            let rows = select.query_map(
                params![tx.book.ns, before.as_micros(), limit(budget)],
                |row| (0..columns).map(|column| row.get(column)).collect(),
            )?;
            rows.collect::<Sql<_>>()?
        };
        let mut change = tx.conn.prepare_cached(kind.change)?;
        for row in old {
            change.execute(params_from_iter(row))?;
        }
    }
    Ok(())
}

/// One kind of upkeep: the keys of what is old (of a namespace, before an instant, so many), and
/// what happens to each.
struct Upkeep {
    age: Age,
    old: &'static str,
    change: &'static str,
}

/// What a kind of upkeep compares with the present.
enum Age {
    /// The end of its time.
    Over,
    /// The instant of a fire.
    Fire,
    /// A minute of the history.
    Minute,
}

const UPKEEP: [Upkeep; 8] = [
    // The key of a task that may still run has no time to be pruned at.
    Upkeep {
        age: Age::Over,
        old: concat!(
            "SELECT queue, kind, key FROM key WHERE prune_at IS NOT NULL AND prune_at <= ?2 ",
            "AND queue IN (SELECT no FROM queue WHERE ns = ?1) ORDER BY prune_at LIMIT ?3"
        ),
        change: "DELETE FROM key WHERE queue = ?1 AND kind = ?2 AND key = ?3",
    },
    Upkeep {
        age: Age::Fire,
        old: concat!(
            "SELECT ns, schedule, scheduled_at FROM fire ",
            "WHERE ns = ?1 AND scheduled_at <= ?2 ORDER BY scheduled_at LIMIT ?3"
        ),
        change: "DELETE FROM fire WHERE ns = ?1 AND schedule = ?2 AND scheduled_at = ?3",
    },
    // A claim of a task that still lives gets more time.
    Upkeep {
        age: Age::Over,
        old: concat!(
            "SELECT s.ns, s.task, s.step, ?2 FROM step s JOIN task t ON t.ns = s.ns AND t.id = s.task ",
            "WHERE s.ns = ?1 AND s.expires_at <= ?2 AND s.phase <> 2 ORDER BY s.expires_at LIMIT ?3"
        ),
        change: concat!(
            "UPDATE step SET expires_at = ?4 + 604800000000 ",
            "WHERE ns = ?1 AND task = ?2 AND step = ?3"
        ),
    },
    Upkeep {
        age: Age::Over,
        old: concat!(
            "SELECT ns, task, step FROM step s WHERE ns = ?1 AND expires_at <= ?2 AND (phase = 2 ",
            "OR NOT EXISTS (SELECT 1 FROM task t WHERE t.ns = s.ns AND t.id = s.task)) ",
            "ORDER BY expires_at LIMIT ?3"
        ),
        change: "DELETE FROM step WHERE ns = ?1 AND task = ?2 AND step = ?3",
    },
    Upkeep {
        age: Age::Over,
        old: concat!(
            "SELECT ns, task FROM completion WHERE ns = ?1 AND expires_at <= ?2 ",
            "ORDER BY expires_at LIMIT ?3"
        ),
        change: "DELETE FROM completion WHERE ns = ?1 AND task = ?2",
    },
    Upkeep {
        age: Age::Over,
        old: "SELECT ns, id FROM presence WHERE ns = ?1 AND expires_at <= ?2 LIMIT ?3",
        change: "DELETE FROM presence WHERE ns = ?1 AND id = ?2",
    },
    Upkeep {
        age: Age::Over,
        old: "SELECT ns, book, name FROM note WHERE ns = ?1 AND expires_at <= ?2 LIMIT ?3",
        change: "DELETE FROM note WHERE ns = ?1 AND book = ?2 AND name = ?3",
    },
    Upkeep {
        age: Age::Minute,
        old: concat!(
            "SELECT h.queue, h.minute FROM queue q JOIN history h ON h.queue = q.no ",
            "WHERE q.ns = ?1 AND h.minute < ?2 LIMIT ?3"
        ),
        change: "DELETE FROM history WHERE queue = ?1 AND minute = ?2",
    },
];

fn limit(budget: usize) -> i64 {
    i64::try_from(budget).unwrap_or(i64::MAX)
}
