//! By which names the service is called, and whose pages may call it.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::header_text;
use crate::problem::Problem;
use crate::settings::Settings;

/// Refuses a `Host` that is not one of ours (DNS rebinding), a target in absolute form, and framing
/// that a proxy in front might read otherwise.
pub(super) fn check(settings: &Settings, request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let twice = headers.get_all(header::HOST).iter().count() != 1;
    let framed = headers.contains_key(header::TRANSFER_ENCODING)
        && headers.contains_key(header::CONTENT_LENGTH);
    if twice || framed || headers.get_all(header::CONTENT_LENGTH).iter().count() > 1 {
        let detail = "expected one Host, and one of Content-Length and Transfer-Encoding";
        return Err(Problem::invalid(detail).header(header::CONNECTION, "close"));
    }
    let host = header_text(headers, "host").unwrap_or_default();
    if request.uri().authority().is_none() && is_ours(settings, host) {
        return Ok(());
    }
    let title = "Not this host";
    let detail = "the header Host is not one that this service answers to; see --host";
    Err(Problem::new(
        StatusCode::MISDIRECTED_REQUEST,
        "host",
        title,
        detail,
    ))
}

fn is_ours(settings: &Settings, host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let ip = settings.listen.ip();
    if settings
        .hosts
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
    {
        return true;
    }
    match name.parse::<std::net::IpAddr>() {
        // Whoever types an address was not sent here by somebody else's name server.
        Ok(typed) => ip.is_unspecified() || typed == ip,
        Err(_) => ip.is_loopback() && name.eq_ignore_ascii_case("localhost"),
    }
}

fn allows(settings: &Settings, origin: &HeaderValue) -> bool {
    let known = settings.origins.iter();
    origin
        .to_str()
        .is_ok_and(|origin| origin != "null" && known.clone().any(|known| known == origin))
}

/// Refuses what a page of another site sends.
pub(super) fn check_origin(settings: &Settings, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let host = header_text(headers, "host").unwrap_or_default();
    let same = origin.to_str().is_ok_and(|origin| {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority == Some(host)
    });
    if same || allows(settings, origin) {
        return Ok(());
    }
    Err(Problem::forbidden(
        "pages of this origin may not call here; see --origin",
    ))
}

/// Whether a browser asks if a page of an origin that is allowed may call.
pub(super) fn is_preflight(settings: &Settings, request: &Request) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        && headers
            .get(header::ORIGIN)
            .is_some_and(|origin| allows(settings, origin))
}

/// Tells a browser that a page may read the answer, if its origin is allowed.
pub(super) fn allow_origin(
    settings: &Settings,
    origin: Option<&HeaderValue>,
    headers: &mut HeaderMap,
) {
    let Some(origin) = origin.filter(|origin| allows(settings, origin)) else {
        return;
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    let fixed = [
        (header::VARY, "Origin"),
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "GET, POST, PUT, DELETE",
        ),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, x-nonce, x-reason, x-timestamp",
        ),
        (
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            "etag, retry-after, x-request-id",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
