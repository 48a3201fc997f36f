//! What is due becomes ready; fires pass the gate on the way.

use std::time::Duration;

use rusqlite::params;
use tidemill_shared::ledger::FireOutcome;
use tidemill_shared::schedule::{MISFIRE_THRESHOLD, Misfire};
use tidemill_shared::{
    Gate, MissedFires, Origin, ScheduleId, Siblings, State, Timestamp, decode_envelope, gate,
};

use crate::code::{ACTIVE, Flags, HELD, PENDING, RETRY, SCHEDULED};
use crate::fault::{Sql, nonsense};
use crate::write::enqueue::NewFire;
use crate::write::task::TaskRow;
use crate::write::{change, fire};
use crate::writer::Tx;

/// How many due tasks are read at once. Small, because a fire that is turned away means another look.
const PAGE: usize = 128;

/// How many tasks were promoted and turned away.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Promoted {
    pub(crate) promoted: usize,
    pub(crate) skipped: usize,
    /// Those of the skipped that were late.
    pub(crate) missed: MissedFires,
}

/// What a look at a due task came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promotion {
    Promoted,
    TurnedAway,
    /// The same, because it is late, under this policy.
    Missed(Misfire),
    Held,
}

/// Promotes what is due, at most `budget` tasks, the earliest first.
pub(crate) fn promote(tx: &mut Tx<'_>, budget: usize, now: Timestamp) -> Sql<Promoted> {
    let mut tally = Promoted::default();
    let mut left = budget;
    while left > 0 {
        let due = due(tx, left, now)?;
        if due.is_empty() {
            break;
        }
        for task in due {
            if !task.flags.has(Flags::GATED) {
                if task.promote(tx)? {
                    tally.promoted += 1;
                    left -= 1;
                }
                continue;
            }
            left -= 1;
            match promote_one(tx, task.seq, now)? {
                Promotion::Promoted => {
                    tally.promoted += 1;
                    continue;
                }
                Promotion::TurnedAway => tally.skipped += 1,
                Promotion::Missed(policy) => {
                    tally.skipped += 1;
                    tally.missed.add(policy);
                }
                Promotion::Held => {}
            }
            // What was released or cancelled on the way may be due before the rest: look again.
            break;
        }
    }
    Ok(tally)
}

/// Sends those of these new fires that are due already through the gate, the earliest due first.
///
/// A fire that cancels its predecessor is held for a moment, and released when that has ended at
/// once; the second look lets it through in the same step.
pub(crate) fn pass_due(tx: &mut Tx<'_>, mut fires: Vec<NewFire>, now: Timestamp) -> Sql<()> {
    fires.retain(|(due_at, _)| *due_at <= now.as_micros());
    fires.sort_unstable();
    for _ in 0..2 {
        for (_, seq) in &fires {
            let waits = TaskRow::by_seq(tx, *seq)?.is_some_and(|task| task.state == SCHEDULED);
            if waits {
                promote_one(tx, *seq, now)?;
            }
        }
    }
    Ok(())
}

/// Lets the fires that the gate holds for a schedule be looked at again.
pub(crate) fn release_held(tx: &mut Tx<'_>, schedule: &str) -> Sql<()> {
    let released = tx
        .conn
        .prepare_cached("UPDATE task SET state = 0 WHERE ns = ?1 AND schedule = ?2 AND state = 4")?
        .execute(params![tx.book.ns, schedule])?;
    if released > 0 {
        // They were due when they were held.
        tx.wakes.due(Timestamp::MIN);
    }
    Ok(())
}

/// When something is due next.
pub(crate) fn next_due(tx: &Tx<'_>) -> Sql<Option<Timestamp>> {
    let first: Option<i64> = tx
        .conn
        .prepare_cached("SELECT min(due_at) FROM task WHERE ns = ?1 AND state <= 1")?
        .query_row(params![tx.book.ns], |row| row.get(0))?;
    Ok(first.map(Timestamp::from_micros))
}

struct Due {
    seq: i64,
    queue: i64,
    state: i64,
    flags: Flags,
}

impl Due {
    /// Promotes it, if it is still as it was seen.
    fn promote(&self, tx: &mut Tx<'_>) -> Sql<bool> {
        let changed = tx
            .conn
            .prepare_cached(
                "UPDATE task SET state = 2, ready_at = due_at WHERE seq = ?1 AND state = ?2",
            )?
            .execute(params![self.seq, self.state])?;
        if changed == 0 {
            return Ok(false);
        }
        let from = match self.state {
            RETRY => State::Retry,
            _ => State::Scheduled,
        };
        let at = tx.book.find_no(tx.conn, self.queue)?;
        tx.book.moved(at, Some(from), Some(State::Pending));
        tx.ready(at);
        Ok(true)
    }
}

fn due(tx: &Tx<'_>, limit: usize, now: Timestamp) -> Sql<Vec<Due>> {
    let mut select = tx.conn.prepare_cached(concat!(
        "SELECT seq, queue, state, flags FROM task ",
        "WHERE ns = ?1 AND state <= 1 AND due_at <= ?2 ORDER BY due_at, seq LIMIT ?3"
    ))?;
    let rows = select.query_map(
        params![
            tx.book.ns,
            now.as_micros(),
            i64::try_from(limit.min(PAGE)).unwrap_or(i64::MAX)
        ],
        |row| {
            Ok(Due {
                seq: row.get(0)?,
                queue: row.get(1)?,
                state: row.get(2)?,
                flags: Flags(row.get(3)?),
            })
        },
    )?;
    rows.collect()
}

/// Decides about one fire that is due.
fn promote_one(tx: &mut Tx<'_>, seq: i64, now: Timestamp) -> Sql<Promotion> {
    let mut task = TaskRow::by_seq(tx, seq)?.ok_or_else(|| nonsense("due task"))?;
    let mut origin = task.origin()?;
    let due_at = Timestamp::from_micros(task.due_at);
    if now.since(due_at) > MISFIRE_THRESHOLD {
        origin.catch_up = catch_up(tx, seq)?;
    }
    let siblings = siblings(tx, &origin, now)?;
    match gate(&origin, due_at, now, siblings) {
        Gate::Promote => {
            // A fire that was planned late became ready when it was enqueued.
            task.make_pending(task.due_at.max(task.enqueued_at));
            task.save(tx)?;
            Ok(Promotion::Promoted)
        }
        Gate::Hold => {
            task.state = HELD;
            task.save(tx)?;
            Ok(Promotion::Held)
        }
        Gate::HoldAndCancel => {
            // Held first: what ends at once releases it again.
            task.state = HELD;
            task.save(tx)?;
            for sibling in running(tx, &origin)? {
                if let Some(mut sibling) = TaskRow::by_seq(tx, sibling)? {
                    change::cancel(tx, &mut sibling, now)?;
                }
            }
            Ok(Promotion::Held)
        }
        Gate::Skip(reason) => turn_away(tx, &mut task, FireOutcome::Skipped, reason),
        Gate::Miss(reason) => {
            turn_away(tx, &mut task, FireOutcome::Missed, reason)?;
            Ok(Promotion::Missed(origin.misfire))
        }
    }
}

pub(crate) fn turn_away(
    tx: &mut Tx<'_>,
    task: &mut TaskRow,
    outcome: FireOutcome,
    reason: &str,
) -> Sql<Promotion> {
    fire::turned_away(tx, task, outcome, reason)?;
    task.free_key(tx)?;
    task.remove(tx)?;
    Ok(Promotion::TurnedAway)
}

/// The catch-up window of a fire; without bound when its envelope cannot be read, so that the lease
/// finds that out and sets it aside.
fn catch_up(tx: &Tx<'_>, seq: i64) -> Sql<Duration> {
    let envelope: Vec<u8> = tx
        .conn
        .prepare_cached("SELECT envelope FROM task WHERE seq = ?1")?
        .query_row(params![seq], |row| row.get(0))?;
    let origin = decode_envelope(&envelope)
        .ok()
        .and_then(|envelope| envelope.origin);
    Ok(origin.map_or(Duration::MAX, |origin| origin.catch_up))
}

fn siblings(tx: &Tx<'_>, origin: &Origin, now: Timestamp) -> Sql<Siblings> {
    let mut select = tx.conn.prepare_cached(concat!(
        "SELECT EXISTS (SELECT 1 FROM task WHERE ns = ?1 AND schedule = ?2 AND state IN (1, 2, 3)) ",
        "OR EXISTS (SELECT 1 FROM task WHERE ns = ?1 AND schedule = ?2 AND state = 0 ",
        "AND flags & 128 = 0), ",
        "EXISTS (SELECT 1 FROM task WHERE ns = ?1 AND schedule = ?2 AND state IN (0, 4) ",
        "AND scheduled_at > ?3 AND (due_at <= ?4 OR flags & 128 = 0)) ",
        "OR EXISTS (SELECT 1 FROM task WHERE ns = ?1 AND schedule = ?2 AND state IN (1, 2, 3) ",
        "AND scheduled_at > ?3)"
    ))?;
    select.query_row(
        params![
            tx.book.ns,
            origin.schedule.as_str(),
            origin.scheduled_at.as_micros(),
            now.as_micros()
        ],
        |row| {
            Ok(Siblings {
                running: row.get(0)?,
                later_due: row.get(1)?,
            })
        },
    )
}

fn running(tx: &Tx<'_>, origin: &Origin) -> Sql<Vec<i64>> {
    let mut select = tx.conn.prepare_cached(concat!(
        "SELECT seq FROM task WHERE ns = ?1 AND schedule = ?2 ",
        "AND state IN (?3, ?4, ?5, ?6) AND (state <> ?6 OR flags & 128 = 0) ORDER BY seq"
    ))?;
    let rows = select.query_map(
        params![
            tx.book.ns,
            origin.schedule.as_str(),
            PENDING,
            ACTIVE,
            RETRY,
            SCHEDULED
        ],
        |row| row.get(0),
    )?;
    rows.collect()
}

impl TaskRow {
    /// The fire that it comes from, as far as the gate asks.
    fn origin(&self) -> Sql<Origin> {
        let bad = || nonsense("fire");
        let schedule = self.schedule.as_deref().ok_or_else(bad)?;
        Ok(Origin {
            schedule: ScheduleId::new(schedule).map_err(|_| bad())?,
            scheduled_at: Timestamp::from_micros(self.scheduled_at.ok_or_else(bad)?),
            revision: 0,
            overlap: self.flags.overlap(),
            misfire: self.flags.misfire(),
            // Asked for only when it is late, and then read from the envelope.
            catch_up: Duration::MAX,
        })
    }
}
