//! Results of named steps, fenced by the lease.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};
use tidemill_shared::ledger::StepClaim;
use tidemill_shared::{LeaseToken, Payload, Timestamp};

use crate::fault::Sql;
use crate::query;
use crate::write::lease;
use crate::writer::Tx;

/// How long the claim of a step is kept that nobody finishes. Claims of tasks in this store go with
/// their task; this is for tasks that another broker keeps.
const CLAIM: Duration = Duration::from_secs(7 * 86_400);

const CLAIMED: i64 = 0;
const ABANDONED: i64 = 1;
const FINISHED: i64 = 2;

/// Claims a step for the run that holds this lease.
pub(crate) fn claim(tx: &Tx<'_>, token: &LeaseToken, step: &str) -> Sql<StepClaim> {
    let now = tx.now();
    // Steps go with their task: without this, a run that was overtaken would find none, and repeat
    // what the later run has done.
    let Some(mut task) = lease::held(tx, token)? else {
        return Ok(StepClaim::Fenced);
    };
    let fence = i64::try_from(token.fence).unwrap_or(i64::MAX);
    let known = tx
        .conn
        .prepare_cached(concat!(
            "SELECT fence, phase, expires_at, result_type, result FROM step ",
            "WHERE ns = ?1 AND task = ?2 AND step = ?3"
        ))?
        .query_row(params![tx.book.ns, token.task.as_str(), step], |row| {
            let result = query::payload(row, 3)?;
            Ok((
                row.get::<_, i64>(0)?,
                row.get(1)?,
                row.get::<_, i64>(2)?,
                result,
            ))
        })
        .optional()?;
    if let Some((claimed, phase, expires_at, result)) = known {
        if claimed > fence {
            return Ok(StepClaim::Fenced);
        }
        if let (FINISHED, Some(result)) = (phase, result)
            && expires_at > now.as_micros()
        {
            tx.conn
                .prepare_cached(
                    "UPDATE step SET fence = ?4 WHERE ns = ?1 AND task = ?2 AND step = ?3",
                )?
                .execute(params![tx.book.ns, token.task.as_str(), step, fence])?;
            return Ok(StepClaim::Finished(result));
        }
    }
    tx.conn
        .prepare_cached(concat!(
            "INSERT OR REPLACE INTO step (ns, task, step, fence, phase, expires_at) ",
            "VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        ))?
        .execute(params![
            tx.book.ns,
            token.task.as_str(),
            step,
            fence,
            CLAIMED,
            (now + CLAIM).as_micros()
        ])?;
    task.mark_extras(tx)?;
    Ok(StepClaim::Run)
}

/// Remembers the result of a claimed step; again, when the first answer was lost. `false` when a later
/// lease has claimed it since.
pub(crate) fn commit(
    tx: &Tx<'_>,
    token: &LeaseToken,
    step: &str,
    result: &Payload,
    keep: Duration,
) -> Sql<bool> {
    let until: Timestamp = tx.now() + keep;
    let changed = tx
        .conn
        .prepare_cached(concat!(
            "UPDATE step SET phase = ?5, result_type = ?6, result = ?7, expires_at = ?8 ",
            "WHERE ns = ?1 AND task = ?2 AND step = ?3 AND fence = ?4 AND phase IN (?5, ?9)"
        ))?
        .execute(params![
            tx.book.ns,
            token.task.as_str(),
            step,
            i64::try_from(token.fence).unwrap_or(i64::MAX),
            FINISHED,
            result.content_type().as_str(),
            result.as_bytes(),
            until.as_micros(),
            CLAIMED,
        ])?;
    Ok(changed > 0)
}

/// Gives a claimed step up. Its fence still counts.
pub(crate) fn abandon(tx: &Tx<'_>, token: &LeaseToken, step: &str) -> Sql<()> {
    tx.conn
        .prepare_cached(concat!(
            "UPDATE step SET phase = ?5 ",
            "WHERE ns = ?1 AND task = ?2 AND step = ?3 AND fence = ?4 AND phase = ?6"
        ))?
        .execute(params![
            tx.book.ns,
            token.task.as_str(),
            step,
            i64::try_from(token.fence).unwrap_or(i64::MAX),
            ABANDONED,
            CLAIMED,
        ])?;
    Ok(())
}
