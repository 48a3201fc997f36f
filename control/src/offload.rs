//! A middleware for services of your own: a request that is marked `X-Task-Type: async` becomes a task
//! and is answered at once; any other goes its way.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use tidemill_producer::Client;
use tidemill_shared::{ErrorKind, Headers, Payload, TaskId, trace_headers};

use crate::call::Reply;
use crate::problem::Problem;

/// Headers that are not handed on: who somebody is, is for the request alone.
const PRIVATE: [&str; 4] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-task-type",
];

/// Who sent a request, as your own authentication knows them. Put it into the extensions of the request
/// before this middleware sees it.
#[derive(Clone, Debug)]
pub struct Caller(pub String);

/// A request that has become a task: its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffloadedRequest {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The headers, but for those that say who somebody is.
    pub headers: Headers,
    /// The body, if it is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body in hexadecimal digits, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_hex: Option<String>,
    /// Who sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
}

/// How requests become tasks.
///
/// ```
/// use axum::{Router, middleware, routing::post};
/// use tidemill_control::{Offload, offload};
/// # fn example(client: tidemill_producer::Client) -> Router {
/// let reports = Offload::new(client, "report.build").queue("reports");
/// Router::new()
///     .route("/reports", post(async || "built while you waited"))
///     .layer(middleware::from_fn_with_state(reports, offload))
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Offload {
    client: Client,
    kind: String,
    queue: String,
    url: String,
    retention: Duration,
    max_body: usize,
}

impl Offload {
    /// Requests become tasks of this kind, in the queue `default`, kept for 24 h once they have ended.
    #[must_use]
    pub fn new(client: Client, kind: impl Into<String>) -> Self {
        Self {
            client,
            kind: kind.into(),
            queue: "default".into(),
            url: "/api/v1/tasks/".into(),
            retention: Duration::from_secs(24 * 3_600),
            max_body: 1 << 20,
        }
    }

    /// Into this queue.
    #[must_use]
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        self.queue = name.into();
        self
    }

    /// Where a task can be looked at: this, and its id behind it. Default `/api/v1/tasks/`.
    #[must_use]
    pub fn url(mut self, prefix: impl Into<String>) -> Self {
        self.url = prefix.into();
        self
    }

    /// The largest body. Default 1 MiB.
    #[must_use]
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    async fn accept(&self, request: Request) -> Result<Reply, Problem> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, self.max_body).await.map_err(|_| {
            let detail = format!("the body may have {} bytes", self.max_body);
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "Too large",
                detail,
            )
        })?;
        let caller = parts
            .extensions
            .get::<Caller>()
            .map(|caller| caller.0.clone());
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let text = String::from_utf8(body.to_vec());
        let (body, body_hex) = match text {
            Ok(text) => (Some(text).filter(|text| !text.is_empty()), None),
            Err(bytes) => (None, Some(crate::access::hex(bytes.as_bytes()))),
        };
        let offloaded = OffloadedRequest {
            method: parts.method.to_string(),
            path: path.to_owned(),
            headers: public(&parts.headers),
            body,
            body_hex,
            caller,
        };
        let mut enqueue = self
            .client
            .enqueue_raw(&self.kind, Payload::json(&offloaded)?)
            .queue(&self.queue)
            .retention(self.retention);
        for (name, value) in trace_headers(|name| offloaded.headers.get(name).map(String::as_str)) {
            enqueue = enqueue.header(name, value);
        }
        let derived = derived(&parts.headers, &offloaded)?;
        if let Some(id) = &derived {
            enqueue = enqueue.id(id);
        }
        let id = match (enqueue.await, derived) {
            (Ok(done), _) => done.id,
            // The same request came before.
            (Err(error), Some(id)) if error.kind() == ErrorKind::Conflict => id,
            (Err(error), _) => return Err(error.into()),
        };
        let url = format!("{}{id}", self.url);
        let body = json!({ "status": "accepted", "id": id, "url": url });
        let mut reply = Reply::json(StatusCode::ACCEPTED, &body);
        if let Ok(place) = url.parse() {
            reply.headers.insert(header::LOCATION, place);
        }
        Ok(reply)
    }
}

/// Takes a request that is marked `X-Task-Type: async` as a task and answers 202 with its id and URL; a
/// full queue is 429, a store that is away 503. With the same `Idempotency-Key` of the same caller to
/// the same path it is the same task.
pub async fn offload(State(how): State<Offload>, request: Request<Body>, next: Next) -> Response {
    let mark = request.headers().get("x-task-type");
    if mark.is_none_or(|mark| !mark.as_bytes().eq_ignore_ascii_case(b"async")) {
        return next.run(request).await;
    }
    let answer = how.accept(request).await;
    answer.unwrap_or_else(Problem::into_reply).into_response()
}

fn public(headers: &HeaderMap) -> Headers {
    let public = headers
        .iter()
        .filter(|(name, _)| !PRIVATE.contains(&name.as_str()));
    public
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect()
}

/// The id that follows from an idempotency key.
fn derived(headers: &HeaderMap, request: &OffloadedRequest) -> Result<Option<TaskId>, Problem> {
    let Some(key) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let mut hash = Sha256::new();
    let caller = request.caller.as_deref().unwrap_or_default();
    let parts = [
        caller.as_bytes(),
        request.method.as_bytes(),
        request.path.as_bytes(),
        key.as_bytes(),
    ];
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    let id = uuid::Builder::from_custom_bytes(bytes).into_uuid();
    Ok(Some(TaskId::new(id.to_string())?))
}
