//! Changes of schedules: each takes back, in the same step, what was put ahead before it.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, params};
use tidemill_shared::ledger::{Applied, CHANGES_KEPT, FireOutcome, ScheduleRecord};
use tidemill_shared::schedule::Schedule;
use tidemill_shared::{Error, ErrorKind, Result, ScheduleId, Timestamp};

use crate::fault::{Sql, nonsense};
use crate::query;
use crate::write::task::TaskRow;
use crate::write::{fire, promote};
use crate::writer::Tx;

/// A definition with its stored form.
#[derive(Debug)]
pub(crate) struct NewSchedule {
    pub(crate) schedule: Schedule,
    pub(crate) text: String,
}

impl NewSchedule {
    pub(crate) fn new(schedule: Schedule) -> Result<Self> {
        let text = serde_json::to_string(&schedule).map_err(|error| {
            Error::invalid("schedule", "the schedule cannot be written").with_source(error)
        })?;
        Ok(Self { schedule, text })
    }
}

/// Makes the definitions of a source be exactly these, or refuses all of them.
pub(crate) fn apply(
    tx: &mut Tx<'_>,
    source: &str,
    schedules: &[NewSchedule],
) -> Sql<Result<Applied>> {
    let now = tx.now();
    let mut named = BTreeSet::new();
    for new in schedules {
        let id = &new.schedule.id;
        if !named.insert(id.clone()) {
            return Ok(Err(Error::invalid(
                "apply schedules",
                format!("schedule {id} is given twice; expected each id once"),
            )));
        }
        if let Some(owner) = owner(tx, id)?
            && owner != source
        {
            return Ok(Err(Error::new(
                ErrorKind::Conflict,
                "apply schedules",
                format!("schedule {id} belongs to {owner}; rename one of them or delete that one"),
            )));
        }
    }
    let (mut applied, mut changes) = (Applied::default(), Vec::new());
    for id in of_source(tx, source)? {
        if !named.contains(&id) {
            applied.revoked += remove(tx, &id, now)?;
            changes.push(id.clone());
            applied.removed.push(id);
        }
    }
    for new in schedules {
        let id = new.schedule.id.clone();
        match query::schedule(tx.conn, tx.book.ns, &id)? {
            None => {
                add(tx, source, new, now)?;
                changes.push(id.clone());
                applied.added.push(id);
            }
            Some(known) if known.schedule == new.schedule => applied.unchanged += 1,
            Some(_) => {
                applied.revoked += redefine(tx, new, now)?;
                changes.push(id.clone());
                applied.changed.push(id);
            }
        }
    }
    touch(tx, &changes)?;
    Ok(Ok(applied))
}

/// Adds or replaces one, and makes `source` its owner.
pub(crate) fn put(tx: &mut Tx<'_>, source: &str, new: &NewSchedule) -> Sql<ScheduleRecord> {
    let now = tx.now();
    let id = &new.schedule.id;
    match query::schedule(tx.conn, tx.book.ns, id)? {
        None => {
            add(tx, source, new, now)?;
            touch(tx, std::slice::from_ref(id))?;
        }
        Some(known) => {
            if known.schedule != new.schedule {
                redefine(tx, new, now)?;
                touch(tx, std::slice::from_ref(id))?;
            }
            if known.source != source {
                tx.conn
                    .prepare_cached("UPDATE schedule SET source = ?3 WHERE ns = ?1 AND id = ?2")?
                    .execute(params![tx.book.ns, id.as_str(), source])?;
                touch(tx, std::slice::from_ref(id))?;
            }
        }
    }
    query::schedule(tx.conn, tx.book.ns, id)?.ok_or_else(|| nonsense("schedule that was just put"))
}

/// Removes one. `false` when there is none.
pub(crate) fn delete(tx: &mut Tx<'_>, id: &ScheduleId) -> Sql<bool> {
    if owner(tx, id)?.is_none() {
        return Ok(false);
    }
    let now = tx.now();
    remove(tx, id, now)?;
    touch(tx, std::slice::from_ref(id))?;
    Ok(true)
}

/// Pauses one, or changes the reason. `false` when there is none.
pub(crate) fn pause(tx: &mut Tx<'_>, id: &ScheduleId, reason: Option<&str>) -> Sql<bool> {
    let Some(known) = query::schedule(tx.conn, tx.book.ns, id)? else {
        return Ok(false);
    };
    let now = tx.now();
    if !known.paused {
        revoke(tx, id, now)?;
        call_off(tx, id, now, "its schedule was paused")?;
        revise(tx, id, now)?;
    } else if known.pause_reason.as_deref() == reason {
        return Ok(true);
    }
    tx.conn
        .prepare_cached(
            "UPDATE schedule SET paused = 1, pause_reason = ?3 WHERE ns = ?1 AND id = ?2",
        )?
        .execute(params![tx.book.ns, id.as_str(), reason])?;
    touch(tx, std::slice::from_ref(id))?;
    Ok(true)
}

/// Ends a pause. `false` when there is none of this name.
pub(crate) fn resume(tx: &mut Tx<'_>, id: &ScheduleId) -> Sql<bool> {
    let Some(known) = query::schedule(tx.conn, tx.book.ns, id)? else {
        return Ok(false);
    };
    if known.paused {
        let now = tx.now();
        revise(tx, id, now)?;
        tx.conn
            .prepare_cached(
                "UPDATE schedule SET paused = 0, pause_reason = NULL WHERE ns = ?1 AND id = ?2",
            )?
            .execute(params![tx.book.ns, id.as_str()])?;
        touch(tx, std::slice::from_ref(id))?;
    }
    Ok(true)
}

fn owner(tx: &Tx<'_>, id: &ScheduleId) -> Sql<Option<String>> {
    tx.conn
        .prepare_cached("SELECT source FROM schedule WHERE ns = ?1 AND id = ?2")?
        .query_row(params![tx.book.ns, id.as_str()], |row| row.get(0))
        .optional()
}

fn of_source(tx: &Tx<'_>, source: &str) -> Sql<Vec<ScheduleId>> {
    let mut select = tx
        .conn
        .prepare_cached("SELECT id FROM schedule WHERE ns = ?1 AND source = ?2 ORDER BY id")?;
    let rows = select.query_map(params![tx.book.ns, source], |row| row.get::<_, String>(0))?;
    rows.map(|id| ScheduleId::new(id?).map_err(|_| nonsense("schedule id")))
        .collect()
}

fn add(tx: &Tx<'_>, source: &str, new: &NewSchedule, now: Timestamp) -> Sql<()> {
    let id = new.schedule.id.as_str();
    let retired: Option<i64> = tx
        .conn
        .prepare_cached("SELECT revision FROM retired_schedule WHERE ns = ?1 AND id = ?2")?
        .query_row(params![tx.book.ns, id], |row| row.get(0))
        .optional()?;
    tx.conn
        .prepare_cached(concat!(
            "INSERT INTO schedule (ns, id, definition, revision, source, paused, updated_at, ",
            "planned_until, fire_count) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?6, 0)"
        ))?
        .execute(params![
            tx.book.ns,
            id,
            new.text,
            retired.unwrap_or(0) + 1,
            source,
            now.as_micros()
        ])?;
    Ok(())
}

fn redefine(tx: &mut Tx<'_>, new: &NewSchedule, now: Timestamp) -> Sql<usize> {
    let id = &new.schedule.id;
    let revoked = revoke(tx, id, now)?;
    revise(tx, id, now)?;
    tx.conn
        .prepare_cached("UPDATE schedule SET definition = ?3 WHERE ns = ?1 AND id = ?2")?
        .execute(params![tx.book.ns, id.as_str(), new.text])?;
    Ok(revoked)
}

/// Makes a new revision, whose calendar starts now.
fn revise(tx: &Tx<'_>, id: &ScheduleId, now: Timestamp) -> Sql<()> {
    tx.conn
        .prepare_cached(concat!(
            "UPDATE schedule SET revision = revision + 1, updated_at = ?3, planned_until = ?3 ",
            "WHERE ns = ?1 AND id = ?2"
        ))?
        .execute(params![tx.book.ns, id.as_str(), now.as_micros()])?;
    Ok(())
}

fn remove(tx: &mut Tx<'_>, id: &ScheduleId, now: Timestamp) -> Sql<usize> {
    let revoked = revoke(tx, id, now)? + call_off(tx, id, now, "its schedule was removed")?;
    let place = params![tx.book.ns, id.as_str()];
    tx.conn
        .prepare_cached(concat!(
            "INSERT OR REPLACE INTO retired_schedule (ns, id, revision) ",
            "SELECT ns, id, revision + 1 FROM schedule WHERE ns = ?1 AND id = ?2"
        ))?
        .execute(place)?;
    tx.conn
        .prepare_cached("DELETE FROM schedule WHERE ns = ?1 AND id = ?2")?
        .execute(place)?;
    Ok(revoked)
}

/// Turns away the fires whose instant has come but which have not passed the gate, so that none
/// starts once the change is acknowledged; they stay on record.
fn call_off(tx: &mut Tx<'_>, id: &ScheduleId, now: Timestamp, reason: &str) -> Sql<usize> {
    let waiting = before_gate(tx, id, Timestamp::MIN, now)?;
    for seq in &waiting {
        if let Some(mut task) = TaskRow::by_seq(tx, *seq)? {
            promote::turn_away(tx, &mut task, FireOutcome::Skipped, reason)?;
        }
    }
    Ok(waiting.len())
}

/// The fires that have not come to the gate, of the instants after one and up to another.
fn before_gate(tx: &Tx<'_>, id: &ScheduleId, after: Timestamp, until: Timestamp) -> Sql<Vec<i64>> {
    let mut select = tx.conn.prepare_cached(concat!(
        "SELECT seq FROM task WHERE ns = ?1 AND schedule = ?2 AND state = 0 ",
        "AND scheduled_at > ?3 AND scheduled_at <= ?4 AND flags & 128 <> 0 ",
        "ORDER BY due_at, scheduled_at, seq"
    ))?;
    let rows = select.query_map(
        params![
            tx.book.ns,
            id.as_str(),
            after.as_micros(),
            until.as_micros()
        ],
        |row| row.get(0),
    )?;
    rows.collect()
}

/// Takes back the fires that were put ahead and whose instant has not come, and forgets them.
fn revoke(tx: &mut Tx<'_>, id: &ScheduleId, now: Timestamp) -> Sql<usize> {
    let ahead = before_gate(tx, id, now, Timestamp::MAX)?;
    for seq in &ahead {
        if let Some(mut task) = TaskRow::by_seq(tx, *seq)? {
            fire::forget(tx, &task)?;
            fire::count(tx, id, -1)?;
            task.free_key(tx)?;
            task.remove(tx)?;
        }
    }
    Ok(ahead.len())
}

/// These definitions have changed, one after the other: each makes a version, and the last are remembered.
fn touch(tx: &Tx<'_>, changes: &[ScheduleId]) -> Sql<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let count = i64::try_from(changes.len()).unwrap_or(i64::MAX);
    let last: i64 = tx
        .conn
        .prepare_cached(concat!(
            "UPDATE namespace SET schedules_version = schedules_version + ?2 WHERE no = ?1 ",
            "RETURNING schedules_version"
        ))?
        .query_row(params![tx.book.ns, count], |row| row.get(0))?;
    let kept = i64::try_from(CHANGES_KEPT).unwrap_or(i64::MAX);
    tx.conn
        .prepare_cached("DELETE FROM schedule_change WHERE ns = ?1 AND version <= ?2")?
        .execute(params![tx.book.ns, last - kept])?;
    let mut insert = tx
        .conn
        .prepare_cached("INSERT INTO schedule_change (ns, version, id) VALUES (?1, ?2, ?3)")?;
    for (version, id) in (last - count + 1..).zip(changes) {
        if version > last - kept {
            insert.execute(params![tx.book.ns, version, id.as_str()])?;
        }
    }
    Ok(())
}
