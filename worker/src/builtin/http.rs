//! The handler `http`: makes a request.

mod answer;
mod client;
mod retry_after;
mod span;
mod spec;

use std::sync::{Arc, OnceLock};

use futures::future::BoxFuture;
use reqwest::Client;

pub use answer::HttpResult;
pub use spec::HttpRequest;

use crate::{Failure, Run, TaskResult};

/// The handler. Its client is made at the first request, so that a worker that makes none has no
/// connection pool and reads no certificates.
pub(super) fn handler<S: Send + Sync + 'static>()
-> impl Fn(HttpRequest, Run<S>) -> BoxFuture<'static, TaskResult<HttpResult>> + Send + Sync {
    let client = Arc::new(OnceLock::new());
    move |request, run| Box::pin(call(Arc::clone(&client), request, run))
}

async fn call<S: Send + Sync>(
    client: Arc<OnceLock<Result<Client, String>>>,
    request: HttpRequest,
    run: Run<S>,
) -> TaskResult<HttpResult> {
    let client = client
        .get_or_init(client::build)
        .as_ref()
        .map_err(|why| Failure::class("http", format!("no HTTP client can be made: {why}")))?;
    let span = span::begin(run.context(), &request);
    let call = match spec::prepare(client, &request, run.context(), span.headers()) {
        Ok(call) => call,
        Err(failure) => {
            span.discard();
            return Err(failure);
        }
    };
    let outcome = tokio::select! {
        answer = answer::receive(call, &request) => answer,
        reason = run.cancelled() => Err(Failure::class(
            reason.as_str(),
            "told to stop before the answer was there",
        )),
    };
    span::end(span, &outcome);
    outcome
}
