//! What a replay is told, and how far it has come.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::to_raw_value;
use tidemill_shared::{Kind, NoteName, QueueName, Replay, TaskId, TaskRecord, Timestamp};

use super::Choice;

/// How long a replay is remembered.
pub(super) const KEPT: Duration = Duration::from_secs(7 * 86_400);
/// For how long after its end it can be undone.
const UNDO: Duration = Duration::from_secs(3_600);
/// How many letters a plan shows.
const SAMPLE: usize = 10;

/// How a letter comes back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct How {
    /// Into this queue instead of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_queue: Option<QueueName>,
    /// With failures and crashes counted from zero again; otherwise it gets one more run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reset_attempts: bool,
    /// With this JSON merge patch (RFC 7396) applied to its payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edit: Option<Value>,
    /// Not before this instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

impl How {
    /// As a broker takes it.
    #[must_use]
    pub fn replay(&self) -> Replay {
        Replay {
            to_queue: self.to_queue.clone(),
            reset_attempts: self.reset_attempts,
            edit: self.edit.as_ref().and_then(|edit| to_raw_value(edit).ok()),
            at: self.at,
        }
    }
}

/// What a replay is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReplayOrder {
    /// Which letters.
    pub filter: Choice,
    /// How they come back.
    pub how: How,
    /// How many a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// No more than this many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who wants it.
    pub by: String,
}

impl ReplayOrder {
    /// What it is told, but for who wants it and why: for an audit record.
    #[must_use]
    pub fn details(&self) -> Value {
        let mut details = serde_json::to_value(self).unwrap_or_default();
        if let Value::Object(members) = &mut details {
            members.remove("reason");
            members.remove("by");
        }
        details
    }
}

/// Where a replay stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayStatus {
    /// It runs, or was cut off and can be resumed.
    Running,
    /// Somebody stopped it; it can be resumed, or undone.
    Stopped,
    /// Every letter that was meant is back in line, or could not be.
    Done,
    /// What had not run was taken back.
    Undone,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayProgress {
    /// How many are back in line.
    pub replayed: u64,
    /// How many could not come back; [`ReplayBatch::refusals`] says why.
    pub refused: u64,
}

/// A replay of many dead letters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplayBatch {
    /// Its id.
    pub id: NoteName,
    /// What it was told.
    pub order: ReplayOrder,
    /// Where it stands.
    pub status: ReplayStatus,
    /// When it began: letters that were buried later are not meant.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Until when it can be undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_until: Option<Timestamp>,
    /// How far it has come.
    #[serde(flatten)]
    pub progress: ReplayProgress,
    /// Why letters could not come back, and how many of them: `key_taken`, `edit_does_not_fit`, `queue_drained`,
    /// `no_dead_letter`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refusals: BTreeMap<String, u64>,
    /// What it waits for, such as a queue that is full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
    /// How many an undo has made dead letters again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_back: Option<u64>,
    /// How many parts were begun.
    pub(super) parts: u64,
    /// How many of them are done.
    pub(super) parts_done: u64,
    /// Where the next part begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cursor: Option<u64>,
    /// Whether the part that was begun is the last.
    pub(super) is_last: bool,
    /// Who runs it, and until when that counts without a sign of life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) held: Option<(String, Timestamp)>,
}

impl ReplayBatch {
    pub(super) fn new(id: NoteName, order: ReplayOrder, now: Timestamp) -> Self {
        Self {
            id,
            order,
            status: ReplayStatus::Running,
            started_at: now,
            finished_at: None,
            undo_until: None,
            progress: ReplayProgress {
                replayed: 0,
                refused: 0,
            },
            refusals: BTreeMap::new(),
            waiting: None,
            taken_back: None,
            parts: 0,
            parts_done: 0,
            cursor: None,
            is_last: false,
            held: None,
        }
    }

    pub(super) fn finish(&mut self, now: Timestamp) {
        self.status = ReplayStatus::Done;
        self.finished_at = Some(now);
        self.undo_until = Some(now + UNDO);
        self.held = None;
    }
}

/// A letter, in few words.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Brief {
    /// The task.
    pub id: TaskId,
    /// Its kind.
    pub kind: Kind,
    /// Its queue.
    pub queue: QueueName,
    /// Its last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a replay would do.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ReplayPlan {
    /// How many letters.
    pub count: u64,
    /// How many of each kind.
    pub kinds: BTreeMap<String, u64>,
    /// The first of them.
    pub sample: Vec<Brief>,
}

impl ReplayPlan {
    pub(super) fn add(&mut self, task: &TaskRecord) {
        let envelope = &task.envelope;
        self.count += 1;
        *self.kinds.entry(envelope.kind.to_string()).or_default() += 1;
        if self.sample.len() < SAMPLE {
            self.sample.push(Brief {
                id: envelope.id.clone(),
                kind: envelope.kind.clone(),
                queue: envelope.queue.clone(),
                error: task.error.as_ref().map(ToString::to_string),
            });
        }
    }
}
