//! Who calls.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::HeaderMap;
use tidemill_shared::{Result as Outcome, Timestamp};

use crate::access::Principal;
use crate::problem::Problem;
use crate::state::App;

/// The longest credentials that are looked at.
const MAX_TOKEN: usize = 8 * 1_024;

/// How often it is looked whether somebody who follows is still let in.
const AGAIN: Duration = Duration::from_secs(1);

/// Whoever calls; the same refusal for every way of not being known.
pub(super) async fn of(
    app: &App,
    headers: &HeaderMap,
    remote: SocketAddr,
) -> Result<Principal, Problem> {
    if let Some(principal) = known(app, headers).await? {
        return Ok(principal);
    }
    // Where a request comes from is what the connection says; a header about it grants nothing.
    tracing::info!(target: "tidemill::audit", from = %remote.ip(), "a caller was not let in");
    app.limits.note_stranger(remote.ip())?;
    Err(Problem::unauthorized())
}

/// Whoever sends this, if they are let in now.
async fn known(app: &App, headers: &HeaderMap) -> Outcome<Option<Principal>> {
    let mut all = headers.get_all("authorization").iter();
    let given = match (all.next(), all.next()) {
        (None, _) => {
            let now = app.connection.clock.now();
            let is_open = app.door.admits(&app.tokens, now).await?;
            return Ok(is_open.then(Principal::local));
        }
        (Some(one), None) => one.to_str().ok(),
        _ => None,
    };
    let Some(token) = given.and_then(bearer) else {
        return Ok(None);
    };
    if let Some(principal) = app.tokens.holder(token).await? {
        return Ok(Some(principal));
    }
    match &app.jwt {
        Some(jwt) => Ok(jwt.holder(token).await),
        None => Ok(None),
    }
}

/// Waits until whoever sent this is not let in any more: for answers that go on. Cancel-safe.
pub(crate) async fn has_ended(app: &App, headers: &HeaderMap, until: Option<Timestamp>) {
    let revoked = async {
        loop {
            tokio::time::sleep(AGAIN).await;
            // While the store is away nobody can be asked, and there is nothing to tell either.
            if matches!(known(app, headers).await, Ok(None)) {
                return;
            }
        }
    };
    let expired = async {
        match until {
            Some(until) => app.connection.clock.sleep_until(until).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = revoked => {}
        () = expired => {}
    }
}

fn bearer(text: &str) -> Option<&str> {
    let (scheme, token) = text.split_once(' ')?;
    let good = scheme.eq_ignore_ascii_case("bearer")
        && !token.is_empty()
        && token.len() <= MAX_TOKEN
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    good.then_some(token)
}
