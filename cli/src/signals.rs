//! Signals of a process that runs until it is told to stop.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::problem::Problem;

/// How long a second signal waits for the end of what it ends at once.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// How a process is told to stop: well, or at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    /// Take nothing new, finish what runs.
    pub(crate) well: CancellationToken,
    /// Give back what runs.
    pub(crate) at_once: CancellationToken,
}

/// SIGTERM and SIGINT.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Starts to listen; from now on the signals no longer end the process by themselves.
    pub(crate) fn listen() -> Result<Self, Problem> {
        let listen = || -> io::Result<Self> {
            Ok(Self {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
            })
        };
        listen().map_err(|e| Problem::failed("signals cannot be received").because(e))
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// What has to be done before there is anything to end well: a signal drops it, and gives `None`.
    pub(crate) async fn before<T>(
        &mut self,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<Option<T>, Problem> {
        tokio::select! {
            done = work => done.map(Some),
            () = self.next() => {
                tracing::info!("stopping: nothing was begun yet");
                Ok(None)
            }
        }
    }

    /// Works until the end of `work`. The first signal lets it end well, the second ends it at once.
    pub(crate) async fn guard<T>(
        mut self,
        stop: &Stop,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        tokio::pin!(work);
        tokio::select! {
            done = &mut work => return done,
            () = self.next() => {}
        }
        tracing::info!("stopping: finishing what runs; a second signal ends it at once");
        stop.well.cancel();
        tokio::select! {
            done = &mut work => return done,
            () = self.next() => {}
        }
        stop.at_once.cancel();
        // Its answer would be that it was ended.
        tokio::time::timeout(LAST_WAIT, work).await.ok();
        Err(Problem::failed("ended at once by a second signal")
            .hint("what was running went back to its queue, or does when its lease ends"))
    }
}
