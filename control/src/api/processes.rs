//! Who is alive, who leads, and reloading.

use std::fmt;
use std::str::FromStr;

use axum::http::StatusCode;
use serde_json::json;
use tidemill_shared::ledger::{Presence, PresenceRecord, Role};
use tidemill_shared::{Timestamp, WorkerId};

use crate::call::{Call, PageView, Reply};
use crate::problem::Problem;
use crate::route::Answer;

/// The workers that are alive.
pub(crate) async fn workers(call: Call) -> Answer {
    present(call, Role::Worker).await
}

/// The producers that are alive.
pub(crate) async fn producers(call: Call) -> Answer {
    present(call, Role::Producer).await
}

async fn present(call: Call, role: Role) -> Answer {
    let records = Presence::present(call.ledger(), role).await?;
    page(&call, records)
}

/// The producers that lead, and what.
pub(crate) async fn leader(call: Call) -> Answer {
    let mut records = Presence::present(call.ledger(), Role::Producer).await?;
    records.retain(|one| one.leader);
    page(&call, records)
}

/// A page of processes, oldest first.
fn page(call: &Call, records: Vec<PresenceRecord>) -> Answer {
    let (after, limit) = (call.parsed("cursor")?, call.limit()?);
    let place = |one: &PresenceRecord| Place(one.started_at, one.id.clone());
    Ok(Reply::ok(&PageView::of_all(
        records,
        place,
        after.as_ref(),
        limit,
    )))
}

/// The place of a process among all: it stays the same when others come and go.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place(Timestamp, WorkerId);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.as_micros(), self.1)
    }
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (at, id) = text.split_once('.')?;
            let at = Timestamp::from_micros(at.parse().ok()?);
            Some(Self(at, WorkerId::new(id).ok()?))
        };
        read().ok_or("expected one that a listing answered")
    }
}

/// Reads the schedule files again.
pub(crate) async fn reload(call: Call) -> Answer {
    let Some(reload) = call.app.reload.clone() else {
        let title = "Nothing to reload";
        let detail =
            "this process was started without schedule files; reload a producer with SIGHUP";
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "conflict",
            title,
            detail,
        ));
    };
    let detail = reload().await?;
    Ok(Reply::ok(&json!({ "status": "success", "detail": detail })))
}
