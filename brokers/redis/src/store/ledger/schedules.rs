//! Definitions of schedules.

use async_trait::async_trait;
use futures::future::{OptionFuture, join};
use tidemill_shared::ledger::{Applied, ScheduleChanges, ScheduleRecord, Schedules};
use tidemill_shared::schedule::Schedule;
use tidemill_shared::{Cursor, Error, ErrorKind, Page, Result, ScheduleId};

use crate::head::nonsense;
use crate::reply::{Reply, number};
use crate::script_set::SCRIPTS;
use crate::store::RedisStore;
use crate::store::ledger::schedule_rows::{Rows, Step};

/// The largest page of schedules.
const MAX_PAGE: usize = 10_000;

/// How many schedules one script lists, while everybody else waits.
const STEP: usize = 500;

#[async_trait]
impl Schedules for RedisStore {
    async fn apply_schedules(&self, source: &str, schedules: Vec<Schedule>) -> Result<Applied> {
        let mut args = self.args().with(source);
        args.reserve(2 * schedules.len());
        for schedule in &schedules {
            args.push(schedule.id.as_str());
            args.push(definition(schedule)?);
        }
        let script = &SCRIPTS.apply_schedules;
        let answer = self.change("apply schedules", script, args).await?;
        applied(Reply::list("apply schedules", answer)?)
    }

    async fn put_schedule(&self, source: &str, schedule: Schedule) -> Result<ScheduleRecord> {
        let args = self.args().with("put").with(schedule.id.as_str());
        let args = args.with(source).with(definition(&schedule)?);
        let answer = self.change("put schedule", &SCRIPTS.schedule, args).await?;
        schedule_record("put schedule", answer)?.ok_or_else(|| nonsense("put schedule"))
    }

    async fn delete_schedule(&self, id: &ScheduleId) -> Result<bool> {
        self.change_schedule("delete", id, None).await
    }

    async fn pause_schedule(&self, id: &ScheduleId, reason: Option<&str>) -> Result<bool> {
        self.change_schedule("pause", id, reason).await
    }

    async fn resume_schedule(&self, id: &ScheduleId) -> Result<bool> {
        self.change_schedule("resume", id, None).await
    }

    async fn schedule(&self, id: &ScheduleId) -> Result<Option<ScheduleRecord>> {
        let args = self.args().with("get").with(id.as_str());
        let answer = self.look("schedule", &SCRIPTS.schedule, &args).await?;
        schedule_record("schedule", answer)
    }

    async fn schedules(
        &self,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<ScheduleRecord>> {
        let limit = limit.clamp(1, MAX_PAGE);
        let mut items = Vec::new();
        let mut rest = limit;
        let mut coming = Some(
            self.step(cursor.map_or(0, |cursor| cursor.0), STEP.min(rest))
                .await?,
        );
        let mut next = None;
        while let Some(step) = coming.take() {
            next = step.next;
            rest = rest.saturating_sub(step.size());
            // Redis works on the next step while this one is read.
            let ahead = next
                .filter(|_| rest > 0)
                .map(|from| self.step(from, STEP.min(rest)));
            let (ahead, read) = join(OptionFuture::from(ahead), step.read()).await;
            items.extend(read?);
            coming = ahead.transpose()?;
        }
        Ok(Page {
            items,
            next: next.map(Cursor),
        })
    }

    async fn schedules_version(&self) -> Result<u64> {
        let mut command = redis::cmd("HGET");
        command.arg(self.key("meta")).arg("version");
        let answer = self.link().command("schedules version", &command).await?;
        if answer == redis::Value::Nil {
            return Ok(0);
        }
        let version = number("schedules version", answer)?;
        Ok(version.unsigned_abs())
    }

    async fn schedule_changes(&self, since: u64, limit: usize) -> Result<Option<ScheduleChanges>> {
        let args = self.args().number(since).number(limit.clamp(1, STEP));
        let script = &SCRIPTS.changed_schedules;
        let answer = self.look("schedule changes", script, &args).await?;
        if answer == redis::Value::Nil {
            return Ok(None);
        }
        let mut answer = Reply::list("schedule changes", answer)?;
        let (until, more) = (answer.number()?, answer.number::<u8>()? == 1);
        let (mut changed, mut removed) = (Vec::new(), Vec::new());
        let (mut ids, mut rows) = (answer.sublist()?, Rows::read(&mut answer)?);
        while !ids.is_done() {
            let id = ids.text()?;
            match rows.next()? {
                Some(row) => changed.extend(row.record()),
                None => removed.push(ScheduleId::new(id)?),
            }
        }
        Ok(Some(ScheduleChanges {
            changed,
            removed,
            until,
            more,
        }))
    }

    async fn generation(&self) -> Result<u64> {
        self.born().await
    }
}

impl RedisStore {
    async fn step(&self, from: u64, limit: usize) -> Result<Step> {
        let args = self.args().number(from).number(limit);
        let answer = self
            .look("schedules", &SCRIPTS.list_schedules, &args)
            .await?;
        Step::read_from(answer)
    }

    async fn change_schedule(
        &self,
        what: &'static str,
        id: &ScheduleId,
        reason: Option<&str>,
    ) -> Result<bool> {
        let args = self.args().with(what).with(id.as_str()).maybe(reason);
        let answer = self.change(what, &SCRIPTS.schedule, args).await?;
        Ok(number(what, answer)? == 1)
    }
}

fn definition(schedule: &Schedule) -> Result<Vec<u8>> {
    serde_json::to_vec(schedule).map_err(|e| {
        Error::invalid(
            "schedule",
            format!("schedule {} cannot be written: {e}", schedule.id),
        )
    })
}

fn applied(mut answer: Reply) -> Result<Applied> {
    let first = answer.text()?;
    if first == "=" {
        let id = answer.text()?;
        return Err(Error::invalid(
            "apply schedules",
            format!("schedule {id} is given twice; expected each id once"),
        ));
    }
    if first == "!" {
        let (id, owner) = (answer.text()?, answer.text()?);
        return Err(Error::new(
            ErrorKind::Conflict,
            "apply schedules",
            format!("schedule {id} belongs to {owner}; rename one of them or delete that one"),
        ));
    }
    let mut applied = Applied {
        unchanged: first.parse().map_err(|_| nonsense("apply schedules"))?,
        revoked: answer.number()?,
        ..Applied::default()
    };
    while !answer.is_done() {
        let one = answer.text()?;
        let (list, id) = match one.split_at_checked(1) {
            Some(("+", id)) => (&mut applied.added, id),
            Some(("~", id)) => (&mut applied.changed, id),
            Some(("-", id)) => (&mut applied.removed, id),
            _ => return Err(nonsense("apply schedules")),
        };
        list.push(ScheduleId::new(id)?);
    }
    Ok(applied)
}

fn schedule_record(operation: &'static str, view: redis::Value) -> Result<Option<ScheduleRecord>> {
    match view {
        redis::Value::Nil => Ok(None),
        view => {
            let mut view = Reply::list(operation, view)?;
            let definition = view.bytes()?;
            read(operation, &definition, &mut view).map(Some)
        }
    }
}

/// All fields are taken from the state, also when the definition cannot be read.
fn read(operation: &'static str, definition: &[u8], state: &mut Reply) -> Result<ScheduleRecord> {
    let schedule = serde_json::from_slice(definition);
    let (revision, source) = (state.number()?, state.text()?);
    let (paused, pause_reason) = (state.number::<u8>()? == 1, state.maybe_text()?);
    let (updated_at, planned_until) = (state.instant()?, state.instant()?);
    let fire_count = state.number()?;
    Ok(ScheduleRecord {
        schedule: schedule.map_err(|e| nonsense(operation).with_source(e))?,
        revision,
        source,
        paused,
        pause_reason,
        updated_at,
        planned_until,
        fire_count,
    })
}
