//! What every request passes before its handler runs, in this order: host and framing, identity,
//! permission, read-only mode, origin, rate, one-time numbers, body, idempotency; and afterwards the
//! audit record.

mod body;
mod hosts;
mod idempotency;
mod identity;
mod limits;
mod nonce;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::Bytes;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::audit::{AuditRecord, Auditor};
use crate::call::{Call, Reply};
use crate::problem::Problem;
use crate::route::{Answer, Need, Route, Trail};
use crate::state::{Answered, App};

pub(crate) use identity::has_ended;
pub(crate) use limits::Limits;

/// Before the routes: what concerns every request, also those that no route takes.
pub(crate) async fn enter(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let origin = request.headers().get(header::ORIGIN).cloned();
    let id = uuid::Uuid::now_v7().to_string();
    let mut response = match hosts::check(&app.settings, &request) {
        Err(problem) => problem.into_reply().into_response(),
        Ok(()) if hosts::is_preflight(&app.settings, &request) => {
            Reply::no_content().into_response()
        }
        Ok(()) => {
            let mut request = request;
            request.extensions_mut().insert(RequestId(id.clone()));
            next.run(request).await
        }
    };
    if let Some(observer) = &app.observer {
        let route = response.extensions().get::<RouteName>();
        observer(&Answered {
            route: route.map_or("none", |name| name.0),
            status: response.status().as_u16(),
            took: begun.elapsed(),
        });
    }
    let headers = response.headers_mut();
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert("x-request-id", id);
    }
    hosts::allow_origin(&app.settings, origin.as_ref(), headers);
    response
}

#[derive(Clone, Debug)]
struct RequestId(String);

/// Which route has answered.
#[derive(Clone, Copy, Debug)]
struct RouteName(&'static str);

/// What no route takes.
pub(crate) async fn nothing_here() -> Response {
    Problem::not_found().into_reply().into_response()
}

/// A path that is there, under other methods.
pub(crate) async fn not_this_method() -> Response {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method",
        "Not this method",
        "the header Allow names those that are",
    )
    .into_reply()
    .into_response()
}

/// The way of a request to the handler of its route.
pub(crate) async fn pass(
    app: Arc<App>,
    route: &'static Route,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    params: RawPathParams,
    request: Request,
) -> Response {
    let params: Vec<_> = params
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    // Half of it is for the body to come, the other half to do what it says.
    let limit = app.settings.timeout * 2;
    let id = request.extensions().get::<RequestId>();
    let span = tracing::info_span!(
        "request",
        route = route.name,
        request_id = id.map(|id| id.0.as_str())
    );
    // A reply that streams goes on after this.
    let served = serve(app, route, remote, params, request).instrument(span);
    let reply = match tokio::time::timeout(limit, served).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(problem)) => problem.into_reply(),
        Err(_) => Problem::unavailable(1).into_reply(),
    };
    let mut response = reply.into_response();
    response.extensions_mut().insert(RouteName(route.name));
    response
}

async fn serve(
    app: Arc<App>,
    route: &'static Route,
    remote: SocketAddr,
    params: Vec<(String, String)>,
    request: Request,
) -> Answer {
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    let principal = match route.need {
        Need::Open => crate::access::Principal::local(),
        Need::Permission(..) => identity::of(&app, &headers, remote).await?,
    };
    principal.must_have(route.need)?;
    if route.is_change() && app.settings.read_only {
        return Err(Problem::forbidden(
            "this service is read-only; changes go through another, or the command line",
        ));
    }
    if !matches!(route.need, Need::Open) {
        hosts::check_origin(&app.settings, &headers)?;
        app.limits.admit(&principal)?;
    }
    nonce::check(&app, route, &principal, &headers).await?;
    let body = body::read(&app, route, &headers, body).await?;
    let mut call = Call {
        query: query(route, &parts.uri)?,
        app: Arc::clone(&app),
        route,
        principal,
        params,
        headers,
        body,
        remote,
        derived_id: None,
    };
    let repeat = idempotency::begin(&mut call).await?;
    if let idempotency::Begun::Answered(reply) = repeat {
        return Ok(reply);
    }
    let trace = Trace::of(&call);
    let answer = (route.run)(call).await;
    // What is kept is taken out of the answer first: its body cannot be shared between threads.
    let ending = idempotency::Ending::of(repeat, &answer);
    let trace = trace.with(&answer);
    ending.keep(&app).await;
    trace.write(&app).await;
    answer
}

/// The parameters of the query: known ones, once each.
fn query(route: &'static Route, uri: &Uri) -> Result<Vec<(String, String)>, Problem> {
    let mut found: Vec<(String, String)> = Vec::new();
    let text = uri.query().unwrap_or_default();
    for part in text.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if !route.query.iter().any(|param| param.name == name) {
            let known: Vec<_> = route.query.iter().map(|param| param.name).collect();
            let known = match known.is_empty() {
                true => "none is known here".to_owned(),
                false => format!("known are {}", known.join(", ")),
            };
            let shown: String = name.chars().take(64).collect();
            return Err(Problem::invalid(format!(
                "the parameter {shown:?} is not known; {known}"
            )));
        }
        if found.iter().any(|(known, _)| *known == name) {
            return Err(Problem::invalid(format!("{name} is given twice")));
        }
        found.push((name, value));
    }
    Ok(found)
}

/// Text behind percent signs, as in a form.
fn decode(text: &str) -> Result<String, Problem> {
    let wrong = || Problem::invalid("the query is not text in percent-encoded UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || {
                    let digit = rest.next().map(char::from)?.to_digit(16)?;
                    u8::try_from(digit).ok()
                };
                let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
                high * 16 + low
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// What is known about a change before it is made.
struct Trace {
    trail: Trail,
    record: AuditRecord,
}

impl Trace {
    fn of(call: &Call) -> Self {
        let subject: Vec<_> = call
            .params
            .iter()
            .map(|(_, value)| value.as_str())
            .collect();
        let reason_of_body = || {
            let body: serde_json::Value = serde_json::from_slice(&call.body).ok()?;
            Some(body.get("reason")?.as_str()?.chars().take(1_000).collect())
        };
        Self {
            trail: call.route.trail,
            record: AuditRecord {
                at: call.now(),
                actor: call.principal.name.clone(),
                action: call.route.name.to_owned(),
                subject: subject.join("/"),
                details: None,
                reason: match call.route.trail {
                    Trail::Ledger => call.reason().or_else(reason_of_body),
                    Trail::None | Trail::Log => None,
                },
                from: Some(call.remote.ip().to_string()),
                outcome: String::new(),
            },
        }
    }

    fn with(mut self, answer: &Answer) -> Self {
        match answer {
            Ok(reply) => {
                self.record.outcome = "done".into();
                if let Some(subject) = &reply.subject {
                    self.record.subject.clone_from(subject);
                }
                self.record.details.clone_from(&reply.details);
            }
            Err(problem) => {
                let status = problem.status().as_u16();
                self.record.outcome = format!("{status}: {}", problem.detail());
            }
        }
        self
    }

    async fn write(self, app: &App) {
        match self.trail {
            Trail::Ledger => {
                if let Err(error) = app.auditor.keep(&self.record).await {
                    tracing::error!(%error, "an audit record could not be kept; the log has it");
                }
            }
            Trail::Log => Auditor::log(&self.record),
            Trail::None => {}
        }
    }
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn is_json(headers: &HeaderMap) -> bool {
    let media = header_text(headers, "content-type").unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case("application/json")
        || media.eq_ignore_ascii_case("application/merge-patch+json")
}

type Body = axum::body::Body;
type Whole = Bytes;
