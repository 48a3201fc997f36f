//! Replays of many dead letters.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::filter;
use crate::call::{Call, PageView, Reply};
use crate::problem::Problem;
use crate::replay::{ReplayBatch, ReplayOrder};
use crate::route::Answer;

/// The order as a body; who gives it is not the caller's to say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderForm {
    #[serde(default)]
    filter: filter::Choice,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    how: crate::replay::How,
    #[serde(default)]
    rate: Option<u32>,
    #[serde(default)]
    limit: Option<u64>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    reason: Option<String>,
}

/// Starts a replay by filter, or shows what it would do.
pub(crate) async fn start(call: Call) -> Answer {
    let form: OrderForm = call.json()?;
    let mut choice = form.filter;
    if !choice.narrows() && !form.all {
        return Err(Problem::invalid("expected a filter, or \"all\": true"));
    }
    if form.rate == Some(0) || form.limit == Some(0) {
        return Err(Problem::invalid("rate and limit: expected 1 or more"));
    }
    let mut meant = choice.filter()?;
    filter::narrow(&call, &mut meant)?;
    choice.queue = meant.queue;
    if let Some(queue) = &form.how.to_queue {
        call.must_see(queue)?;
    }
    let replays = &call.app.replays;
    if form.dry_run {
        let plan = replays.plan(&choice, form.limit).await?;
        return Ok(Reply::ok(&json!({ "dry_run": true, "plan": plan })));
    }
    let order = ReplayOrder {
        filter: choice,
        how: form.how,
        rate: form.rate,
        limit: form.limit,
        reason: form.reason.or_else(|| call.reason()),
        by: call.principal.name.clone(),
    };
    let batch = replays.start(order).await?;
    let (app, id) = (call.app.clone(), batch.id.clone());
    call.app.work.spawn(async move {
        if let Err(error) = app.replays.run(&id, &app.stop, |_| {}).await {
            tracing::error!(%error, replay = %id, "a replay stopped; it can be resumed");
        }
    });
    let subject = batch.id.to_string();
    Ok(Reply::json(StatusCode::ACCEPTED, &batch).about(subject))
}

async fn find(call: &Call) -> Result<ReplayBatch, Problem> {
    let id = call.param("id").map_err(|_| Problem::not_found())?;
    let found = call.app.replays.get(&id).await?;
    let batch = found.ok_or_else(Problem::not_found)?;
    match &batch.order.filter.queue {
        Some(queue) => call.must_see(queue)?,
        None if call.principal.scope.is_whole() => {}
        None => return Err(Problem::not_found()),
    }
    Ok(batch)
}

/// Replays, newest first.
pub(crate) async fn list(call: Call) -> Answer {
    let limit = call.limit()?;
    let mut batches = call.app.replays.list(limit).await?;
    let scope = &call.principal.scope;
    batches.retain(|batch| match &batch.order.filter.queue {
        Some(queue) => scope.has(queue),
        None => scope.is_whole(),
    });
    Ok(Reply::ok(&PageView::new(batches, None)))
}

/// One replay: how far it has come.
pub(crate) async fn get(call: Call) -> Answer {
    Ok(Reply::ok(&find(&call).await?))
}

/// Takes back those of a replay that have not run.
pub(crate) async fn undo(call: Call) -> Answer {
    let batch = find(&call).await?;
    let outcome = call.app.replays.undo(&batch.id).await?;
    Ok(Reply::ok(&outcome))
}
