//! Who is alive, who leads, and reloading.

use axum::http::StatusCode;
use serde_json::json;
use tidemill_shared::ledger::{Presence, Role};

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
    Ok(Reply::ok(&PageView::new(records, None)))
}

/// The producers that lead, and what.
pub(crate) async fn leader(call: Call) -> Answer {
    let mut records = Presence::present(call.ledger(), Role::Producer).await?;
    records.retain(|one| one.leader);
    Ok(Reply::ok(&PageView::new(records, None)))
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
