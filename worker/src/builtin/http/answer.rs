//! What an answer means for the task.

use reqwest::header::RETRY_AFTER;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::{Deserialize, Serialize};

use super::retry_after;
use super::spec::HttpRequest;
use crate::{Failure, TaskResult};

/// The most of a body that is kept as the result.
const MAX_BODY: usize = 64 * 1024;

/// The most of a body that stands in the message of a failure.
const MAX_SHOWN: usize = 300;

/// The result of a request that succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpResult {
    /// The status, 200 to 299.
    pub status: u16,
    /// The body as text, at most 64 KiB of it. Bytes that are not UTF-8 are shown as U+FFFD.
    pub body: String,
    /// Whether the body was longer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// Sends the request and judges the answer.
pub(super) async fn receive(call: RequestBuilder, request: &HttpRequest) -> TaskResult<HttpResult> {
    let response = call.send().await.map_err(|e| unanswered(e, request))?;
    let status = response.status();
    let asked = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let date = response
        .headers()
        .get(reqwest::header::DATE)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let result = read(response).await.map_err(|e| unanswered(e, request))?;
    if status.is_success() {
        return Ok(result);
    }
    let shown: String = result.body.trim().chars().take(MAX_SHOWN).collect();
    let mut message = format!("{}: {status}", request.shown());
    if !shown.is_empty() {
        message.push_str(": ");
        message.push_str(&shown);
    }
    let patient =
        status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE;
    let delay = asked
        .filter(|_| patient)
        .and_then(|text| retry_after::read(&text, date.as_deref()));
    let failure = match delay {
        Some(delay) => Failure::retry_after(delay, message),
        None if patient || status.is_server_error() => Failure::new(message),
        None => Failure::reject(message),
    };
    Err(failure.with_class(format!("http_{}", status.as_u16())))
}

/// Reads a body up to its limit; the rest is left with the connection.
async fn read(mut response: Response) -> Result<HttpResult, reqwest::Error> {
    let status = response.status().as_u16();
    let mut bytes: Vec<u8> = Vec::new();
    let mut truncated = false;
    while let Some(chunk) = response.chunk().await? {
        let room = MAX_BODY - bytes.len();
        bytes.extend(chunk.iter().take(room));
        if chunk.len() > room {
            truncated = true;
            break;
        }
    }
    Ok(HttpResult {
        status,
        body: String::from_utf8_lossy(&bytes).into_owned(),
        truncated,
    })
}

/// A request without an answer. Worth a retry, unless it was redirected to where it must not go.
fn unanswered(error: reqwest::Error, request: &HttpRequest) -> Failure {
    let class = match &error {
        error if error.is_redirect() => "redirect",
        error if error.is_timeout() => "http_timeout",
        error if error.is_connect() => "connect",
        _ => "http",
    };
    let rejected = error.is_redirect();
    // The URL stands in front already, without the parts that may be secret.
    let error = error.without_url();
    let mut message = format!("{}: {error}", request.shown());
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        message.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    let failure = match rejected {
        true => Failure::reject(message),
        false => Failure::new(message),
    };
    failure.with_class(class)
}
