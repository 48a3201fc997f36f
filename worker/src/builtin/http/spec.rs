//! What a request is: the payload.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Url};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_shared::{BAGGAGE, Headers, TRACEPARENT, TRACESTATE, Task, seconds_text};

use crate::{Failure, RunContext};

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The payload of `http`: a request.
///
/// Sent with it, unless `headers` say otherwise: `Idempotency-Key`, the task's idempotency token,
/// the same for every retry; and `traceparent`, `tracestate` and `baggage`, when the run has them. A status of
/// 2xx succeeds; 429, 5xx and a request that gets no answer are retried, after `Retry-After` where
/// 429 or 503 say so; any other status rejects the task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpRequest {
    /// An `http` or `https` URL.
    pub url: String,
    /// GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS. Default GET.
    #[serde(default = "default_method")]
    pub method: String,
    /// Headers. Default none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// A string is sent as it is, as `text/plain; charset=utf-8`; anything else as JSON. Default
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// The longest that the request may take, redirects included. Default: the run's own timeout.
    #[serde(
        default,
        with = "seconds_text::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub timeout: Option<Duration>,
}

fn default_method() -> String {
    "GET".into()
}

impl Task for HttpRequest {
    const KIND: &'static str = "http";
}

impl HttpRequest {
    /// A request with the defaults.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            method: default_method(),
            headers: BTreeMap::new(),
            body: None,
            timeout: None,
        }
    }

    /// The request in few words, without what a URL may hold that is nobody's business: user,
    /// password and query.
    pub(super) fn shown(&self) -> String {
        match Url::parse(&self.url) {
            Ok(url) => format!("{} {}", self.method, shown(&url)),
            Err(_) => self.method.clone(),
        }
    }
}

/// A URL without user, password and query.
pub(super) fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

/// Puts the request together. Rejects what could never be sent.
pub(super) fn prepare(
    client: &Client,
    request: &HttpRequest,
    run: &RunContext,
    trace: &Headers,
) -> Result<RequestBuilder, Failure> {
    let reject = |message: String| Failure::reject(message).with_class("payload");
    let url = Url::parse(&request.url).map_err(|e| {
        reject(format!(
            "the url cannot be read: {e}; expected http:// or https://"
        ))
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        let scheme: String = url.scheme().chars().take(32).collect();
        return Err(reject(format!(
            "the url has the scheme {scheme:?}; expected http or https"
        )));
    }
    if !METHODS.contains(&request.method.as_str()) {
        return Err(reject(format!(
            "the method is not one of {}",
            METHODS.join(", ")
        )));
    }
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|e| reject(format!("the method cannot be used: {e}")))?;
    let headers = headers(request, run, trace).map_err(reject)?;
    let mut call = client.request(method, url);
    match &request.body {
        None => {}
        Some(Value::String(text)) => {
            if !headers.contains_key(CONTENT_TYPE) {
                call = call.header(CONTENT_TYPE, "text/plain; charset=utf-8");
            }
            call = call.body(text.clone());
        }
        Some(json) => {
            if !headers.contains_key(CONTENT_TYPE) {
                call = call.header(CONTENT_TYPE, "application/json");
            }
            call = call.body(json.to_string());
        }
    }
    if let Some(timeout) = request.timeout {
        call = call.timeout(timeout);
    }
    Ok(call.headers(headers))
}

fn headers(request: &HttpRequest, run: &RunContext, trace: &Headers) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let known = HeaderName::from_bytes(name.as_bytes());
        let known = known.map_err(|_| format!("the header name {name:?} is malformed"))?;
        let value = HeaderValue::from_str(value)
            .map_err(|_| format!("the header {known} has a value that cannot be sent"))?;
        headers.insert(known, value);
    }
    let mut offer = |name: &'static str, value: &str| {
        let name = HeaderName::from_static(name);
        // What a stranger put into the envelope and cannot be sent is left out; the request is not
        // worse for it.
        if let (false, Ok(value)) = (headers.contains_key(&name), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    };
    offer("idempotency-key", run.idempotency_token());
    for name in [TRACEPARENT, TRACESTATE, BAGGAGE] {
        if let Some(value) = trace.get(name) {
            offer(name, value);
        }
    }
    Ok(headers)
}
