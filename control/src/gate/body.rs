//! The body of a request: JSON alone, whole, within its limit.

use axum::http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Limited};

use super::{Body, Whole, header_text, is_json};
use crate::problem::Problem;
use crate::route::{Route, Takes};
use crate::state::App;

/// Reads the body, no further than its limit.
pub(super) async fn read(
    app: &App,
    route: &'static Route,
    headers: &HeaderMap,
    body: Body,
) -> Result<Whole, Problem> {
    let limit = route.max_body.unwrap_or(app.settings.max_body);
    let length = header_text(headers, "content-length").and_then(|text| text.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit));
    }
    if headers.contains_key("content-encoding") {
        return Err(media(
            "expected no Content-Encoding: bodies are sent as they are",
        ));
    }
    let read = Limited::new(body, limit).collect();
    let Ok(read) = tokio::time::timeout(app.settings.timeout, read).await else {
        let title = "Too slow";
        let detail = "the body did not come in time";
        return Err(
            Problem::new(StatusCode::REQUEST_TIMEOUT, "slow", title, detail)
                .header(axum::http::header::CONNECTION, "close"),
        );
    };
    let whole = match read {
        Ok(whole) => whole.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(too_large(limit));
        }
        Err(_) => return Err(Problem::invalid("the body ended early")),
    };
    match (route.takes, whole.is_empty()) {
        (Takes::Nothing | Takes::Optional(_), true) => Ok(whole),
        (Takes::Nothing, false) => Err(Problem::invalid("expected no body")),
        (Takes::Json(_), true) if is_json(headers) => Err(Problem::invalid("expected a body")),
        (Takes::Optional(_) | Takes::Json(_), _) if is_json(headers) => Ok(whole),
        _ => Err(media("expected Content-Type: application/json")),
    }
}

fn too_large(limit: usize) -> Problem {
    let title = "Too large";
    let detail = format!("the body may have {limit} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", title, detail)
        .header(axum::http::header::CONNECTION, "close")
}

fn media(detail: &str) -> Problem {
    let title = "Not this type";
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "media_type",
        title,
        detail,
    )
}
