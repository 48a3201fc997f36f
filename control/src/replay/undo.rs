//! Taking a replay back.

use serde::{Deserialize, Serialize};
use tidemill_shared::{
    Change, Changed, Error, ErrorKind, NoteName, Result, State, TaskId, Timestamp,
};

use super::hold::Held;
use super::{How, Letter, ReplayStatus, Replays};

/// What an undo did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoOutcome {
    /// How many are dead letters again, each as it was.
    pub taken_back: u64,
    /// How many had run, or were otherwise no longer as the replay had left them.
    pub left: u64,
    /// How many were dead letters already: an earlier undo took them back, or they had never come back.
    #[serde(default)]
    pub already: u64,
    /// What of the replay stays with those that were taken back, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stays: Option<String>,
}

/// What became of one letter.
enum Undone {
    TakenBack,
    Left,
    Already,
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
    /// Makes those that have not run since the replay the dead letters that they were, and ends it. What an edit
    /// changed stays changed, and so does the queue. Within an hour of its end; a replay that runs is
    /// stopped first. One that was undone already says so, and changes nothing.
    pub async fn undo(&self, id: &NoteName) -> Result<UndoOutcome> {
        let mut held = Held::take(self, id).await?;
        if held.batch.status == ReplayStatus::Undone {
            held.release().await?;
            return Ok(UndoOutcome {
                already: held.batch.taken_back.unwrap_or_default(),
                ..UndoOutcome::default()
            });
        }
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
        let since = held.batch.started_at;
        for number in 0..held.batch.parts {
            for letter in self.part(&held.batch, number).await? {
                match self.take_back(&letter, since).await? {
                    Undone::TakenBack => outcome.taken_back += 1,
                    Undone::Left => outcome.left += 1,
                    Undone::Already => outcome.already += 1,
                }
            }
            held.keep().await?;
        }
        held.batch.status = ReplayStatus::Undone;
        held.batch.waiting = None;
        held.batch.taken_back = Some(outcome.taken_back + outcome.already);
        held.batch.finished_at = held.batch.finished_at.or(Some(self.now()));
        held.release().await?;
        Ok(outcome)
    }

    async fn take_back(&self, letter: &Letter, since: Timestamp) -> Result<Undone> {
        let inspect = self.inspect()?;
        let Some(task) = inspect.get(&letter.id).await? else {
            return Ok(Undone::Left);
        };
        if letter.is_still(&task) {
            return Ok(Undone::Already);
        }
        let waits = matches!(task.state, State::Pending | State::Scheduled);
        if !waits || self.has_run(&letter.id, since).await? {
            return Ok(Undone::Left);
        }
        let rebury = Change::Rebury(letter.burial);
        Ok(match inspect.change(&letter.id, &rebury).await? {
            Changed::Done { .. } => Undone::TakenBack,
            _ => Undone::Left,
        })
    }

    /// Whether a run that began after the replay has ended: it may have failed and been put off, and wait again.
    /// One that a worker had in hand when it was told to stop, and put back as it was, is none.
    async fn has_run(&self, id: &TaskId, since: Timestamp) -> Result<bool> {
        let attempts = self.inspect()?.attempts(id).await?;
        let mut later = attempts.iter().filter(|one| one.finished_at >= since);
        Ok(later.any(|one| one.started_at.is_some()))
    }
}
