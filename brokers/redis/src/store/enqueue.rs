//! Taking envelopes in.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use redis::{Cmd, Value};
use tidemill_shared::{Admission, Envelope, Result, TaskId, Timestamp};

use super::RedisStore;
use super::broker::{MAX_BATCH, MAX_PAYLOAD};
use crate::args::Args;
use crate::head::{encode_record, nonsense};
use crate::link::Invocation;
use crate::reply::Reply;
use crate::script_set::SCRIPTS;

/// Where a task goes that is as plain as most: without key, origin and retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way<'a> {
    /// To the end of a line: it is due.
    Line { queue: &'a str, priority: u8 },
    /// To wait for its due time.
    Wait { queue: &'a str, priority: u8 },
}

fn way_of(envelope: &Envelope, now: Timestamp) -> Option<Way<'_>> {
    if envelope.key.is_some() || envelope.origin.is_some() || !envelope.retention.is_zero() {
        return None;
    }
    let (queue, priority) = (envelope.queue.as_str(), envelope.priority.level());
    Some(if envelope.due_at <= now {
        Way::Line { queue, priority }
    } else {
        Way::Wait { queue, priority }
    })
}

/// What is known about the ids of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ids {
    /// Nobody can have used them before.
    New,
    /// There may be tasks with these ids.
    Any,
}

impl RedisStore {
    /// Takes a batch in, in one transaction: what is plain and goes to the same line, in a row, by the
    /// quick script, the rest by the thorough one.
    pub(super) async fn take_in(&self, batch: &[Envelope], ids: Ids) -> Result<Vec<Admission>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        for envelope in batch {
            envelope.check(MAX_PAYLOAD)?;
        }
        let now = self.inner.clock.now();
        let mut records = Vec::new();
        let mut keepers = Vec::new();
        let mut calls = Vec::new();
        let mut sizes = Vec::new();
        let mut seen = HashSet::new();
        let is_unique = ids == Ids::New || batch.iter().all(|one| seen.insert(&one.id));
        let mut rest = batch;
        let rows = batch.chunk_by(|a, b| way_of(a, now) == way_of(b, now));
        for row in rows.flat_map(|row| row.chunks(MAX_BATCH)) {
            let way = row.first().and_then(|one| way_of(one, now));
            let begin = batch.len() - rest.len();
            rest = rest.get(row.len()..).unwrap_or_default();
            // The quick scripts take each id for another one.
            let call = match way.filter(|_| is_unique) {
                None => {
                    let mut args = Args::at(now);
                    for envelope in row {
                        args.push(envelope.id.as_str());
                        args.push(encode_record(envelope)?);
                    }
                    self.invocation(&SCRIPTS.enqueue, &args)
                }
                Some(way) if ids == Ids::New => {
                    records.push(self.records_command(row)?);
                    if let Way::Line { .. } = way {
                        records.push(self.states_command(row));
                    }
                    self.plain_call(row, way, now, ids)
                }
                Some(way) => {
                    for (n, envelope) in row.iter().enumerate() {
                        keepers.push((records.len(), begin + n));
                        records.push(self.record_command(envelope)?);
                    }
                    self.plain_call(row, way, now, ids)
                }
            };
            calls.push(call);
            sizes.push(row.len());
        }
        let done = self.noted(self.link().transact("enqueue", records, calls).await)?;
        let mut admissions = Vec::with_capacity(batch.len());
        for (answer, size) in done.of_scripts.into_iter().zip(sizes) {
            if let Value::Int(seq) = answer {
                let seq = seq.unsigned_abs();
                self.inner.last_seq.fetch_max(seq, Ordering::Relaxed);
            }
            read_admissions(answer, size, &mut admissions)?;
        }
        let stale = keepers.into_iter().filter(|(command, at)| {
            done.of_commands.get(*command) == Some(&Value::Int(0))
                && admissions.get(*at) == Some(&Admission::Admitted)
        });
        let stale = stale.filter_map(|(_, at)| batch.get(at));
        self.amend(stale).await?;
        Ok(admissions)
    }

    /// Gives tasks that were just admitted their records, where others stood that were nobody's.
    pub(super) async fn amend(&self, stale: impl Iterator<Item = &Envelope> + Send) -> Result<()> {
        let mut args = self.args();
        let mut is_needed = false;
        for envelope in stale {
            args.push(envelope.id.as_str());
            args.push(encode_record(envelope)?);
            is_needed = true;
        }
        if is_needed {
            self.change("enqueue", &SCRIPTS.amend, args).await?;
        }
        Ok(())
    }

    fn plain_call(
        &self,
        row: &[Envelope],
        way: Way<'_>,
        now: Timestamp,
        ids: Ids,
    ) -> Invocation<'static> {
        match way {
            Way::Line { queue, priority } => {
                let ready = row.iter().map(|one| one.due_at.max(one.enqueued_at)).max();
                let mut args = Args::at(now)
                    .with(queue)
                    .number(priority)
                    .number(ready.unwrap_or(now).as_micros())
                    .with(match ids {
                        Ids::New => "new",
                        Ids::Any => "any",
                    });
                args.reserve(row.len());
                for envelope in row {
                    args.push(envelope.id.as_str());
                }
                self.invocation(&SCRIPTS.enqueue_plain, &args)
            }
            Way::Wait { queue, priority } => {
                let mut args = Args::at(now).with(queue).number(priority);
                args.reserve(2 * row.len());
                for envelope in row {
                    args.push(envelope.id.as_str());
                    args.push_number(envelope.due_at.as_micros());
                }
                self.invocation(&SCRIPTS.enqueue_later, &args)
            }
        }
    }

    /// Keeps records, whatever stood there: it is nobody's.
    fn records_command(&self, row: &[Envelope]) -> Result<Cmd> {
        let payloads = row.iter().map(|one| one.payload.as_bytes().len());
        let mut command = Cmd::with_capacity(
            2 + 2 * row.len(),
            payloads.map(|size| size + 240).sum::<usize>() + 64,
        );
        command.arg("HSET").arg(&self.inner.tasks_key);
        for envelope in row {
            command
                .arg(envelope.id.as_str())
                .arg(encode_record(envelope)?);
        }
        Ok(command)
    }

    /// Keeps the states of tasks that are new and go into a line: where to look for their places.
    fn states_command(&self, row: &[Envelope]) -> Cmd {
        let state = format!("={}", self.inner.last_seq.load(Ordering::Relaxed));
        let mut command = Cmd::with_capacity(2 + 2 * row.len(), 40 * row.len() + 64);
        command.arg("HSET").arg(&self.inner.states_key);
        for envelope in row {
            command.arg(envelope.id.as_str()).arg(&state);
        }
        command
    }

    /// Keeps a record, unless there is one under this id.
    pub(super) fn record_command(&self, envelope: &Envelope) -> Result<Cmd> {
        let record = encode_record(envelope)?;
        let mut command = Cmd::with_capacity(4, record.len() + 160);
        command
            .arg("HSETNX")
            .arg(&self.inner.tasks_key)
            .arg(envelope.id.as_str())
            .arg(record);
        Ok(command)
    }
}

/// Reads what a script says of a row: nothing, or a number, means that all were admitted.
fn read_admissions(answer: Value, size: usize, admissions: &mut Vec<Admission>) -> Result<()> {
    if matches!(answer, Value::Nil | Value::Int(_)) {
        admissions.extend(std::iter::repeat_n(Admission::Admitted, size));
        return Ok(());
    }
    let mut answers = Reply::list("enqueue", answer)?;
    if answers.len() != size {
        return Err(nonsense("enqueue"));
    }
    while !answers.is_done() {
        admissions.push(admission(&answers.bytes()?)?);
    }
    Ok(())
}

fn admission(answer: &[u8]) -> Result<Admission> {
    let wrong = || nonsense("enqueue");
    let (letter, rest) = answer.split_first().ok_or_else(wrong)?;
    let rest = std::str::from_utf8(rest).map_err(|_| wrong())?;
    match letter {
        b'A' => Ok(Admission::Admitted),
        b'I' => Ok(Admission::IdConflict),
        b'D' => Ok(Admission::Duplicate(TaskId::new(rest)?)),
        b'Q' => Ok(Admission::QueueFull {
            limit: rest.parse().map_err(|_| wrong())?,
        }),
        _ => Err(wrong()),
    }
}
