//! Replays by filter, run here at the store, or by a service that is asked for them.

use tidemill::{CancellationToken, NoteName, Result};
use tidemill_control::{Remote, ReplayBatch, ReplayOrder, ReplayPlan, Replays, UndoOutcome};

use crate::context::Context;

/// Who runs replays.
#[derive(Debug)]
pub(super) enum Desk {
    Here(Replays),
    There(Remote),
}

impl Desk {
    pub(super) fn of(context: &Context) -> Self {
        match &context.remote {
            Some(remote) => Self::There(remote.clone()),
            None => Self::Here(Replays::new(&context.connection)),
        }
    }

    pub(super) async fn plan(&self, order: &ReplayOrder) -> Result<ReplayPlan> {
        match self {
            Self::Here(replays) => replays.plan(&order.filter, order.limit).await,
            Self::There(remote) => remote.plan_replay(order).await,
        }
    }

    pub(super) async fn start(&self, order: ReplayOrder) -> Result<ReplayBatch> {
        match self {
            Self::Here(replays) => replays.start(order).await,
            Self::There(remote) => remote.start_replay(&order).await,
        }
    }

    /// Runs it to its end, or watches how it is run.
    pub(super) async fn run(
        &self,
        id: &NoteName,
        stop: &CancellationToken,
        tell: impl FnMut(&ReplayBatch),
    ) -> Result<ReplayBatch> {
        match self {
            Self::Here(replays) => replays.run(id, stop, tell).await,
            Self::There(remote) => remote.watch_replay(id, stop, tell).await,
        }
    }

    pub(super) async fn get(&self, id: &NoteName) -> Result<Option<ReplayBatch>> {
        match self {
            Self::Here(replays) => replays.get(id).await,
            Self::There(remote) => remote.replay(id).await,
        }
    }

    pub(super) async fn list(&self, limit: usize) -> Result<Vec<ReplayBatch>> {
        match self {
            Self::Here(replays) => replays.list(limit).await,
            Self::There(remote) => remote.replays(limit).await,
        }
    }

    /// Whether it has to be waited for before it can be gone on with here.
    pub(super) async fn is_held(&self, id: &NoteName) -> Result<bool> {
        match self {
            Self::Here(replays) => replays.is_held(id).await,
            Self::There(_) => Ok(false),
        }
    }

    /// Lets a service go on with one; here, running it does.
    pub(super) async fn resume(&self, id: &NoteName) -> Result<()> {
        match self {
            Self::Here(_) => Ok(()),
            Self::There(remote) => remote.resume_replay(id).await.map(drop),
        }
    }

    pub(super) async fn stop(&self, id: &NoteName) -> Result<ReplayBatch> {
        match self {
            Self::Here(replays) => replays.stop(id).await,
            Self::There(remote) => remote.stop_replay(id).await,
        }
    }

    pub(super) async fn undo(&self, id: &NoteName) -> Result<UndoOutcome> {
        match self {
            Self::Here(replays) => replays.undo(id).await,
            Self::There(remote) => remote.undo_replay(id).await,
        }
    }
}
