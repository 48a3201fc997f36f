//! How a request fails: a problem body (RFC 9457).

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};
use tidemill_shared::{Error, ErrorKind};

use crate::call::Reply;

/// Every status of a problem: what it means, and the last words of the types that it may have.
pub(crate) const STATUSES: [(u16, &str, &[&str]); 16] = [
    (400, "the request is wrong", &["invalid"]),
    (401, "a valid token is missing", &["unauthorized"]),
    (
        403,
        "the caller may not do that, or this service is read-only",
        &["forbidden"],
    ),
    (
        404,
        "it is not there, or not for this caller to see",
        &["not_found"],
    ),
    (408, "the body did not come in time", &["slow"]),
    (
        409,
        "it is not as the request expects",
        &["conflict", "key_taken"],
    ),
    (412, "it has changed since it was read", &["precondition"]),
    (413, "the body is too large", &["too_large"]),
    (415, "the body is not JSON", &["media_type"]),
    (421, "the host is none of this service", &["host"]),
    (
        422,
        "another request had this Idempotency-Key",
        &["key_reused"],
    ),
    (
        428,
        "the count of what is removed has to be confirmed",
        &["confirm"],
    ),
    (
        429,
        "a limit refuses it for now",
        &["rate", "refused", "queue_full"],
    ),
    (500, "a fault of Tidemill", &["internal"]),
    (501, "this broker does not do that", &["unsupported"]),
    (
        503,
        "the store cannot be reached, or all are busy",
        &["unavailable", "streams"],
    ),
];

/// Why a request was not served. Its body has `type`, `title`, `status` and `detail`, and whatever
/// else helps.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    detail: String,
    more: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        slug: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            slug,
            title,
            detail: detail.into(),
            more: Map::new(),
            headers: Vec::new(),
        }
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        let title = "The request is wrong";
        Self::new(StatusCode::BAD_REQUEST, "invalid", title, detail)
    }

    /// The same words for everything that is not there or may not be seen.
    pub(crate) fn not_found() -> Self {
        let detail = "there is nothing here under this name";
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found", detail)
    }

    /// The same words for every way not to be known.
    pub(crate) fn unauthorized() -> Self {
        let detail = "send a valid token: Authorization: Bearer …";
        let title = "Who are you?";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", title, detail)
            .header(header::WWW_AUTHENTICATE, "Bearer realm=\"tidemill\"")
    }

    /// Somebody who is known sent a change as one that could be sent again by others.
    pub(crate) fn not_once(expected: &str) -> Self {
        let detail = format!("this service takes each change once: expected {expected}");
        Self {
            detail,
            ..Self::unauthorized().with("expected", expected)
        }
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail)
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        let title = "It is not as expected";
        Self::new(StatusCode::CONFLICT, "conflict", title, detail)
    }

    /// A task cannot come back to its queue, which takes in no more.
    pub(crate) fn queue_full(limit: u64) -> Self {
        let detail = match limit {
            0 => "its queue takes nothing in while it is drained".to_owned(),
            _ => format!("its queue is full: {limit} tasks wait there, which is its limit"),
        };
        let (status, title) = (StatusCode::TOO_MANY_REQUESTS, "Its queue takes no more");
        Self::new(status, "queue_full", title, detail)
            .with("limit", limit)
            .header(header::RETRY_AFTER, "1")
    }

    pub(crate) fn unavailable(retry_after: u32) -> Self {
        let detail = "the store cannot be reached or is busy; try again";
        let title = "Not available";
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            title,
            detail,
        )
        .header(header::RETRY_AFTER, &retry_after.to_string())
    }

    #[must_use]
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// Its status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Its words.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn into_reply(self) -> Reply {
        let mut body = json!({
            "type": name(self.slug),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Value::Object(fields) = &mut body {
            fields.extend(self.more);
        }
        let mut reply = Reply::json(self.status, &body);
        let media = HeaderValue::from_static("application/problem+json");
        reply.headers.insert(header::CONTENT_TYPE, media);
        for (name, value) in self.headers {
            reply.headers.insert(name, value);
        }
        reply
    }
}

/// The type of a problem.
pub(crate) fn name(slug: &str) -> String {
    format!("urn:tidemill:problem:{slug}")
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error.kind() {
            ErrorKind::Invalid => Self::invalid(detail),
            ErrorKind::NotFound => Self::not_found(),
            ErrorKind::Conflict | ErrorKind::Fenced => Self::conflict(detail),
            ErrorKind::Refused => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "refused",
                "A limit refuses it for now",
                detail,
            )
            .header(header::RETRY_AFTER, "1"),
            ErrorKind::Unavailable | ErrorKind::Timeout => {
                tracing::warn!(%error, operation = error.operation(), "the store did not answer");
                Self::unavailable(1)
            }
            ErrorKind::Unsupported => Self::new(
                StatusCode::NOT_IMPLEMENTED,
                "unsupported",
                "This broker does not do that",
                detail,
            ),
            // What went wrong inside is for the log, not for whoever asked.
            _ => {
                tracing::error!(%error, operation = error.operation(), "a request failed");
                Self::internal()
            }
        }
    }
}

impl Problem {
    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "A fault of Tidemill",
            "the log has more under this request id",
        )
    }
}
