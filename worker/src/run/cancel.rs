//! How a run is told to stop, and why.

use std::pin::pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;
use tokio::time::Instant;

/// Why a run was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CancelReason {
    /// It took longer than its timeout. Counts as a failure of class `timeout`.
    Timeout,
    /// Its task's deadline has passed. The task is buried.
    Deadline,
    /// Somebody cancelled the task. Final.
    Cancelled,
    /// The worker is shutting down and its grace is used up. The task goes back uncounted.
    Shutdown,
    /// The lease has passed to somebody else: whatever this run does now is stale.
    LeaseLost,
}

impl CancelReason {
    /// A stable lower-case word for logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Deadline => "deadline",
            Self::Cancelled => "cancelled",
            Self::Shutdown => "shutdown",
            Self::LeaseLost => "lease_lost",
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Timeout),
            2 => Some(Self::Deadline),
            3 => Some(Self::Cancelled),
            4 => Some(Self::Shutdown),
            5 => Some(Self::LeaseLost),
            _ => None,
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Timeout => 1,
            Self::Deadline => 2,
            Self::Cancelled => 3,
            Self::Shutdown => 4,
            Self::LeaseLost => 5,
        }
    }
}

/// The one place where a run is told to stop. The first reason stays.
#[derive(Debug, Default)]
pub(crate) struct CancelCell {
    code: AtomicU8,
    told: Notify,
    at: OnceLock<Instant>,
}

impl CancelCell {
    /// Tells the run. `false` when it had been told before.
    pub(crate) fn cancel(&self, reason: CancelReason) -> bool {
        let first = self
            .code
            .compare_exchange(0, reason.code(), Ordering::AcqRel, Ordering::Acquire)
            .is_ok();
        if first {
            self.at.get_or_init(Instant::now);
            self.told.notify_waiters();
        }
        first
    }

    pub(crate) fn reason(&self) -> Option<CancelReason> {
        CancelReason::from_code(self.code.load(Ordering::Acquire))
    }

    /// When it was told.
    pub(crate) fn at(&self) -> Option<Instant> {
        self.at.get().copied()
    }

    /// Waits until it is told. Cancel-safe.
    pub(crate) async fn wait(&self) -> CancelReason {
        loop {
            let mut told = pin!(self.told.notified());
            told.as_mut().enable();
            if let Some(reason) = self.reason() {
                return reason;
            }
            told.await;
        }
    }
}
