//! What a scheduler does, for logs and tests.

use std::time::Duration;

use tidemill_shared::schedule::Misfire;
use tidemill_shared::{QueueName, ScheduleId, TaskId, Timestamp};

/// Something that a scheduler did or met.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchedulerEvent {
    /// It takes part: it leads nothing yet.
    Started {
        /// Into how many shards the schedules are divided.
        shards: u32,
    },
    /// It leads a shard now.
    Elected {
        /// The number of the shard, from 0.
        shard: u32,
        /// The epoch of its term.
        epoch: u64,
    },
    /// It leads a shard no longer.
    Deposed {
        /// The number of the shard, from 0.
        shard: u32,
        /// The epoch of the term that ended.
        epoch: u64,
    },
    /// The store has lost what was recorded last, as one that comes back from a backup, or a replica that
    /// was behind. All schedules of the shard are read again, and what was lost is planned anew.
    SetBack {
        /// The number of the shard, from 0.
        shard: u32,
    },
    /// It has read all definitions.
    Loaded {
        /// How many schedules it plans; paused ones are not counted.
        schedules: usize,
    },
    /// A schedule was changed, paused or removed: what was planned of it counts no more.
    TakenBack {
        /// The schedule.
        schedule: ScheduleId,
    },
    /// A fire was put into the broker.
    Planned {
        /// The schedule.
        schedule: ScheduleId,
        /// The planned instant.
        scheduled_at: Timestamp,
        /// When its task is due: the instant plus jitter.
        due_at: Timestamp,
        /// Its task.
        task: TaskId,
        /// Where that waits.
        queue: QueueName,
        /// The next instant of the schedule, if there is one.
        next: Option<Timestamp>,
    },
    /// Instants passed without a run, because nothing was up at their time.
    Missed {
        /// The schedule.
        schedule: ScheduleId,
        /// The instant, or the last of several.
        scheduled_at: Timestamp,
        /// How many instants.
        count: u64,
        /// The policy of the schedule by which they do not run.
        policy: Misfire,
        /// Why they do not run, as their fires have it.
        reason: &'static str,
    },
    /// A fire that was due at once was not run, by the overlap policy of its schedule.
    Skipped {
        /// The schedule.
        schedule: ScheduleId,
        /// The planned instant.
        scheduled_at: Timestamp,
    },
    /// A fire was on record already; nothing was added.
    Duplicate {
        /// The schedule.
        schedule: ScheduleId,
        /// The planned instant.
        scheduled_at: Timestamp,
    },
    /// A fire was refused: the schedule has changed since it was read, or somebody else leads.
    Refused {
        /// The schedule.
        schedule: ScheduleId,
        /// The planned instant.
        scheduled_at: Timestamp,
    },
    /// As many fires have been enqueued as the limit of a schedule allows; it rests until it changes.
    Spent {
        /// The schedule.
        schedule: ScheduleId,
    },
    /// The store did not do something.
    Failed {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        error: String,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// A schedule cannot be fired as it is; it is left alone until it changes or a minute has passed.
    Stuck {
        /// The schedule.
        schedule: ScheduleId,
        /// Why.
        error: String,
    },
}

impl SchedulerEvent {
    /// Writes the event to the log: changes of the lead at `info`, troubles at `warn`, single fires
    /// at `debug`.
    pub(super) fn log(&self) {
        match self {
            Self::Started { shards } => tracing::debug!(shards, "scheduler takes part"),
            Self::Elected { shard, epoch } => tracing::info!(shard, epoch, "scheduler leads"),
            Self::Deposed { shard, epoch } => {
                tracing::info!(shard, epoch, "scheduler leads no longer");
            }
            Self::SetBack { shard } => tracing::error!(
                shard,
                "the store has lost what was recorded last; what it lost of the schedules is planned anew"
            ),
            Self::Loaded { schedules } => tracing::info!(schedules, "schedules loaded"),
            Self::TakenBack { schedule } => {
                tracing::debug!(schedule_id = %schedule, "what was planned is taken back");
            }
            Self::Planned {
                schedule,
                scheduled_at,
                due_at,
                task,
                ..
            } => tracing::debug!(
                schedule_id = %schedule, %scheduled_at, %due_at, task_id = %task, "fire planned"
            ),
            Self::Missed {
                schedule,
                scheduled_at,
                count,
                policy,
                reason,
            } => tracing::debug!(
                schedule_id = %schedule, %scheduled_at, count, policy = policy.as_str(), reason, "fire missed"
            ),
            Self::Skipped {
                schedule,
                scheduled_at,
            } => tracing::info!(schedule_id = %schedule, %scheduled_at, "fire skipped"),
            Self::Duplicate {
                schedule,
                scheduled_at,
            } => {
                tracing::debug!(schedule_id = %schedule, %scheduled_at, "fire is on record already");
            }
            Self::Refused {
                schedule,
                scheduled_at,
            } => tracing::debug!(schedule_id = %schedule, %scheduled_at, "fire refused"),
            Self::Spent { schedule } => {
                tracing::info!(schedule_id = %schedule, "schedule has come to its limit");
            }
            Self::Failed {
                operation,
                error,
                retry_in,
            } => tracing::warn!(operation, error, ?retry_in, "scheduler met an error"),
            Self::Stuck { schedule, error } => {
                tracing::error!(schedule_id = %schedule, error, "schedule cannot be fired");
            }
        }
    }
}
