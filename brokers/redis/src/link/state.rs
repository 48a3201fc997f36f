//! What the keeper tells the callers.

use std::sync::Arc;

use tokio::sync::watch;

use super::fault::Fault;
use super::master::Master;

/// Tells of every loss and every return of the connection.
#[derive(Debug)]
pub(crate) struct Changes(pub(super) watch::Receiver<State>);

impl Changes {
    /// Is ready after the next one; several at once count as one. Never, once the link is gone.
    /// Cancel-safe.
    pub(crate) async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Whether there is a connection.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// The first attempt is under way.
    New,
    /// There was one at the last look; it may be dead by now.
    Up(Arc<Master>),
    /// There is none, for this reason.
    Down(Fault),
    /// There will be none any more.
    Closed,
}

impl State {
    /// The master, or why there will be none; `None` means to wait.
    pub(super) fn master(&self) -> Option<Result<Arc<Master>, Fault>> {
        match self {
            Self::Up(master) if !master.is_closed() => Some(Ok(master.clone())),
            Self::Down(fault) if fault.is_final() => Some(Err(fault.clone())),
            Self::Closed => Some(Err(Fault::closed())),
            Self::New | Self::Up(_) | Self::Down(_) => None,
        }
    }
}
