//! Requests that count once: a number that was never used, and the instant at which it was made.

use std::time::Duration;

use axum::http::HeaderMap;
use tidemill_shared::ledger::{Book, Notes, Precondition};
use tidemill_shared::{NoteName, Timestamp};

use super::{header_text, idempotency};
use crate::access::Principal;
use crate::problem::Problem;
use crate::route::Route;
use crate::state::App;

/// How far the caller's clock may be off.
const WINDOW: Duration = Duration::from_secs(300);

/// Refuses a change without, and one that was seen before, where that is asked for.
pub(super) async fn check(
    app: &App,
    route: &'static Route,
    principal: &Principal,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    if !app.settings.one_time || !route.is_change() {
        return Ok(());
    }
    let nonce = header_text(headers, "x-nonce").filter(|nonce| (16..=128).contains(&nonce.len()));
    let wrong = "X-Nonce with 16 to 128 characters that were never sent before, and \
                 X-Timestamp with the present instant, RFC 3339 or seconds since 1970";
    let (Some(nonce), Some(at)) = (nonce, header_text(headers, "x-timestamp").and_then(instant))
    else {
        return Err(Problem::not_once(wrong));
    };
    let now = app.connection.clock.now();
    if at + WINDOW < now || at > now + WINDOW {
        return Err(Problem::not_once("X-Timestamp within 5 minutes of now"));
    }
    let name = idempotency::digest(&[&principal.name, nonce]);
    let name = NoteName::new(name)?;
    let ledger: &dyn Notes = &*app.connection.ledger;
    // Kept for as long as the instant can still be within the window.
    let only_if = Precondition::Absent;
    let put = ledger.put_note(Book::Nonces, &name, "", only_if, Some(WINDOW * 2));
    match put.await? {
        Some(_) => Ok(()),
        None => Err(Problem::not_once("an X-Nonce that was never sent")),
    }
}

fn instant(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(1_000_000).map(Timestamp::from_micros);
    }
    text.parse().ok()
}
