//! Taking a replay back.

use serde::{Deserialize, Serialize};
use tidemill_shared::{Change, Changed, Error, ErrorKind, NoteName, Result, State, TaskId};

use super::hold::Held;
use super::{How, ReplayStatus, Replays};

/// What an undo did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoOutcome {
    /// How many are dead letters again.
    pub taken_back: u64,
    /// How many had run, or were otherwise no longer as the replay had left them.
    pub left: u64,
    /// What of the replay stays with those that were taken back, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stays: Option<String>,
}

/// A letter is kept once, as it is: what it held before an edit is nowhere any more, and a merge patch does
/// not say what it replaced.
fn stays(how: &How) -> Option<String> {
    let parts = [
        how.edit.as_ref().map(|_| "the edit of the payload"),
        how.to_queue.as_ref().map(|_| "the queue"),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    let what = Some(parts.join(" and ")).filter(|what| !what.is_empty())?;
    Some(format!(
        "{what} stays: a letter is kept as it is now, and not as it was; an export made before has the old one"
    ))
}

impl Replays {
    /// Makes dead letters again of those that have not run since the replay, and ends it. What an edit
    /// changed stays changed, and so does the queue. Within an hour of its end; a replay that runs is
    /// stopped first. Can be repeated.
    pub async fn undo(&self, id: &NoteName) -> Result<UndoOutcome> {
        let mut held = Held::take(self, id).await?;
        if held
            .batch
            .undo_until
            .is_some_and(|until| until < self.now())
        {
            held.release().await?;
            return Err(Error::new(
                ErrorKind::Conflict,
                "undo replay",
                "the hour in which the replay could be undone is over",
            ));
        }
        let mut outcome = UndoOutcome {
            stays: stays(&held.batch.order.how),
            ..UndoOutcome::default()
        };
        for number in 0..held.batch.parts {
            for (id, attempt) in self.part(&held.batch, number).await? {
                match self.take_back(&id, attempt).await? {
                    true => outcome.taken_back += 1,
                    false => outcome.left += 1,
                }
            }
            held.keep().await?;
        }
        held.batch.status = ReplayStatus::Undone;
        held.batch.finished_at = held.batch.finished_at.or(Some(self.now()));
        held.release().await?;
        Ok(outcome)
    }

    async fn take_back(&self, id: &TaskId, attempt: u32) -> Result<bool> {
        let inspect = self.inspect()?;
        let Some(task) = inspect.get(id).await? else {
            return Ok(false);
        };
        let waits = matches!(task.state, State::Pending | State::Scheduled);
        if !waits || (task.attempt != attempt && self.has_run(id, attempt).await?) {
            return Ok(false);
        }
        let changed = inspect.change(id, &Change::Bury).await?;
        Ok(matches!(changed, Changed::Done { .. }))
    }

    /// Whether a run has begun since: a worker that was told to stop may have had it in hand, and put it back
    /// as it was.
    async fn has_run(&self, id: &TaskId, attempt: u32) -> Result<bool> {
        let attempts = self.inspect()?.attempts(id).await?;
        let mut since = attempts.iter().filter(|one| one.attempt > attempt);
        Ok(since.any(|one| one.started_at.is_some()))
    }
}
