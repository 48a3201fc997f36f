//! Definitions of schedules.

use async_trait::async_trait;
use tidemill_shared::ledger::{Applied, ScheduleRecord, Schedules};
use tidemill_shared::schedule::Schedule;
use tidemill_shared::{Cursor, Error, ErrorKind, Page, Result, ScheduleId};

use crate::head::nonsense;
use crate::reply::{Reply, number};
use crate::script_set::SCRIPTS;
use crate::store::RedisStore;

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
        let mut next = Some(cursor.map_or(0, |cursor| cursor.0));
        while let Some(from) = next
            && items.len() < limit
        {
            let step = STEP.min(limit - items.len());
            let args = self.args().number(from).number(step);
            let script = &SCRIPTS.list_schedules;
            let answer = self.look("schedules", script, &args).await?;
            let mut answer = Reply::list("schedules", answer)?;
            next = answer.maybe_number()?;
            while !answer.is_done() {
                items.push(read("schedules", answer.sublist()?)?);
            }
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

    async fn generation(&self) -> Result<u64> {
        self.born().await
    }
}

impl RedisStore {
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
        view => read(operation, Reply::list(operation, view)?).map(Some),
    }
}

fn read(operation: &'static str, mut view: Reply) -> Result<ScheduleRecord> {
    let definition = view.bytes()?;
    Ok(ScheduleRecord {
        schedule: serde_json::from_slice(&definition)
            .map_err(|e| nonsense(operation).with_source(e))?,
        revision: view.number()?,
        source: view.text()?,
        paused: view.number::<u8>()? == 1,
        pause_reason: view.maybe_text()?,
        updated_at: view.instant()?,
        planned_until: view.instant()?,
        fire_count: view.number()?,
    })
}
