//! Requests that may be sent again: with the same `Idempotency-Key`, the same answer.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tidemill_shared::ledger::{Book, Notes, Precondition};
use tidemill_shared::{NoteName, TaskId};

use crate::access::hex;
use crate::call::{Call, Reply, ReplyBody};
use crate::problem::Problem;
use crate::route::Answer;
use crate::state::App;

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 3_600);
/// How long a request that has not ended holds its key: longer than any may take.
const UNDER_WAY: Duration = Duration::from_secs(120);
/// The largest answer that is kept.
const MAX_ANSWER: usize = 512 * 1_024;

/// What is known about a key.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// A hash of the request.
    request: String,
    /// The answer; absent while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<KeptAnswer>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptAnswer {
    status: u16,
    body: String,
}

/// How a request begins.
#[derive(Debug)]
pub(super) enum Begun {
    /// Without a key.
    Plain,
    /// With one that is held now.
    Held { name: NoteName, request: String },
    /// It was answered before.
    Answered(Reply),
}

/// A hash over texts, each apart from the next.
pub(super) fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize())
}

/// Takes the key of a request, or finds the answer under it.
pub(super) async fn begin(call: &mut Call) -> Result<Begun, Problem> {
    let Some(key) = call.headers.get("idempotency-key") else {
        return Ok(Begun::Plain);
    };
    if !call.route.is_change() {
        return Ok(Begun::Plain);
    }
    let key = key
        .to_str()
        .ok()
        .filter(|key| (1..=255).contains(&key.len()));
    let key = key.ok_or_else(|| {
        Problem::invalid("Idempotency-Key: expected 1 to 255 visible ASCII characters")
    })?;
    let path: Vec<_> = call
        .params
        .iter()
        .map(|(_, value)| value.as_str())
        .collect();
    let place = [&call.principal.name, call.route.name, &path.join("/"), key];
    let name = digest(&place);
    // The id of the task that this key enqueues, whatever happens between here and the answer.
    call.derived_id = Some(derived(&name)?);
    let name = NoteName::new(name)?;
    let query = call.query.iter().flat_map(|(name, value)| [name, value]);
    let query: Vec<_> = query.map(String::as_str).collect();
    let request = digest(&[&hex(&Sha256::digest(&call.body)), &digest(&query)]);
    let pending = write(&Kept {
        request: request.clone(),
        answer: None,
    });
    let ledger: &dyn Notes = call.ledger();
    let only_if = Precondition::Absent;
    let put = ledger.put_note(Book::Answers, &name, &pending, only_if, Some(UNDER_WAY));
    if put.await?.is_some() {
        return Ok(Begun::Held { name, request });
    }
    let Some(note) = ledger.note(Book::Answers, &name).await? else {
        return Err(under_way());
    };
    let kept: Kept = serde_json::from_str(&note.text).map_err(|_| Problem::internal())?;
    if kept.request != request {
        let title = "Another request had this key";
        let detail = "the Idempotency-Key was sent with another body or query; choose a new one";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Err(Problem::new(status, "key_reused", title, detail));
    }
    let Some(answer) = kept.answer else {
        return Err(under_way());
    };
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut reply = Reply::json(status, &());
    reply.body = ReplyBody::Whole(answer.body.into_bytes());
    let replayed = HeaderValue::from_static("true");
    reply.headers.insert("idempotency-replayed", replayed);
    Ok(Begun::Answered(reply))
}

fn under_way() -> Problem {
    Problem::conflict("a request with this Idempotency-Key is under way; try again")
        .header(axum::http::header::RETRY_AFTER, "1")
}

/// What becomes of a key at the end of its request.
#[derive(Debug)]
pub(super) enum Ending {
    /// There was none.
    Plain,
    /// A good answer is kept under it.
    Keep(NoteName, String),
    /// A request that was refused frees it, to be tried again.
    Free(NoteName),
}

impl Ending {
    pub(super) fn of(begun: Begun, answer: &Answer) -> Self {
        let Begun::Held { name, request } = begun else {
            return Self::Plain;
        };
        match answer {
            Ok(Reply {
                status,
                body: ReplyBody::Whole(body),
                ..
            }) if body.len() <= MAX_ANSWER => {
                let kept = Kept {
                    request,
                    answer: Some(KeptAnswer {
                        status: status.as_u16(),
                        body: String::from_utf8_lossy(body).into_owned(),
                    }),
                };
                Self::Keep(name, write(&kept))
            }
            _ => Self::Free(name),
        }
    }

    pub(super) async fn keep(self, app: &App) {
        let ledger: &dyn Notes = &*app.connection.ledger;
        let done = match self {
            Self::Plain => return,
            Self::Keep(name, text) => {
                let only_if = Precondition::None;
                let put = ledger.put_note(Book::Answers, &name, &text, only_if, Some(KEPT));
                put.await.map(drop)
            }
            Self::Free(name) => ledger.forget_note(Book::Answers, &name).await.map(drop),
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the answer under an idempotency key could not be kept");
        }
    }
}

fn write(kept: &Kept) -> String {
    // Text and numbers alone, so that writing it cannot fail.
    serde_json::to_string(kept).unwrap_or_default()
}

fn derived(digest: &str) -> Result<TaskId, Problem> {
    let number = digest
        .get(..32)
        .and_then(|hex| u128::from_str_radix(hex, 16).ok());
    let bytes = number.ok_or_else(Problem::internal)?.to_be_bytes();
    let id = uuid::Builder::from_custom_bytes(bytes).into_uuid();
    Ok(TaskId::new(id.to_string())?)
}
