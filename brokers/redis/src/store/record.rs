//! A task as an operator sees it.

use tidemill_shared::{
    Attempt, AttemptOutcome, BuryReason, FailureRecord, Result, State, TaskId, TaskRecord,
    Timestamp, WorkerId,
};

use crate::head::{Stored, nonsense};
use crate::reply::Reply;

/// The state that a letter stands for.
pub(super) fn state(letter: &[u8]) -> Option<State> {
    Some(match letter {
        b"s" => State::Scheduled,
        b"p" => State::Pending,
        b"a" => State::Active,
        b"r" => State::Retry,
        b"c" => State::Completed,
        b"d" => State::Dead,
        b"x" => State::Cancelled,
        _ => return None,
    })
}

/// The letter of a state.
pub(super) const fn letter(state: State) -> char {
    match state {
        State::Scheduled => 's',
        State::Pending => 'p',
        State::Active => 'a',
        State::Retry => 'r',
        State::Completed => 'c',
        State::Dead => 'd',
        State::Cancelled => 'x',
    }
}

pub(super) fn bury_reason(name: &str) -> Option<BuryReason> {
    BuryReason::ALL
        .into_iter()
        .find(|reason| reason.as_str() == name)
}

/// Reads the view of a task, and the number of its admission.
pub(super) fn record(operation: &'static str, mut view: Reply) -> Result<(u64, TaskRecord)> {
    let wrong = || nonsense(operation);
    let id = TaskId::new(view.text()?)?;
    let seq = view.number()?;
    let stored = view.bytes()?;
    let stored = Stored::read(&stored);
    let state = state(&view.bytes()?).ok_or_else(wrong)?;
    let mut record = TaskRecord::enqueued(stored.envelope_or_bytes(&id)?, state);
    record.due_at = view.instant()?;
    record.attempt = view.number()?;
    record.failures = view.number()?;
    record.crashes = view.number()?;
    record.started_at = view.maybe_instant()?;
    record.finished_at = view.maybe_instant()?;
    record.worker = view.maybe_text()?.map(WorkerId::new).transpose()?;
    record.error = view
        .maybe_bytes()?
        .map(|json| failure(operation, &json))
        .transpose()?;
    record.result = view.maybe_payload()?;
    record.progress = view.maybe_payload()?;
    record.cancel_requested = view.number::<u8>()? == 1;
    record.bury_reason = view.maybe_text()?.and_then(|name| bury_reason(&name));
    Ok((seq, record))
}

fn failure(operation: &'static str, json: &[u8]) -> Result<FailureRecord> {
    serde_json::from_slice(json).map_err(|e| nonsense(operation).with_source(e))
}

/// Reads an attempt: number, worker, start, end, outcome and failure, separated by TABs.
pub(super) fn attempt(line: &str) -> Result<Attempt> {
    let wrong = || nonsense("attempts");
    let mut fields = line.splitn(6, '\t');
    let mut field = || fields.next().ok_or_else(wrong);
    let instant = |text: &str| {
        text.parse()
            .map(Timestamp::from_micros)
            .map_err(|_| wrong())
    };
    Ok(Attempt {
        attempt: field()?.parse().map_err(|_| wrong())?,
        worker: WorkerId::new(field()?)?,
        started_at: Some(field()?)
            .filter(|text| !text.is_empty())
            .map(instant)
            .transpose()?,
        finished_at: instant(field()?)?,
        outcome: {
            let name = field()?;
            let mut all = AttemptOutcome::ALL.into_iter();
            all.find(|outcome| outcome.as_str() == name)
                .ok_or_else(wrong)?
        },
        failure: Some(field()?)
            .filter(|json| !json.is_empty())
            .map(|json| failure("attempts", json.as_bytes()))
            .transpose()?,
    })
}
