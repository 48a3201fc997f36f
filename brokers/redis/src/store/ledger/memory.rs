//! What is remembered beside tasks and schedules: steps, completions, logs, who is alive.

use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::ledger::{
    Completions, LogLine, LogPage, Logs, Presence, PresenceRecord, Role, StepClaim, Steps,
};
use tidemill_shared::{Cursor, Error, LeaseToken, Payload, Result, TaskId, WorkerId};

use crate::args::proof;
use crate::head::{micros, nonsense};
use crate::reply::{Reply, bytes, number, read_payload, write_payload};
use crate::script_set::SCRIPTS;
use crate::store::RedisStore;
use crate::store::inspect::MAX_PAGE;

#[async_trait]
impl Steps for RedisStore {
    async fn claim_step(&self, token: &LeaseToken, step: &str) -> Result<StepClaim> {
        let args = self.args().with("claim").with(token.task.as_str());
        let args = args.number(token.fence).with(step).with(proof(token));
        let answer = self.change("claim step", &SCRIPTS.steps, args).await?;
        let answer = bytes("claim step", answer)?.unwrap_or_default();
        match answer.as_slice() {
            b"run" => Ok(StepClaim::Run),
            b"fenced" => Ok(StepClaim::Fenced),
            [b'=', result @ ..] => {
                let result = read_payload(result).ok_or_else(|| nonsense("claim step"))?;
                Ok(StepClaim::Finished(result))
            }
            _ => Err(nonsense("claim step")),
        }
    }

    async fn commit_step(
        &self,
        token: &LeaseToken,
        step: &str,
        result: &Payload,
        keep: Duration,
    ) -> Result<bool> {
        let args = self.args().with("commit").with(token.task.as_str());
        let args = args.number(token.fence).with(step);
        let args = args.with(write_payload(result)).number(micros(keep));
        let answer = self.change("commit step", &SCRIPTS.steps, args).await?;
        Ok(number("commit step", answer)? == 1)
    }

    async fn abandon_step(&self, token: &LeaseToken, step: &str) -> Result<()> {
        let args = self.args().with("abandon").with(token.task.as_str());
        let args = args.number(token.fence).with(step);
        let answer = self.change("abandon step", &SCRIPTS.steps, args).await;
        answer.map(drop)
    }
}

#[async_trait]
impl Completions for RedisStore {
    async fn mark_completed(&self, task: &TaskId, window: Duration) -> Result<()> {
        let until = self.inner.clock.now() + window;
        let mut command = redis::cmd("ZADD");
        command
            .arg(self.key("completions"))
            .arg(until.as_micros())
            .arg(task.as_str());
        let answer = self.link().command("mark completed", &command).await;
        answer.map(drop)
    }

    async fn is_completed(&self, task: &TaskId) -> Result<bool> {
        let mut command = redis::cmd("ZSCORE");
        command.arg(self.key("completions")).arg(task.as_str());
        let answer = self.link().command("is completed", &command).await?;
        let until = match answer {
            redis::Value::Double(until) => Some(until),
            other => bytes("is completed", other)?
                .and_then(|text| String::from_utf8(text).ok()?.parse::<f64>().ok()),
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "scores are doubles; instants of this century are exact in them"
        )]
        let now = self.inner.clock.now().as_micros() as f64;
        Ok(until.is_some_and(|until| until > now))
    }

    async fn forget_completed(&self, task: &TaskId) -> Result<()> {
        let mut command = redis::cmd("ZREM");
        command.arg(self.key("completions")).arg(task.as_str());
        let answer = self.link().command("forget completed", &command).await;
        answer.map(drop)
    }
}

#[async_trait]
impl Logs for RedisStore {
    async fn append_log(&self, task: &TaskId, lines: Vec<LogLine>) -> Result<()> {
        let mut args = self.args().with(task.as_str());
        for line in &lines {
            let json = serde_json::to_vec(line);
            args.push(json.map_err(|e| Error::invalid("append log", e.to_string()))?);
        }
        let answer = self.change("append log", &SCRIPTS.log, args).await;
        answer.map(drop)
    }

    async fn read_log(
        &self,
        task: &TaskId,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<LogPage> {
        let limit = u64::try_from(limit.clamp(1, MAX_PAGE)).unwrap_or(1);
        // Redis counts in i64; nobody's log is that long.
        let start = cursor.map_or(0, |cursor| cursor.0.min(1 << 62));
        let mut command = redis::cmd("LRANGE");
        command
            .arg(self.key(&format!("log:{task}")))
            .arg(start)
            .arg(start + limit - 1);
        let answer = self.link().command("read log", &command).await?;
        let mut answer = Reply::list("read log", answer)?;
        let mut lines = Vec::with_capacity(answer.len());
        while !answer.is_done() {
            let line: LogLine = serde_json::from_slice(&answer.bytes()?)
                .map_err(|e| nonsense("read log").with_source(e))?;
            lines.push(line);
        }
        let read = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        Ok(LogPage {
            lines,
            next: Cursor(start.saturating_add(read)),
        })
    }
}

#[async_trait]
impl Presence for RedisStore {
    async fn announce(&self, record: &PresenceRecord, ttl: Duration) -> Result<()> {
        let json = serde_json::to_vec(record);
        let json = json.map_err(|e| Error::invalid("announce", e.to_string()))?;
        let args = self.args().with("announce").with(record.id.as_str());
        let args = args.with(json).number(micros(ttl));
        let answer = self.look("announce", &SCRIPTS.presence, &args).await;
        answer.map(drop)
    }

    async fn depart(&self, id: &WorkerId) -> Result<()> {
        let args = self.args().with("depart").with(id.as_str());
        let answer = self.look("depart", &SCRIPTS.presence, &args).await;
        answer.map(drop)
    }

    async fn present(&self, role: Role) -> Result<Vec<PresenceRecord>> {
        let args = self.args().with("list");
        let answer = self.look("present", &SCRIPTS.presence, &args).await?;
        let mut answer = Reply::list("present", answer)?;
        let mut found = Vec::with_capacity(answer.len());
        while !answer.is_done() {
            let Some(json) = answer.maybe_bytes()? else {
                continue;
            };
            let record: PresenceRecord =
                serde_json::from_slice(&json).map_err(|e| nonsense("present").with_source(e))?;
            if record.role == role {
                found.push(record);
            }
        }
        found.sort_by(|a, b| (a.started_at, &a.id).cmp(&(b.started_at, &b.id)));
        Ok(found)
    }
}
