//! Taking a replay back.

use serde::Serialize;
use tidemill_shared::{Change, Changed, Error, ErrorKind, NoteName, Result, State, TaskId};

use super::hold::Held;
use super::{ReplayStatus, Replays};

/// What an undo did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UndoOutcome {
    /// How many are dead letters again.
    pub taken_back: u64,
    /// How many had run, or were otherwise no longer as the replay had left them.
    pub left: u64,
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
        let mut outcome = UndoOutcome::default();
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
        if !waits || task.attempt != attempt {
            return Ok(false);
        }
        let changed = inspect.change(id, &Change::Bury).await?;
        Ok(matches!(changed, Changed::Done { .. }))
    }
}
