//! Fires of schedules.

use std::collections::HashSet;

use async_trait::async_trait;
use redis::Value;
use tidemill_shared::ledger::{FireOutcome, FireRecord, Fires, PlannedFire, Recorded, Term};
use tidemill_shared::schedule::Overlap;
use tidemill_shared::{Cursor, Envelope, Page, Priority, QueueName, Result, ScheduleId, Timestamp};

use crate::args::Args;
use crate::head::{encode_record, nonsense};
use crate::reply::Reply;
use crate::script_set::SCRIPTS;
use crate::store::RedisStore;
use crate::store::broker::{MAX_BATCH, MAX_PAYLOAD};
use crate::store::inspect::MAX_PAGE;
use crate::store::record::state;

#[async_trait]
impl Fires for RedisStore {
    async fn record_fires(&self, term: Option<&Term>, fires: Vec<PlannedFire>) -> Result<Recorded> {
        if fires.is_empty() {
            return Ok(Recorded::nothing());
        }
        if let Some(row) = Ahead::of(term, &fires, self.inner.clock.now())
            && let Some(recorded) = self.record_ahead(&row, &fires).await?
        {
            return Ok(recorded);
        }
        let mut args = match term {
            Some(term) => self
                .args()
                .number(term.shard)
                .number(term.epoch)
                .with(term.holder.as_str())
                .number(term.batches),
            None => self.args().with("0").with("0").with("").with("0"),
        };
        args.reserve(9 * fires.len());
        for fire in &fires {
            push_fire(&mut args, term, fire)?;
        }
        let script = &SCRIPTS.record_fires;
        let answer = self.change("record fires", script, args).await?;
        recorded(answer, fires.len())
    }

    async fn fires(
        &self,
        schedule: &ScheduleId,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<FireRecord>> {
        let latest = cursor.map(|cursor| cursor.instant().as_micros().to_string());
        let args = self
            .args()
            .with(schedule.as_str())
            .with(latest.unwrap_or_else(|| "+inf".into()))
            .number(limit.clamp(1, MAX_PAGE));
        let answer = self.look("fires", &SCRIPTS.list_fires, &args).await?;
        let mut answer = Reply::list("fires", answer)?;
        let next = answer.maybe_instant()?.map(Cursor::at);
        let mut items = Vec::with_capacity(answer.len());
        while !answer.is_done() {
            items.push(fire(schedule, answer.sublist()?)?);
        }
        Ok(Page { items, next })
    }
}

/// A batch that a leader puts ahead: fires of the calendar, due later, without keys, for one line.
struct Ahead<'a> {
    term: &'a Term,
    now: Timestamp,
    queue: &'a QueueName,
    priority: Priority,
}

impl<'a> Ahead<'a> {
    fn of(term: Option<&'a Term>, fires: &'a [PlannedFire], now: Timestamp) -> Option<Self> {
        let (term, first) = (term?, fires.first()?.task.as_deref().ok()?);
        let mut seen = HashSet::with_capacity(fires.len());
        let fits = |fire: &'a PlannedFire| {
            let Ok(task) = &fire.task else { return false };
            task.key.is_none()
                && task.due_at > now
                && (&task.queue, task.priority) == (&first.queue, first.priority)
                && !fire.manual
                && fire.count == 1
                && fire.planned_until == fire.scheduled_at
                && term.covers(&fire.schedule)
                && seen.insert(&task.id)
        };
        let is_quick = fires.len() <= MAX_BATCH && fires.iter().all(fits);
        is_quick.then_some(Self {
            term,
            now,
            queue: &first.queue,
            priority: first.priority,
        })
    }
}

impl RedisStore {
    /// Records a batch that is put ahead, by the quick script. `None` when the thorough one has to look.
    async fn record_ahead(
        &self,
        row: &Ahead<'_>,
        fires: &[PlannedFire],
    ) -> Result<Option<Recorded>> {
        let mut args = Args::at(row.now)
            .number(row.term.shard)
            .number(row.term.epoch)
            .with(row.term.holder.as_str())
            .number(row.term.batches)
            .with(row.queue.as_str())
            .number(row.priority.level());
        args.reserve(6 * fires.len());
        let mut records = Vec::with_capacity(fires.len());
        for fire in fires {
            let Ok(task) = &fire.task else {
                return Ok(None);
            };
            task.check(MAX_PAYLOAD)?;
            records.push(self.record_command(task)?);
            args.push(fire.schedule.as_str());
            args.push_number(fire.scheduled_at.as_micros());
            args.push_number(fire.revision);
            args.push_number(task.due_at.as_micros());
            args.push(task.id.as_str());
            args.push(passing(task));
        }
        let call = self.invocation(&SCRIPTS.record_fires_ahead, &args);
        let done = self.link().transact("record fires", records, vec![call]);
        let done = self.noted(done.await)?;
        let recorded = match done.of_scripts.into_iter().next() {
            None | Some(Value::Nil) => return Ok(None),
            Some(answer) => recorded(answer, fires.len())?,
        };
        let stale = done.of_commands.iter().zip(&recorded.outcomes).zip(fires);
        let stale = stale.filter(|((kept, outcome), _)| {
            **kept == Value::Int(0) && **outcome == FireOutcome::Enqueued
        });
        self.amend(stale.filter_map(|(_, fire)| fire.task.as_deref().ok()))
            .await?;
        Ok(Some(recorded))
    }
}

/// How a fire may pass the gate at its due time without being looked at.
fn passing(task: &Envelope) -> &'static str {
    let overlap = task.origin.as_ref().map(|origin| origin.overlap);
    match overlap {
        Some(Overlap::Allow) if task.retention.is_zero() => "a",
        Some(Overlap::Skip) if task.retention.is_zero() => "s",
        _ => "-",
    }
}

/// What a script says of the batch and of each fire.
fn recorded(answer: Value, fires: usize) -> Result<Recorded> {
    let mut answers = Reply::list("record fires", answer)?;
    let batches = answers.maybe_number()?;
    let mut outcomes = Vec::with_capacity(fires);
    while !answers.is_done() {
        let letter = answers.bytes()?;
        outcomes.push(outcome(&letter).ok_or_else(|| nonsense("record fires"))?);
    }
    if outcomes.len() == fires {
        return Ok(Recorded { outcomes, batches });
    }
    Err(nonsense("record fires"))
}

fn push_fire(args: &mut Args, term: Option<&Term>, fire: &PlannedFire) -> Result<()> {
    args.push(fire.schedule.as_str());
    args.push(fire.scheduled_at.as_micros().to_string());
    args.push(fire.revision.to_string());
    args.push(fire.count.to_string());
    args.push(fire.planned_until.as_micros().to_string());
    args.push(right(term, fire));
    match &fire.task {
        Ok(envelope) => {
            envelope.check(MAX_PAYLOAD)?;
            args.push("T");
            args.push(envelope.id.as_str());
            args.push(encode_record(envelope)?);
        }
        Err((outcome, reason)) => {
            args.push(if *outcome == FireOutcome::Missed {
                "m"
            } else {
                "s"
            });
            args.push(reason.as_str());
            args.push("");
        }
    }
    Ok(())
}

/// By what right a fire is to be recorded.
fn right(term: Option<&Term>, fire: &PlannedFire) -> &'static str {
    match term {
        _ if fire.manual => "h",
        Some(term) if term.covers(&fire.schedule) => "t",
        _ => "x",
    }
}

fn outcome(letter: &[u8]) -> Option<FireOutcome> {
    Some(match letter {
        b"e" => FireOutcome::Enqueued,
        b"s" => FireOutcome::Skipped,
        b"m" => FireOutcome::Missed,
        b"d" => FireOutcome::Duplicate,
        b"r" => FireOutcome::Refused,
        _ => return None,
    })
}

fn fire(schedule: &ScheduleId, mut row: Reply) -> Result<FireRecord> {
    let wrong = || nonsense("fires");
    Ok(FireRecord {
        schedule: schedule.clone(),
        scheduled_at: row.instant()?,
        revision: row.number()?,
        outcome: outcome(&row.bytes()?).ok_or_else(wrong)?,
        reason: row.maybe_text()?,
        task: row.maybe_text()?.map(TryInto::try_into).transpose()?,
        enqueued_at: row.maybe_instant()?,
        started_at: row.maybe_instant()?,
        finished_at: row.maybe_instant()?,
        ended: row
            .maybe_bytes()?
            .map(|letter| state(&letter).ok_or_else(wrong))
            .transpose()?,
        count: row.number()?,
        manual: row.number::<u8>()? == 1,
    })
}
