//! Putting tasks in line.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tidemill_producer::Enqueued;
use tidemill_shared::{Error, ErrorKind, QueueName, TaskId};

use crate::call::{Call, Reply, must_be_object};
use crate::enqueue_form::EnqueueForm;
use crate::problem::Problem;
use crate::route::Answer;

/// The most tasks in one request.
pub(crate) const MAX_BATCH: usize = 10_000;

/// What became of a task.
#[derive(Debug, Serialize)]
struct AdmissionView {
    id: TaskId,
    admission: &'static str,
    url: String,
}

impl AdmissionView {
    fn new(id: TaskId, is_duplicate: bool) -> Self {
        Self {
            url: format!("/api/v1/tasks/{id}"),
            admission: if is_duplicate {
                "duplicate"
            } else {
                "admitted"
            },
            id,
        }
    }
}

/// What became of one of many.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ItemView {
    Good(AdmissionView),
    Bad { error: &'static str, detail: String },
}

/// One task.
pub(crate) async fn one(call: Call) -> Answer {
    let form: EnqueueForm = call.json()?;
    let form = form.traced(&call.headers);
    call.must_see(&QueueName::new(&form.queue)?)?;
    let derived = call.derived_id.clone().filter(|_| form.id().is_none());
    let enqueued = form.enqueue(&call.app.client, derived.as_ref())?.await;
    let view = match (enqueued, derived) {
        (Ok(done), _) => AdmissionView::new(done.id.clone(), done.is_duplicate()),
        // The same request came through before.
        (Err(error), Some(id)) if error.kind() == ErrorKind::Conflict => {
            AdmissionView::new(id, false)
        }
        (Err(error), _) => return Err(refusal(error)),
    };
    let subject = view.id.to_string();
    let mut reply = Reply::json(StatusCode::ACCEPTED, &view);
    if let Ok(place) = view.url.parse() {
        reply.headers.insert(axum::http::header::LOCATION, place);
    }
    Ok(reply.about(subject))
}

fn refusal(error: Error) -> Problem {
    Problem::from(error)
}

/// Many tasks. One that is wrong does not harm the others.
pub(crate) async fn many(call: Call) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Form {
        tasks: Vec<Box<RawValue>>,
    }
    let form: Form = call.form()?;
    if !(1..=MAX_BATCH).contains(&form.tasks.len()) {
        return Err(Problem::invalid(format!(
            "tasks: expected 1 to {MAX_BATCH}, found {}",
            form.tasks.len()
        )));
    }
    let client = &call.app.client;
    let mut slots: Vec<Result<(), Error>> = Vec::with_capacity(form.tasks.len());
    let mut good = Vec::with_capacity(form.tasks.len());
    for text in &form.tasks {
        match item(&call, text).and_then(|form| form.traced(&call.headers).enqueue(client, None)) {
            Ok(enqueue) => {
                good.push(enqueue);
                slots.push(Ok(()));
            }
            Err(error) => slots.push(Err(error)),
        }
    }
    let mut answers = client.enqueue_many(good).await.into_iter();
    let results: Vec<_> = slots
        .into_iter()
        .map(|slot| match slot {
            Ok(()) => answers.next().unwrap_or_else(|| {
                Err(Error::new(
                    ErrorKind::Internal,
                    "enqueue",
                    "there was no answer",
                ))
            }),
            Err(error) => Err(error),
        })
        .map(view)
        .collect();
    let taken = results
        .iter()
        .filter(|item| matches!(item, ItemView::Good(_)))
        .count();
    let subject = format!("{taken} of {} tasks", results.len());
    let body = serde_json::json!({ "results": results });
    Ok(Reply::json(StatusCode::ACCEPTED, &body).about(subject))
}

fn item(call: &Call, text: &RawValue) -> Result<EnqueueForm, Error> {
    must_be_object(text.get().as_bytes())?;
    let form: EnqueueForm =
        serde_json::from_str(text.get()).map_err(|e| Error::invalid("enqueue", e.to_string()))?;
    let queue = QueueName::new(&form.queue)?;
    match call.principal.scope.has(&queue) {
        true => Ok(form),
        false => Err(Error::new(
            ErrorKind::NotFound,
            "enqueue",
            "there is no such queue",
        )),
    }
}

fn view(answer: Result<Enqueued, Error>) -> ItemView {
    match answer {
        Ok(done) => ItemView::Good(AdmissionView::new(done.id.clone(), done.is_duplicate())),
        Err(error) => ItemView::Bad {
            error: error.kind().as_str(),
            detail: match error.kind() {
                ErrorKind::Internal | ErrorKind::Corrupt => "a fault of Tidemill".into(),
                ErrorKind::Unavailable | ErrorKind::Timeout => {
                    "the store cannot be reached or is busy; try again".into()
                }
                _ => error.to_string(),
            },
        },
    }
}
