//! Replays of many dead letters.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::filter;
use crate::call::{Call, PageView, Reply, object};
use crate::problem::Problem;
use crate::replay::{ReplayBatch, ReplayOrder, ReplayStatus};
use crate::route::Answer;

/// The order as a body; who gives it is not the caller's to say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderForm {
    #[serde(default, deserialize_with = "object")]
    filter: filter::Choice,
    #[serde(default)]
    all: bool,
    #[serde(default, deserialize_with = "object")]
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
    let details = order.details();
    let batch = replays.start(order).await?;
    go_on(&call, &batch);
    let subject = batch.id.to_string();
    let reply = Reply::json(StatusCode::ACCEPTED, &batch).about(subject);
    Ok(reply.with_details(details))
}

fn go_on(call: &Call, batch: &ReplayBatch) {
    let (app, id) = (call.app.clone(), batch.id.clone());
    call.app.work.spawn(async move {
        app.replays.see_through(&id, &app.stop).await;
    });
}

/// Goes on with a replay that was cut off or stopped.
pub(crate) async fn resume(call: Call) -> Answer {
    let batch = find(&call).await?;
    match batch.status {
        ReplayStatus::Running | ReplayStatus::Stopped => go_on(&call, &batch),
        ReplayStatus::Done | ReplayStatus::Undone => {
            return Err(Problem::conflict("the replay has ended".to_owned()));
        }
    }
    Ok(Reply::json(StatusCode::ACCEPTED, &batch))
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

/// Stops a replay after the part in hand.
pub(crate) async fn stop(call: Call) -> Answer {
    let batch = find(&call).await?;
    Ok(Reply::ok(&call.app.replays.stop(&batch.id).await?))
}

/// Takes back those of a replay that have not run.
pub(crate) async fn undo(call: Call) -> Answer {
    let batch = find(&call).await?;
    let outcome = call.app.replays.undo(&batch.id).await?;
    Ok(Reply::ok(&outcome))
}
