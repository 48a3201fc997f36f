//! The operator's view.

use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::{
    Attempt, Bulk, Burial, Change, Changed, Cursor, Error, ErrorKind, HistoryPoint, Inspect, Key,
    Kind, LeaseToken, MAX_LOOK, Page, Payload, QueueName, Removed, Replay, Result, ScheduleId,
    TaskFilter, TaskId, TaskRecord, Timestamp, merge_patch,
};
use tokio::time::Instant;

use super::RedisStore;
use super::broker::MAX_PAYLOAD;
use super::record::{attempt, letter, record, state};
use crate::args::proof;
use crate::head::{Stored, encode_record, nonsense};
use crate::reply::{Reply, bytes, number, write_payload};
use crate::script_set::SCRIPTS;

/// The largest page of a listing.
pub(super) const MAX_PAGE: usize = 1_000;

/// How many tasks one step of a walk looks at, or changes, while everybody else waits.
const STEP: usize = 250;

/// How many tasks a listing looks at whatever the time that takes.
const LEAST: usize = 2_500;
/// How long it goes on beyond that.
const PATIENCE: Duration = Duration::from_millis(30);

/// What a step of a walk came to.
struct Walked {
    found: Vec<(u64, TaskRecord)>,
    /// Where it goes on.
    next: Option<u64>,
    /// How many active tasks it read beside those that it looked at: all that have not been renewed.
    held: usize,
}

/// What a script does to one task.
struct Alteration {
    what: &'static str,
    /// What it takes beside its name, as the script reads it.
    with: String,
}

#[async_trait]
impl Inspect for RedisStore {
    async fn list(
        &self,
        filter: &TaskFilter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<TaskRecord>> {
        let limit = limit.clamp(1, MAX_PAGE);
        let mut before = cursor.map(|cursor| cursor.0);
        let mut items = Vec::new();
        // Where all are meant, no more are read than the page holds.
        let all_are_meant = *filter
            == TaskFilter {
                queue: filter.queue.clone(),
                ..TaskFilter::default()
            };
        let begun = Instant::now();
        let mut looked = 0;
        while looked < MAX_LOOK {
            if looked >= LEAST && begun.elapsed() >= PATIENCE {
                break;
            }
            let step = match all_are_meant {
                true => STEP.min(limit - items.len() + 1),
                false => STEP,
            };
            let Walked { found, next, held } = self.walk(filter, before, step).await?;
            looked += STEP + held;
            for (seq, record) in found {
                if !filter.matches(&record) {
                    continue;
                }
                if items.len() == limit {
                    // There is more, and it starts with this one.
                    let next = Some(Cursor(seq + 1));
                    return Ok(Page { items, next });
                }
                items.push(record);
            }
            if next.is_none() {
                return Ok(Page { items, next: None });
            }
            before = next;
        }
        let next = before.map(Cursor);
        Ok(Page { items, next })
    }

    async fn get(&self, task: &TaskId) -> Result<Option<TaskRecord>> {
        let args = self.args().with(task.as_str());
        match self.look("get", &SCRIPTS.get, &args).await? {
            redis::Value::Nil => Ok(None),
            view => {
                let (_, record) = record("get", Reply::list("get", view)?)?;
                Ok(Some(record))
            }
        }
    }

    async fn attempts(&self, task: &TaskId) -> Result<Vec<Attempt>> {
        let mut command = redis::cmd("LRANGE");
        let key = self.key(&format!("attempts:{task}"));
        command.arg(key).arg(0).arg(-1);
        let answer = self.link().command("attempts", &command).await?;
        let mut lines = Reply::list("attempts", answer)?;
        let mut attempts = Vec::with_capacity(lines.len());
        while !lines.is_done() {
            attempts.push(attempt(&lines.text()?)?);
        }
        Ok(attempts)
    }

    async fn change(&self, task: &TaskId, change: &Change) -> Result<Changed> {
        let one = std::slice::from_ref(task);
        let changed = match alteration(change) {
            Ok(alteration) => self.alter(one, &alteration).await?.pop(),
            Err(replay) => Some(self.replay(task, replay).await?),
        };
        changed.ok_or_else(|| nonsense("change"))
    }

    async fn change_many(
        &self,
        filter: &TaskFilter,
        change: &Change,
        cursor: Option<Cursor>,
        budget: usize,
    ) -> Result<Bulk> {
        let mut bulk = Bulk {
            next: cursor,
            ..Bulk::default()
        };
        let mut left = budget.clamp(1, MAX_LOOK);
        while left > 0 {
            let step = left.min(STEP);
            let before = bulk.next.map(|cursor| cursor.0);
            let Walked { found, next, held } = self.walk(filter, before, step).await?;
            left = left.saturating_sub(step + held);
            bulk.next = next.map(Cursor);
            let meant = found.into_iter().map(|(_, record)| record);
            let meant = meant.filter(|record| filter.matches(record));
            let ids: Vec<_> = meant.map(|record| record.envelope.id).collect();
            self.change_step(&ids, change, &mut bulk).await?;
            if bulk.next.is_none() {
                break;
            }
        }
        Ok(bulk)
    }

    async fn report(&self, token: &LeaseToken, progress: &Payload) -> Result<()> {
        let args = self.args().with(token.task.as_str());
        let args = args.with(proof(token)).with(write_payload(progress));
        let answer = self.change("report", &SCRIPTS.report, args).await?;
        if number("report", answer)? == 1 {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Fenced,
            "report",
            format!("the lease of task {} is no longer held", token.task),
        ))
    }

    async fn queues(&self) -> Result<Vec<QueueName>> {
        let mut command = redis::cmd("ZRANGE");
        command.arg(self.key("queues")).arg(0).arg(-1);
        let answer = self.link().command("queues", &command).await?;
        let mut names = Reply::list("queues", answer)?;
        let mut queues = Vec::with_capacity(names.len());
        while !names.is_done() {
            queues.push(names.text()?.try_into()?);
        }
        Ok(queues)
    }

    async fn pause(&self, queue: &QueueName, reason: Option<&str>) -> Result<()> {
        self.set_queue(queue, "pause", reason).await
    }

    async fn resume(&self, queue: &QueueName) -> Result<()> {
        self.set_queue(queue, "resume", None).await
    }

    async fn set_limit(&self, queue: &QueueName, limit: Option<u64>) -> Result<()> {
        let limit = limit.map(|limit| limit.to_string());
        self.set_queue(queue, "limit", limit.as_deref()).await
    }

    async fn remove_queue(&self, queue: &QueueName, force: bool, budget: usize) -> Result<Removed> {
        let mut left = budget;
        loop {
            let step = left.min(STEP);
            left -= step;
            let args = self.args().with(queue.as_str()).number(u8::from(force));
            let script = &SCRIPTS.remove_queue;
            let answer = self
                .change("remove queue", script, args.number(step))
                .await?;
            match number("remove queue", answer)? {
                -1 => return Ok(Removed::NotFound),
                ..0 => {}
                0 => return Ok(Removed::Done),
                held if left == 0 || !force => {
                    return Ok(Removed::Holds(held.unsigned_abs()));
                }
                _ => {}
            }
        }
    }

    async fn history(&self, queue: &QueueName, since: Timestamp) -> Result<Vec<HistoryPoint>> {
        let mut command = redis::cmd("HGETALL");
        command.arg(self.key(&format!("history:{queue}")));
        let answer = self.link().command("history", &command).await?;
        let now = self.inner.clock.now();
        super::ledger::history(answer, since, now)
    }
}

/// A change that needs nothing of the task's record; a replay does.
fn alteration(change: &Change) -> Result<Alteration, &Replay> {
    let (what, with) = match change {
        Change::Cancel => ("cancel", String::new()),
        Change::Delete => ("delete", String::new()),
        Change::Purge => ("purge", String::new()),
        Change::RunNow => ("run", String::new()),
        Change::Reschedule(at) => ("move", at.as_micros().to_string()),
        Change::Bury => ("bury", String::new()),
        Change::Rebury(burial) => ("rebury", words(burial)),
        Change::Replay(replay) => return Err(replay),
    };
    Ok(Alteration { what, with })
}

fn words(burial: &Burial) -> String {
    let (at, due) = (burial.buried_at.as_micros(), burial.due_at.as_micros());
    let (failures, crashes) = (burial.failures, burial.crashes);
    format!("{at} {due} {failures} {crashes} {}", burial.reason)
}

impl RedisStore {
    /// A step of a walk: the tasks in the states that are meant, newest first, and where it goes on.
    async fn walk(
        &self,
        filter: &TaskFilter,
        before: Option<u64>,
        budget: usize,
    ) -> Result<Walked> {
        let states: String = filter.states.iter().copied().map(letter).collect();
        let args = self
            .args()
            .with(before.map(|seq| seq.to_string()).unwrap_or_default())
            .number(budget)
            .with(states)
            .with(filter.queue.as_ref().map_or("", QueueName::as_str))
            .with(filter.kind.as_ref().map_or("", Kind::as_str))
            .with(filter.key.as_ref().map_or("", Key::as_str))
            .with(filter.schedule.as_ref().map_or("", ScheduleId::as_str))
            .with(instant(filter.since))
            .with(instant(filter.until))
            .with(instant(filter.ended_since))
            .with(instant(filter.ended_until))
            .with(filter.reason.map_or("", |reason| reason.as_str()))
            .with(filter.error.as_ref().map_or("", |_| "="));
        let answer = self.look("list", &SCRIPTS.list, &args).await?;
        let mut answer = Reply::list("list", answer)?;
        let (next, held) = (answer.maybe_number()?, answer.number()?);
        let mut found = Vec::with_capacity(answer.len());
        while !answer.is_done() {
            found.push(record("list", answer.sublist()?)?);
        }
        Ok(Walked { found, next, held })
    }

    async fn change_step(&self, ids: &[TaskId], change: &Change, bulk: &mut Bulk) -> Result<()> {
        let answers = match alteration(change) {
            Ok(alteration) => self.alter(ids, &alteration).await?,
            Err(replay) => {
                let mut answers = Vec::with_capacity(ids.len());
                for id in ids {
                    match self.replay(id, replay).await {
                        Ok(changed) => answers.push(changed),
                        // A payload that cannot be edited concerns this task alone.
                        Err(error) if error.kind() == ErrorKind::Invalid => bulk.refused += 1,
                        Err(error) => return Err(error),
                    }
                }
                answers
            }
        };
        for changed in answers {
            match changed {
                Changed::Done { .. } => bulk.changed += 1,
                Changed::NotFound => {}
                Changed::Refused(_) | Changed::KeyTaken | Changed::QueueFull { .. } => {
                    bulk.refused += 1;
                }
            }
        }
        Ok(())
    }

    async fn alter(&self, ids: &[TaskId], alteration: &Alteration) -> Result<Vec<Changed>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut args = self.args().with(alteration.what);
        args.push(alteration.with.as_str());
        for id in ids {
            args.push(id.as_str());
        }
        let answer = self.change("change", &SCRIPTS.change, args).await?;
        let mut answers = Reply::list("change", answer)?;
        let mut all = Vec::with_capacity(ids.len());
        while !answers.is_done() {
            all.push(changed(&answers.bytes()?).ok_or_else(|| nonsense("change"))?);
        }
        Ok(all)
    }

    /// Puts a finished task back: its new record is made here, and taken only if the old one is still the
    /// one that it was made of.
    async fn replay(&self, task: &TaskId, replay: &Replay) -> Result<Changed> {
        loop {
            let mut command = redis::cmd("HGET");
            command.arg(self.key("tasks")).arg(task.as_str());
            let answer = self.link().command("replay", &command).await?;
            let Some(old) = bytes("replay", answer)? else {
                return Ok(Changed::NotFound);
            };
            let mut envelope = Stored::read(&old).envelope_or_bytes(task)?;
            let edited = replay
                .edit
                .as_ref()
                .map(|patch| merge_patch(&envelope.payload, patch));
            // What is wrong with an edit matters only once it is known that the task can be replayed.
            let problem = match edited {
                Some(Ok(payload)) => {
                    envelope.payload = payload;
                    None
                }
                Some(Err(error)) => Some(error),
                None => None,
            };
            if let Some(problem) = problem {
                return match self.get(task).await? {
                    None => Ok(Changed::NotFound),
                    Some(record) if !record.state.is_final() => Ok(Changed::Refused(record.state)),
                    Some(_) => Err(problem),
                };
            }
            if let Some(queue) = &replay.to_queue {
                envelope.queue = queue.clone();
            }
            envelope.check(MAX_PAYLOAD)?;
            let at = replay.at.map(|at| at.as_micros().to_string());
            let args = self
                .args()
                .with(task.as_str())
                .with(old)
                .with(encode_record(&envelope)?)
                .with(envelope.queue.as_str())
                .number(u8::from(replay.reset_attempts))
                .with(at.unwrap_or_default());
            let answer = self.change("replay", &SCRIPTS.replay, args).await?;
            match bytes("replay", answer)?.unwrap_or_default().as_slice() {
                b"~" => {}
                b"K" => return Ok(Changed::KeyTaken),
                answer => return changed(answer).ok_or_else(|| nonsense("replay")),
            }
        }
    }

    async fn set_queue(
        &self,
        queue: &QueueName,
        what: &'static str,
        value: Option<&str>,
    ) -> Result<()> {
        let args = self.args().with(queue.as_str()).with(what).maybe(value);
        self.change(what, &SCRIPTS.queue, args).await.map(drop)
    }
}

/// An instant as a script takes it; nothing where there is none.
fn instant(at: Option<Timestamp>) -> String {
    at.map(|at| at.as_micros().to_string()).unwrap_or_default()
}

/// Reads what a script says of a change: the state before, and the state after or what refused it.
fn changed(answer: &[u8]) -> Option<Changed> {
    match answer {
        b"?" => Some(Changed::NotFound),
        [b'!', from] => Some(Changed::Refused(state(&[*from])?)),
        [b'Q', limit @ ..] => Some(Changed::QueueFull {
            limit: std::str::from_utf8(limit).ok()?.parse().ok()?,
        }),
        [from, b'-'] => Some(Changed::Done {
            from: state(&[*from])?,
            to: None,
        }),
        [from, to] => Some(Changed::Done {
            from: state(&[*from])?,
            to: Some(state(&[*to])?),
        }),
        _ => None,
    }
}
