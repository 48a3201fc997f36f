//! Brings envelopes to the broker, again where the outcome was lost, and says what became of each.

use std::time::Duration;

use tidemill_shared::{Admission, Envelope, Error, ErrorKind, Result};
use tokio::time::{Instant, sleep, timeout_at};

use super::coalescer::{Ids, Withdrawn};
use super::draft::IdMaker;
use super::{Client, Enqueued};

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// One checked envelope.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) envelope: Envelope,
    pub(super) maker: IdMaker,
}

/// What is known about the attempts so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Past {
    /// None of them can have been carried out.
    Clean,
    /// One of them may have been.
    Unknown,
}

/// Delivers a batch of at most one call's size, within `limit`.
pub(super) async fn deliver(
    client: &Client,
    items: &[Item],
    limit: Duration,
) -> Vec<Result<Enqueued>> {
    let deadline = Instant::now() + limit.min(Duration::from_secs(86_400));
    let mut past = Past::Clean;
    let mut pause = FIRST_PAUSE;
    let mut said = None;
    loop {
        let error = match attempt(client, items, deadline, &mut past).await {
            Ok(admissions) => return settle(client, items, admissions, past).await,
            Err(error) => error,
        };
        // That time is over is no news for those who know why: the store has said it before.
        let error = match said {
            Some(why) if Instant::now() >= deadline => after(&error, &why),
            Some(_) | None => error,
        };
        let wait = pause.mul_f64(spread(items, pause));
        let too_late = Instant::now() + wait >= deadline;
        if !error.is_transient() || too_late {
            let given_up = |item| Err(give_up(&error, past, item));
            return items.iter().map(given_up).collect();
        }
        tracing::debug!(error = %error, "an enqueue failed and is tried again");
        said = Some(error);
        sleep(wait).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn attempt(
    client: &Client,
    items: &[Item],
    deadline: Instant,
    past: &mut Past,
) -> Result<Vec<Admission>> {
    let envelopes = items.iter().map(|item| item.envelope.clone()).collect();
    let Ok(room) = timeout_at(deadline, client.coalescer.room(envelopes)).await else {
        return Err(not_sent());
    };
    let are_new = *past == Past::Clean && items.iter().all(|item| item.maker == IdMaker::Client);
    let ids = if are_new { Ids::New } else { Ids::Any };
    let mut ticket = client.coalescer.submit(room, ids);
    match timeout_at(deadline, ticket.answer()).await {
        Ok(Ok(admissions)) => Ok(admissions),
        Ok(Err(error)) => {
            if error.is_transient() {
                *past = Past::Unknown;
            }
            Err(error)
        }
        Err(_elapsed) => match ticket.withdraw() {
            Withdrawn::InTime => Err(not_sent()),
            Withdrawn::TooLate => {
                *past = Past::Unknown;
                let why = match client.connection.broker.vitals().blocked {
                    true => "the store takes nothing in at present, as it is short of room",
                    false => "the store did not answer in time",
                };
                Err(Error::new(ErrorKind::Timeout, "enqueue", why))
            }
        },
    }
}

/// An error, and what went before it.
fn after(error: &Error, before: &Error) -> Error {
    let message = format!("{error}; before that: {before}");
    Error::new(error.kind(), error.operation(), message)
}

fn not_sent() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "enqueue",
        "the store was busy for too long; nothing was sent, try again later",
    )
}

/// The error of one caller. As soon as one of the attempts may have been carried out, it says so and
/// names the id, with which a repeat is safe.
fn give_up(error: &Error, past: Past, item: &Item) -> Error {
    if past == Past::Clean {
        return error.duplicate();
    }
    let id = &item.envelope.id;
    let told = Error::new(
        error.kind(),
        error.operation(),
        format!("{error} (the task {id} may be in the store; a repeat with this id is safe)"),
    );
    match std::error::Error::source(error) {
        Some(cause) => told.with_source(cause.to_string()),
        None => told,
    }
}

async fn settle(
    client: &Client,
    items: &[Item],
    admissions: Vec<Admission>,
    past: Past,
) -> Vec<Result<Enqueued>> {
    let mut answers = Vec::with_capacity(items.len());
    for (item, admission) in items.iter().zip(admissions) {
        let envelope = &item.envelope;
        let admitted = Enqueued {
            id: envelope.id.clone(),
            admission: Admission::Admitted,
        };
        answers.push(match admission {
            Admission::Admitted => Ok(admitted),
            // A store that looks at the key first finds what an attempt with a lost answer left.
            Admission::Duplicate(first) if first == envelope.id => Ok(admitted),
            Admission::Duplicate(first) => Ok(Enqueued {
                id: first.clone(),
                admission: Admission::Duplicate(first),
            }),
            Admission::IdConflict if past == Past::Unknown && is_own(client, item).await => {
                Ok(admitted)
            }
            Admission::IdConflict => Err(Error::new(
                ErrorKind::Conflict,
                "enqueue",
                format!(
                    "there is a task with the id {} already; it stays as it is",
                    envelope.id
                ),
            )),
            Admission::QueueFull { limit } => Err(Error::new(
                ErrorKind::Refused,
                "enqueue",
                format!(
                    "the queue {} is full: it holds its limit of {limit} waiting tasks; try again later",
                    envelope.queue
                ),
            )),
        });
    }
    answers
}

/// Whether the task under the item's id is what an earlier attempt of the same call left.
async fn is_own(client: &Client, item: &Item) -> bool {
    if item.maker == IdMaker::Client {
        return true;
    }
    let Ok(inspect) = client.inspect() else {
        return false;
    };
    match inspect.get(&item.envelope.id).await {
        Ok(Some(task)) => {
            let (own, found) = (&item.envelope, &task.envelope);
            own.enqueued_at == found.enqueued_at
                && own.kind == found.kind
                && own.queue == found.queue
                && own.payload == found.payload
        }
        Ok(None) | Err(_) => false,
    }
}

/// From a half to one: spreads the callers that failed together. It follows from the task's random
/// id, so that no generator has to be shared.
fn spread(items: &[Item], pause: Duration) -> f64 {
    let hash = items.first().map_or(0, |item| {
        item.envelope
            .id
            .as_str()
            .bytes()
            .fold(pause.subsec_micros(), |hash, byte| {
                hash.wrapping_mul(31).wrapping_add(u32::from(byte))
            })
    });
    0.5 + f64::from(hash % 1_024) / 2_048.0
}
