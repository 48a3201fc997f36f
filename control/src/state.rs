//! What all requests share.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use tidemill_producer::Client;
use tidemill_shared::{Connection, Result};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::{Jwt, Tokens};
use crate::audit::Auditor;
use crate::gate::Limits;
use crate::replay::Replays;
use crate::settings::Settings;

/// What a reload does: answers what came of it, in words.
pub(crate) type Reload = Arc<dyn Fn() -> BoxFuture<'static, Result<String>> + Send + Sync>;

/// What `/metrics` answers.
pub(crate) type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What all requests share.
pub(crate) struct App {
    pub(crate) connection: Connection,
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    pub(crate) tokens: Tokens,
    pub(crate) jwt: Option<Jwt>,
    pub(crate) limits: Limits,
    pub(crate) auditor: Auditor,
    pub(crate) replays: Replays,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) reload: Option<Reload>,
    pub(crate) metrics: Option<Metrics>,
    /// Replays that run here.
    pub(crate) work: TaskTracker,
    pub(crate) stop: CancellationToken,
    /// Whether a token has ever been seen here, after which loopback asks for one.
    pub(crate) asks: AtomicBool,
}

impl App {
    /// Whether whoever has no token is let in.
    pub(crate) fn is_open(&self) -> bool {
        !self.asks.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
