//! What the API does in one piece, and what the command line does in many where it stands at the store.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidemill_shared::{Error, ErrorKind, NoteName, Result, ScheduleId, TaskId, Timestamp};
use tokio_util::sync::CancellationToken;

use super::Remote;
use crate::access::{Issued, Role, Scope, TokenRecord};
use crate::call::Items;
use crate::replay::{ReplayBatch, ReplayOrder, ReplayPlan, ReplayStatus, UndoOutcome};
use crate::why::Finding;

/// How often it is looked how far a replay has come.
const LOOK: Duration = Duration::from_millis(500);

/// A fire that was asked for.
#[derive(Clone, Debug, Deserialize)]
pub struct BackfilledFire {
    /// Its instant.
    pub scheduled_at: Timestamp,
    /// What became of it; absent in a dry run.
    #[serde(default)]
    pub outcome: Option<tidemill_shared::ledger::FireOutcome>,
    /// Its task.
    #[serde(default)]
    pub task_id: Option<TaskId>,
}

impl Remote {
    /// Why a task is where it is.
    pub async fn why(&self, task: &TaskId) -> Result<Vec<Finding>> {
        #[derive(Deserialize)]
        struct Why {
            findings: Vec<Finding>,
        }
        let ask = self.api.get(vec!["tasks", task.as_str(), "why"]);
        Ok(ask.good::<Why>().await?.findings)
    }

    /// Fires a schedule now.
    pub async fn fire(&self, schedule: &ScheduleId) -> Result<TaskId> {
        #[derive(Deserialize)]
        struct Fired {
            task_id: TaskId,
        }
        let ask = self
            .api
            .post(vec!["schedules", schedule.as_str(), "trigger"]);
        Ok(ask.good::<Fired>().await?.task_id)
    }

    /// Makes a token.
    pub async fn issue_token(
        &self,
        name: &NoteName,
        role: Role,
        queues: &Scope,
        expires_at: Option<Timestamp>,
    ) -> Result<Issued> {
        #[derive(Deserialize)]
        struct Made {
            token: String,
            record: TokenRecord,
        }
        let mut body = json!({ "name": name, "role": role, "queues": queues });
        if let Some(end) = expires_at {
            body["expires_at"] = json!(end);
        }
        let made: Made = self.api.post(vec!["tokens"]).body(body).good().await?;
        Ok(Issued {
            record: made.record,
            text: made.token,
        })
    }

    /// Every token, without its secret.
    pub async fn tokens(&self) -> Result<Vec<TokenRecord>> {
        self.api.all("tokens").await
    }

    /// Ends a token. `false` when there is none.
    pub async fn revoke_token(&self, name: &NoteName) -> Result<bool> {
        let ask = self
            .api
            .ask(reqwest::Method::DELETE, vec!["tokens", name.as_str()]);
        Ok(ask.found::<Value>().await?.is_some())
    }

    /// What a replay would do.
    pub async fn plan_replay(&self, order: &ReplayOrder) -> Result<ReplayPlan> {
        #[derive(Deserialize)]
        struct Planned {
            plan: ReplayPlan,
        }
        let ask = self.api.post(vec!["replays"]).body(body_of(order, true));
        Ok(ask.good::<Planned>().await?.plan)
    }

    /// Begins a replay: the service runs it.
    pub async fn start_replay(&self, order: &ReplayOrder) -> Result<ReplayBatch> {
        let ask = self.api.post(vec!["replays"]).body(body_of(order, false));
        ask.good().await
    }

    /// Replays, newest first.
    pub async fn replays(&self, limit: usize) -> Result<Vec<ReplayBatch>> {
        let ask = self.api.get(vec!["replays"]).with("limit", limit);
        Ok(ask.good::<Items<ReplayBatch>>().await?.items)
    }

    /// One of them.
    pub async fn replay(&self, id: &NoteName) -> Result<Option<ReplayBatch>> {
        self.api.get(vec!["replays", id.as_str()]).found().await
    }

    /// Watches a replay to its end; it goes on also when nobody watches.
    pub async fn watch_replay(
        &self,
        id: &NoteName,
        stop: &CancellationToken,
        mut tell: impl FnMut(&ReplayBatch),
    ) -> Result<ReplayBatch> {
        loop {
            let gone = || {
                Error::new(
                    ErrorKind::NotFound,
                    "replay",
                    format!("there is no replay {id}"),
                )
            };
            let batch = self.replay(id).await?.ok_or_else(gone)?;
            tell(&batch);
            if batch.status != ReplayStatus::Running || stop.is_cancelled() {
                return Ok(batch);
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Lets the service go on with a replay that was cut off or stopped.
    pub async fn resume_replay(&self, id: &NoteName) -> Result<ReplayBatch> {
        self.api
            .post(vec!["replays", id.as_str(), "resume"])
            .good()
            .await
    }

    /// Stops a replay after the part in hand.
    pub async fn stop_replay(&self, id: &NoteName) -> Result<ReplayBatch> {
        self.api
            .post(vec!["replays", id.as_str(), "stop"])
            .good()
            .await
    }

    /// Takes back what has not run.
    pub async fn undo_replay(&self, id: &NoteName) -> Result<UndoOutcome> {
        self.api
            .post(vec!["replays", id.as_str(), "undo"])
            .good()
            .await
    }

    /// Enqueues the fires of a past range that are not on record; in a dry run it lists them.
    pub async fn backfill(
        &self,
        schedule: &ScheduleId,
        range: &BackfillRange,
    ) -> Result<Vec<BackfilledFire>> {
        #[derive(Deserialize)]
        struct Filled {
            fires: Vec<BackfilledFire>,
        }
        let ask = self
            .api
            .post(vec!["schedules", schedule.as_str(), "backfill"]);
        Ok(ask.body(json!(range)).good::<Filled>().await?.fires)
    }
}

/// Which fires a backfill means.
#[derive(Clone, Debug, Serialize)]
pub struct BackfillRange {
    /// The first instant.
    pub from: Timestamp,
    /// The end, itself not in it.
    pub until: Timestamp,
    /// The earliest so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Also instants whose fires are not kept any more.
    pub beyond_record: bool,
    /// Whether nothing changes.
    pub dry_run: bool,
}

fn body_of(order: &ReplayOrder, dry_run: bool) -> Value {
    let mut body = json!({
        "filter": order.filter,
        "all": !order.filter.narrows(),
        "how": order.how,
        "dry_run": dry_run,
    });
    if let Some(rate) = order.rate {
        body["rate"] = rate.into();
    }
    if let Some(limit) = order.limit {
        body["limit"] = limit.into();
    }
    if let Some(reason) = &order.reason {
        body["reason"] = reason.as_str().into();
    }
    body
}
