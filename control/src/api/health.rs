//! Whether the service lives, and whether it can serve.

use std::time::Duration;

use axum::http::{HeaderValue, header};
use serde_json::json;
use tidemill_shared::ledger::Schedules;

use crate::call::{Call, Reply, ReplyBody};
use crate::problem::Problem;
use crate::route::Answer;

/// How long the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// It lives. Asks nobody else.
pub(crate) async fn live(_: Call) -> Answer {
    Ok(Reply::ok(&json!({ "status": "ok" })))
}

/// It can serve: the store answers.
pub(crate) async fn ready(call: Call) -> Answer {
    let asked = Schedules::schedules_version(call.ledger());
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(_)) => Ok(Reply::ok(&json!({ "status": "ok" }))),
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready: the store does not answer");
            Err(Problem::unavailable(1))
        }
        Err(_) => {
            tracing::warn!("not ready: the store does not answer in time");
            Err(Problem::unavailable(1))
        }
    }
}

/// What Prometheus scrapes.
pub(crate) async fn metrics(call: Call) -> Answer {
    if !call.principal.scope.is_whole() {
        return Err(Problem::forbidden(
            "metrics tell of every queue, and this token is for some of them alone",
        ));
    }
    let metrics = call.app.metrics.as_ref().ok_or_else(Problem::not_found)?;
    let mut reply = Reply::no_content();
    reply.status = axum::http::StatusCode::OK;
    reply.body = ReplyBody::Whole(metrics().await.into_bytes());
    let media = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    reply.headers.insert(header::CONTENT_TYPE, media);
    Ok(reply)
}

/// The OpenAPI document.
pub(crate) async fn openapi(_: Call) -> Answer {
    Ok(Reply::ok(&crate::openapi::document()))
}
