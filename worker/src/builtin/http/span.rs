//! The span of a request, under the names of OpenTelemetry's conventions for HTTP.

use reqwest::Url;

use super::answer::HttpResult;
use super::spec::{self, HttpRequest};
use crate::{ClientSpan, RunContext, TaskResult};

pub(super) fn begin(run: &RunContext, request: &HttpRequest) -> ClientSpan {
    let mut span = run.client_span(|| request.method.clone());
    span.describe(|record| {
        record.set("http.request.method", request.method.clone());
        if let Ok(url) = Url::parse(&request.url) {
            record.set("url.full", spec::shown(&url));
            record.set("url.scheme", url.scheme().to_owned());
            record.set(
                "server.address",
                url.host_str().unwrap_or_default().to_owned(),
            );
            if let Some(port) = url.port_or_known_default() {
                record.set("server.port", u32::from(port));
            }
        }
    });
    span
}

pub(super) fn end(mut span: ClientSpan, outcome: &TaskResult<HttpResult>) {
    const STATUS: &str = "http.response.status_code";
    match outcome {
        Ok(result) => span.describe(|record| record.set(STATUS, u32::from(result.status))),
        Err(failure) => {
            // The class of an answer is its status.
            let class = failure.class_name();
            let status = class.strip_prefix("http_").unwrap_or(class);
            if let Ok(status) = status.parse::<u32>() {
                span.describe(|record| record.set(STATUS, status));
            }
            span.fail(status, failure.message());
        }
    }
}
