//! Which tasks are meant: as parameters of a query, and as a body.

use serde::{Deserialize, Serialize};
use tidemill_shared::{
    BuryReason, ErrorPattern, Key, Kind, QueueName, ScheduleId, State, TaskFilter, Timestamp,
};

use crate::call::Call;
use crate::problem::Problem;

/// A filter as a body, and as it is kept with a replay. All that is given must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Choice {
    /// In this queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueName>,
    /// Of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// With this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Of this schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleId>,
    /// Enqueued at or after this instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Enqueued before this instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Buried at or after this instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_since: Option<Timestamp>,
    /// Buried before this instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_until: Option<Timestamp>,
    /// Whose last failure matches this pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorPattern>,
    /// Buried for this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buried_for: Option<BuryReason>,
    /// Which failed at least so often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_failures: Option<u32>,
}

impl Choice {
    /// Whether anything is given.
    #[must_use]
    pub fn narrows(&self) -> bool {
        *self != Self::default()
    }

    /// The same as a filter, but for its states.
    #[must_use]
    pub fn of(filter: &TaskFilter) -> Self {
        Self {
            queue: filter.queue.clone(),
            kind: filter.kind.clone(),
            key: filter.key.as_ref().map(|key| key.as_str().to_owned()),
            schedule: filter.schedule.clone(),
            since: filter.since,
            until: filter.until,
            ended_since: filter.ended_since,
            ended_until: filter.ended_until,
            error: filter.error.clone(),
            buried_for: filter.reason,
            min_failures: None,
        }
    }

    /// The filter over dead letters.
    pub fn filter(&self) -> tidemill_shared::Result<TaskFilter> {
        Ok(TaskFilter {
            states: vec![State::Dead],
            queue: self.queue.clone(),
            kind: self.kind.clone(),
            key: self.key.as_deref().map(Key::new).transpose()?,
            schedule: self.schedule.clone(),
            since: self.since,
            until: self.until,
            error: self.error.clone(),
            reason: self.buried_for,
            ended_since: self.ended_since,
            ended_until: self.ended_until,
        })
    }
}

/// The filter of a listing of tasks.
pub(super) fn of_query(call: &Call) -> Result<TaskFilter, Problem> {
    let states = call.query("state").unwrap_or_default().split(',');
    let states = states.filter(|text| !text.is_empty());
    let states = states
        .map(str::parse)
        .collect::<Result<_, tidemill_shared::Error>>()?;
    let reason = call.query("buried_for").map(bury_reason).transpose()?;
    let mut filter = TaskFilter {
        states,
        queue: call.parsed("queue")?,
        kind: call.parsed("kind")?,
        key: call.query("key").map(Key::new).transpose()?,
        schedule: call.parsed("schedule")?,
        since: call.when("since")?,
        until: call.when("until")?,
        error: call.parsed("error")?,
        reason,
        ended_since: call.when("ended_since")?,
        ended_until: call.when("ended_until")?,
    };
    narrow(call, &mut filter)?;
    Ok(filter)
}

fn bury_reason(text: &str) -> Result<BuryReason, Problem> {
    let mut all = BuryReason::ALL.into_iter();
    all.find(|reason| reason.as_str() == text).ok_or_else(|| {
        let names = BuryReason::ALL.map(BuryReason::as_str).join(", ");
        Problem::invalid(format!("buried_for: expected one of {names}"))
    })
}

/// Holds a filter within the scope of whoever asks. With several queues one has to be named.
pub(super) fn narrow(call: &Call, filter: &mut TaskFilter) -> Result<(), Problem> {
    let scope = &call.principal.scope;
    match (&filter.queue, &scope.queues[..]) {
        (_, []) => Ok(()),
        (Some(queue), _) if scope.has(queue) => Ok(()),
        (Some(_), _) => Err(Problem::not_found()),
        (None, [only]) => {
            filter.queue = Some(only.clone());
            Ok(())
        }
        (None, several) => {
            let names: Vec<_> = several.iter().map(QueueName::as_str).collect();
            let names = names.join(", ");
            Err(Problem::invalid(format!(
                "queue: name one of yours, which are {names}"
            )))
        }
    }
}
