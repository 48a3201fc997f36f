//! Who calls.

use std::net::SocketAddr;

use axum::http::HeaderMap;

use crate::access::Principal;
use crate::problem::Problem;
use crate::state::App;

/// The longest credentials that are looked at.
const MAX_TOKEN: usize = 8 * 1_024;

/// Whoever calls; the same refusal for every way of not being known.
pub(super) async fn of(
    app: &App,
    headers: &HeaderMap,
    remote: SocketAddr,
) -> Result<Principal, Problem> {
    let mut all = headers.get_all("authorization").iter();
    let given = match (all.next(), all.next()) {
        (None, _) if app.is_open() => return Ok(Principal::local()),
        (Some(one), None) => one.to_str().ok(),
        _ => None,
    };
    if let Some(token) = given.and_then(bearer) {
        if let Some(principal) = app.tokens.holder(token).await? {
            return Ok(principal);
        }
        if let Some(jwt) = &app.jwt
            && let Some(principal) = jwt.holder(token).await
        {
            return Ok(principal);
        }
    }
    // Where a request comes from is what the connection says; a header about it grants nothing.
    tracing::info!(target: "tidemill::audit", from = %remote.ip(), "a caller was not let in");
    app.limits.note_stranger(remote.ip())?;
    Err(Problem::unauthorized())
}

fn bearer(text: &str) -> Option<&str> {
    let (scheme, token) = text.split_once(' ')?;
    let good = scheme.eq_ignore_ascii_case("bearer")
        && !token.is_empty()
        && token.len() <= MAX_TOKEN
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    good.then_some(token)
}
