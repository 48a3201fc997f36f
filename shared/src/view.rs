//! The JSON that the command line and the API show: stable field names, absent when not known.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::ledger::FireRecord;
use crate::{
    Attempt, AttemptOutcome, BuryReason, Headers, Key, Kind, Payload, QueueName, ScheduleId, State,
    TaskId, TaskRecord, Timestamp, WorkerId,
};

/// A payload or result: JSON as it is, other text as a string, other bytes as `{"base64": …}`.
fn show(payload: &Payload) -> Box<RawValue> {
    let bytes = payload.as_bytes();
    let json = match std::str::from_utf8(bytes) {
        Ok(text) if payload.content_type().is_json() => {
            serde_json::from_str::<Box<RawValue>>(text).ok()
        }
        Ok(text) => serde_json::value::to_raw_value(text).ok(),
        Err(_) => None,
    };
    json.unwrap_or_else(|| {
        use base64::Engine;
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        serde_json::value::to_raw_value(&serde_json::json!({ "base64": text })).unwrap_or_default()
    })
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The header of a task that was made of a dead letter: the id of that letter.
pub const REPLAY_OF: &str = "tidemill-replay-of";

/// One failure of a dead letter's history.
#[derive(Clone, Debug, Serialize)]
pub struct FailureView {
    /// The attempt, from 1.
    pub attempt: u32,
    /// When it ended.
    pub at: Timestamp,
    /// What happened.
    pub error: String,
    /// Who ran it.
    pub worker_id: WorkerId,
}

/// One attempt.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptView {
    /// Its number, from 1.
    pub attempt: u32,
    /// Who ran it.
    pub worker_id: WorkerId,
    /// When it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Why, unless it succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl From<&Attempt> for AttemptView {
    fn from(attempt: &Attempt) -> Self {
        Self {
            attempt: attempt.attempt,
            worker_id: attempt.worker.clone(),
            started_at: attempt.started_at,
            finished_at: attempt.finished_at,
            outcome: attempt.outcome,
            error: attempt.failure.as_ref().map(ToString::to_string),
        }
    }
}

/// A task.
#[derive(Clone, Debug, Serialize)]
#[expect(
    missing_docs,
    reason = "the fields are those of TaskRecord and Envelope, under the names of the surface"
)]
pub struct TaskView {
    pub id: TaskId,
    pub kind: Kind,
    pub queue: QueueName,
    pub state: State,
    pub priority: i64,
    pub attempt: u32,
    pub max_attempts: u32,
    #[serde(skip_serializing_if = "is_zero")]
    pub crashes: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    pub payload: Box<RawValue>,
    #[serde(skip_serializing_if = "Headers::is_empty")]
    pub headers: Headers,
    pub enqueued_at: Timestamp,
    pub due_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_id: Option<ScheduleId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<WorkerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cancel_requested: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<BuryReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buried_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<Vec<FailureView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Vec<AttemptView>>,
}

impl From<&TaskRecord> for TaskView {
    fn from(task: &TaskRecord) -> Self {
        let envelope = &task.envelope;
        let origin = envelope.origin.as_ref();
        Self {
            id: envelope.id.clone(),
            kind: envelope.kind.clone(),
            queue: envelope.queue.clone(),
            state: task.state,
            priority: envelope.priority.into(),
            attempt: task.attempt,
            max_attempts: envelope.retry.max_attempts,
            crashes: task.crashes,
            key: envelope.key_text().cloned(),
            payload: show(&envelope.payload),
            headers: envelope.headers.clone(),
            enqueued_at: envelope.enqueued_at,
            due_at: task.due_at,
            started_at: task.started_at,
            finished_at: task.finished_at,
            schedule_id: origin.map(|origin| origin.schedule.clone()),
            scheduled_at: origin.map(|origin| origin.scheduled_at),
            error: task.error.as_ref().map(ToString::to_string),
            result: task.result.as_ref().map(show),
            progress: task.progress.as_ref().map(show),
            worker_id: task.worker.clone(),
            trace_id: crate::trace_id(&envelope.headers).map(str::to_owned),
            cancel_requested: task.cancel_requested,
            reason: task.bury_reason,
            buried_at: if task.state == State::Dead {
                task.finished_at
            } else {
                None
            },
            replay_of: envelope.headers.get(REPLAY_OF).cloned(),
            failures: None,
            attempts: None,
        }
    }
}

impl TaskView {
    /// Adds every attempt.
    #[must_use]
    pub fn with_attempts(mut self, attempts: &[Attempt]) -> Self {
        self.attempts = Some(attempts.iter().map(AttemptView::from).collect());
        self
    }

    /// Adds the failure history, as a dead letter shows it.
    #[must_use]
    pub fn with_failures(mut self, attempts: &[Attempt]) -> Self {
        let failed = attempts.iter().filter_map(|attempt| {
            let failure = attempt.failure.as_ref()?;
            Some(FailureView {
                attempt: attempt.attempt,
                at: attempt.finished_at,
                error: failure.to_string(),
                worker_id: attempt.worker.clone(),
            })
        });
        self.failures = Some(failed.collect());
        self
    }
}

/// A fire.
#[derive(Clone, Debug, Serialize)]
#[expect(
    missing_docs,
    reason = "the fields are those of FireRecord, under the names of the surface"
)]
pub struct FireView {
    pub schedule_id: ScheduleId,
    pub scheduled_at: Timestamp,
    pub outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enqueued_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// From the planned instant to the start of the first run; absent before that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lateness_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<State>,
    pub revision: u64,
    pub count: u64,
    pub manual: bool,
}

impl From<&FireRecord> for FireView {
    fn from(fire: &FireRecord) -> Self {
        let lateness = fire
            .started_at
            .map(|at| at.since(fire.scheduled_at).as_millis());
        Self {
            schedule_id: fire.schedule.clone(),
            scheduled_at: fire.scheduled_at,
            outcome: fire.outcome.as_str(),
            reason: fire.reason.clone(),
            task_id: fire.task.clone(),
            enqueued_at: fire.enqueued_at,
            started_at: fire.started_at,
            finished_at: fire.finished_at,
            lateness_ms: lateness.map(|ms| u64::try_from(ms).unwrap_or(u64::MAX)),
            ended: fire.ended,
            revision: fire.revision,
            count: fire.count,
            manual: fire.manual,
        }
    }
}
