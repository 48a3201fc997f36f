//! Handing out leases, extending them, and taking back what nobody received.

use std::sync::LazyLock;
use std::time::Duration;

use rusqlite::params;
use tidemill_shared::{
    Demand, LeaseToken, MissedFires, Payload, QueueName, Renewal, State, TaskId, Timestamp,
    WorkerId,
};

use crate::book::QueueAt;
use crate::code::{ACTIVE, Flags};
use crate::fault::Sql;
use crate::write::chunk::{self, ActiveRow, Listed};
use crate::write::promote;
use crate::write::task::TaskRow;
use crate::writer::Tx;

/// How many due tasks one call promotes at most.
const PROMOTED_PER_LEASE: usize = 250;

/// A leased task whose envelope has still to be read.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) seq: i64,
    pub(crate) fence: i64,
    pub(crate) failures: i64,
    pub(crate) crashes: i64,
    pub(crate) unknown_kind: i64,
    pub(crate) ready_at: i64,
    pub(crate) envelope: Vec<u8>,
    flags: Flags,
}

/// The answer to a demand.
#[derive(Debug)]
pub(crate) struct Grants {
    pub(crate) grants: Vec<Grant>,
    pub(crate) expires_at: Timestamp,
    /// When something is due next; looked up only when nothing was granted.
    pub(crate) next_due: Option<Timestamp>,
    /// Fires that were late when they were promoted on the way.
    pub(crate) missed: MissedFires,
}

/// Promotes what is due, then takes what the demand asks for.
pub(crate) fn lease(tx: &mut Tx<'_>, demand: &Demand, max: usize) -> Sql<Grants> {
    let now = tx.now();
    let missed = promote::promote(tx, PROMOTED_PER_LEASE, now)?.missed;
    let expires_at = now + demand.ttl;
    let mut grants = Vec::new();
    for wanted in &demand.queues {
        let room = wanted.max.min(max - grants.len());
        if room == 0 {
            continue;
        }
        if let Some(at) = tx.book.find(tx.conn, &wanted.queue)?
            && !tx.book.queue(at).paused
        {
            let first = grants.len();
            take(tx, at, room, &mut grants)?;
            hand_out(tx, at, &grants[first..], &demand.worker, now, expires_at)?;
        }
    }
    let next_due = if grants.is_empty() {
        promote::next_due(tx)?
    } else {
        None
    };
    Ok(Grants {
        grants,
        expires_at,
        next_due,
        missed,
    })
}

fn take(tx: &Tx<'_>, at: QueueAt, room: usize, grants: &mut Vec<Grant>) -> Sql<()> {
    let mut select = tx.conn.prepare_cached(concat!(
        "SELECT seq, flags, ready_at, fence, failures, crashes, unknown_kind, envelope FROM task ",
        "WHERE queue = ?1 AND state = 2 ORDER BY priority DESC, ready_at, seq LIMIT ?2"
    ))?;
    let mut rows = select.query(params![
        tx.book.queue(at).no,
        i64::try_from(room).unwrap_or(i64::MAX)
    ])?;
    while let Some(row) = rows.next()? {
        grants.push(Grant {
            seq: row.get(0)?,
            flags: Flags(row.get(1)?),
            ready_at: row.get(2)?,
            fence: row.get::<_, i64>(3)? + 1,
            failures: row.get(4)?,
            crashes: row.get(5)?,
            unknown_kind: row.get(6)?,
            envelope: row.get(7)?,
        });
    }
    Ok(())
}

fn hand_out(
    tx: &mut Tx<'_>,
    at: QueueAt,
    grants: &[Grant],
    worker: &WorkerId,
    now: Timestamp,
    expires_at: Timestamp,
) -> Sql<()> {
    static UPDATE: LazyLock<Listed> = LazyLock::new(|| {
        Listed::new(concat!(
            "UPDATE OR FAIL task SET state = 3, fence = fence + 1, attempt = failures + crashes + 1, ",
            "until = ?1, worker = ?2, started_at = ?3 WHERE seq"
        ))
    });
    let seqs: Vec<i64> = grants.iter().map(|grant| grant.seq).collect();
    let (until, since) = (expires_at.as_micros(), now.as_micros());
    UPDATE.execute(tx.conn, &[&until, &worker.as_str(), &since], &seqs)?;
    for grant in grants.iter().filter(|grant| grant.flags.has(Flags::EXTRAS)) {
        tx.conn
            .prepare_cached(
                "UPDATE detail SET progress_type = NULL, progress = NULL WHERE task = ?1",
            )?
            .execute(params![grant.seq])?;
    }
    let count = i64::try_from(grants.len()).unwrap_or(i64::MAX);
    tx.book
        .moved_many(at, Some(State::Pending), Some(State::Active), count);
    Ok(())
}

/// Extends leases. An expired one that nobody has taken back is still held: the fence decides, not
/// the clock.
pub(crate) fn renew(tx: &mut Tx<'_>, tokens: &[LeaseToken], ttl: Duration) -> Sql<Vec<Renewal>> {
    static UPDATE: LazyLock<Listed> =
        LazyLock::new(|| Listed::new("UPDATE OR FAIL task SET until = ?1 WHERE seq"));
    let until = tx.now() + ttl;
    let held = Held::find(tx, tokens.iter())?;
    let mut renewed = Vec::with_capacity(tokens.len());
    let answers = tokens.iter().map(|token| match held.row(token) {
        None => Renewal::Lost,
        Some(row) => {
            renewed.push(row.seq);
            if Flags(row.flags).has(Flags::CANCEL) {
                Renewal::Cancelled(until)
            } else {
                Renewal::Held(until)
            }
        }
    });
    let answers = answers.collect();
    UPDATE.execute(tx.conn, &[&until.as_micros()], &renewed)?;
    Ok(answers)
}

/// Which of some tokens still hold their leases, looked up all at once.
#[derive(Debug)]
pub(crate) struct Held(Vec<ActiveRow>);

impl Held {
    pub(crate) fn find<'a>(tx: &Tx<'_>, tokens: impl Iterator<Item = &'a LeaseToken>) -> Sql<Self> {
        let seqs: Vec<i64> = tokens.map(|token| place(token).0).collect();
        Ok(Self(chunk::active(tx.conn, tx.book.ns, &seqs)?))
    }

    /// The row of a token that is not stale.
    pub(crate) fn row(&self, token: &LeaseToken) -> Option<&ActiveRow> {
        let (seq, fence) = place(token);
        let at = self.0.binary_search_by_key(&seq, |row| row.seq).ok()?;
        self.0.get(at).filter(|row| {
            row.fence == fence
                && row.id == token.task.as_str()
                && row.worker == token.worker.as_str()
        })
    }
}

/// The row and the fence that a token names; a token of another broker names none.
fn place(token: &LeaseToken) -> (i64, i64) {
    (
        i64::try_from(token.locator).unwrap_or(-1),
        i64::try_from(token.fence).unwrap_or(-1),
    )
}

/// The task of a token that still holds its lease.
pub(crate) fn held(tx: &Tx<'_>, token: &LeaseToken) -> Sql<Option<TaskRow>> {
    let (seq, fence) = place(token);
    let task = TaskRow::by_seq(tx, seq)?;
    Ok(task.filter(|task| {
        task.state == ACTIVE
            && task.fence == fence
            && task.id == token.task.as_str()
            && task.worker.as_deref() == Some(token.worker.as_str())
    }))
}

/// Puts back at once what was leased for a caller that had gone away, as if it had never been taken.
pub(crate) fn put_back(tx: &mut Tx<'_>, places: &[(i64, i64)]) -> Sql<()> {
    let now = tx.now();
    for (seq, fence) in places {
        let Some(mut task) = TaskRow::by_seq(tx, *seq)? else {
            continue;
        };
        if task.state != ACTIVE || task.fence != *fence {
            continue;
        }
        if task.flags.has(Flags::CANCEL) {
            task.finish(tx, State::Cancelled, now)?;
        } else {
            task.until = None;
            task.make_pending(task.ready_at);
            task.save(tx)?;
        }
    }
    Ok(())
}

/// Records what a run reports about its progress. `false` when the token is stale.
pub(crate) fn report(tx: &mut Tx<'_>, token: &LeaseToken, progress: &Payload) -> Sql<bool> {
    let Some(mut task) = held(tx, token)? else {
        return Ok(false);
    };
    tx.conn
        .prepare_cached(concat!(
            "INSERT INTO detail (task, progress_type, progress) VALUES (?1, ?2, ?3) ",
            "ON CONFLICT (task) DO UPDATE SET progress_type = excluded.progress_type, ",
            "progress = excluded.progress"
        ))?
        .execute(params![
            task.seq,
            progress.content_type().as_str(),
            progress.as_bytes()
        ])?;
    task.mark_extras(tx)?;
    Ok(true)
}

impl TaskRow {
    /// Notes that there are rows beside the task's own.
    pub(crate) fn mark_extras(&mut self, tx: &Tx<'_>) -> Sql<()> {
        if !self.flags.has(Flags::EXTRAS) {
            self.set(Flags::EXTRAS);
            tx.conn
                .prepare_cached("UPDATE task SET flags = flags | 8 WHERE seq = ?1")?
                .execute(params![self.seq])?;
        }
        Ok(())
    }
}

/// The token of a grant.
pub(crate) fn token(
    grant: &Grant,
    task: TaskId,
    queue: QueueName,
    worker: &WorkerId,
) -> LeaseToken {
    LeaseToken {
        task,
        queue,
        worker: worker.clone(),
        fence: grant.fence.unsigned_abs(),
        locator: grant.seq.unsigned_abs(),
    }
}
