//! A task as programs of Tidemill hand it to each other: everything that a broker knows, beside the
//! view that people and other programs read. Written by the service and read by [`crate::Remote`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tidemill_shared::{
    Attempt, AttemptView, BuryReason, ContentType, Error, FailureRecord, Payload, Result, State,
    TaskRecord, Timestamp, WorkerId, decode_envelope, encode_envelope,
};

/// The record of a task; its envelope as it travels.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RecordForm {
    envelope: Box<RawValue>,
    state: State,
    due_at: Timestamp,
    attempt: u32,
    failures: u32,
    crashes: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finished_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    worker_id: Option<WorkerId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<FailureRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result: Option<PayloadForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    progress: Option<PayloadForm>,
    cancel_requested: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bury_reason: Option<BuryReason>,
}

#[derive(Debug, Serialize, Deserialize)]
struct PayloadForm {
    content_type: String,
    base64: String,
}

impl PayloadForm {
    fn of(payload: &Payload) -> Self {
        Self {
            content_type: payload.content_type().as_str().to_owned(),
            base64: STANDARD.encode(payload.as_bytes()),
        }
    }

    fn payload(self) -> Result<Payload> {
        let bytes = STANDARD.decode(&self.base64).map_err(unreadable)?;
        Ok(Payload::new(ContentType::new(&self.content_type)?, bytes))
    }
}

fn unreadable(why: impl std::error::Error + Send + Sync + 'static) -> Error {
    let what = "the service answered a task that cannot be read: is it of another version?";
    Error::new(tidemill_shared::ErrorKind::Corrupt, "read", what).with_source(why)
}

impl RecordForm {
    pub(crate) fn of(task: &TaskRecord) -> Result<Self> {
        let envelope = encode_envelope(&task.envelope)?;
        let envelope = String::from_utf8(envelope).map_err(unreadable)?;
        Ok(Self {
            envelope: RawValue::from_string(envelope).map_err(unreadable)?,
            state: task.state,
            due_at: task.due_at,
            attempt: task.attempt,
            failures: task.failures,
            crashes: task.crashes,
            started_at: task.started_at,
            finished_at: task.finished_at,
            worker_id: task.worker.clone(),
            error: task.error.clone(),
            result: task.result.as_ref().map(PayloadForm::of),
            progress: task.progress.as_ref().map(PayloadForm::of),
            cancel_requested: task.cancel_requested,
            bury_reason: task.bury_reason,
        })
    }

    pub(crate) fn record(self) -> Result<TaskRecord> {
        Ok(TaskRecord {
            envelope: decode_envelope(self.envelope.get().as_bytes())?,
            state: self.state,
            due_at: self.due_at,
            attempt: self.attempt,
            failures: self.failures,
            crashes: self.crashes,
            started_at: self.started_at,
            finished_at: self.finished_at,
            worker: self.worker_id,
            error: self.error,
            result: self.result.map(PayloadForm::payload).transpose()?,
            progress: self.progress.map(PayloadForm::payload).transpose()?,
            cancel_requested: self.cancel_requested,
            bury_reason: self.bury_reason,
        })
    }
}

/// An attempt, with its failure in parts.
#[derive(Debug, Serialize)]
pub(crate) struct FullAttempt {
    #[serde(flatten)]
    view: AttemptView,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureRecord>,
}

impl From<&Attempt> for FullAttempt {
    fn from(attempt: &Attempt) -> Self {
        Self {
            view: attempt.into(),
            failure: attempt.failure.clone(),
        }
    }
}

/// The same, read.
#[derive(Debug, Deserialize)]
pub(crate) struct AttemptForm {
    attempt: u32,
    worker_id: WorkerId,
    #[serde(default)]
    started_at: Option<Timestamp>,
    finished_at: Timestamp,
    outcome: tidemill_shared::AttemptOutcome,
    #[serde(default)]
    failure: Option<FailureRecord>,
}

impl From<AttemptForm> for Attempt {
    fn from(form: AttemptForm) -> Self {
        Self {
            attempt: form.attempt,
            worker: form.worker_id,
            started_at: form.started_at,
            finished_at: form.finished_at,
            outcome: form.outcome,
            failure: form.failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use tidemill_shared::{
        Envelope, FailureRecord, Kind, Payload, State, TaskId, TaskRecord, Timestamp,
    };

    use super::RecordForm;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let id = TaskId::new("t").unwrap();
        let kind = Kind::new("echo").unwrap();
        let envelope = Envelope::new(id, kind, Payload::bytes([0, 255]), now);
        let mut record = TaskRecord::enqueued(envelope, State::Pending);
        record.failures = 3;
        record.error = Some(FailureRecord::new("panic", "é\0"));
        record.result = Some(Payload::bytes([1, 2, 3]));
        let text = serde_json::to_string(&RecordForm::of(&record).unwrap()).unwrap();
        let read: RecordForm = serde_json::from_str(&text).unwrap();
        assert_eq!(
            format!("{:?}", read.record().unwrap()),
            format!("{record:?}")
        );
    }
}
