//! The process group of a command.

use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Child;

/// How often a group that was told to end is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Everything that a program starts, unless it moves to a group of its own. Killed when dropped, so
/// that no way to leave a run leaves it running.
#[derive(Debug)]
pub(super) struct ProcessGroup {
    leader: Option<Pid>,
}

impl ProcessGroup {
    /// The group that the child leads.
    pub(super) fn of(child: &Child) -> Self {
        let leader = child.id().and_then(|id| i32::try_from(id).ok());
        Self {
            leader: leader.map(Pid::from_raw),
        }
    }

    /// Asks all of it to end.
    pub(super) fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Ends all of it.
    pub(super) fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// Lets it be: the program has ended by itself, and what it left behind is its own affair.
    pub(super) fn release(&mut self) {
        self.leader = None;
    }

    /// Waits until all of it has ended, or until `limit`, and kills what is left then.
    pub(super) async fn end_after(&mut self, limit: impl Future<Output = ()>) {
        let empty = async {
            while self.is_alive() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            () = empty => {}
            () = limit => self.kill(),
        }
        self.release();
    }

    fn is_alive(&self) -> bool {
        self.leader
            .is_some_and(|leader| killpg(leader, None).is_ok())
    }

    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // It fails only when nothing is left of the group.
            killpg(leader, signal).ok();
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.kill();
    }
}
