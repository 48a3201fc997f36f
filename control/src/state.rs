//! What all requests share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tidemill_producer::Client;
use tidemill_shared::{Connection, Result};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::{Door, Jwt, Tokens};
use crate::audit::Auditor;
use crate::feed::Feed;
use crate::gate::Limits;
use crate::replay::Replays;
use crate::settings::Settings;

/// What a reload does: answers what came of it, in words.
pub(crate) type Reload = Arc<dyn Fn() -> BoxFuture<'static, Result<String>> + Send + Sync>;

/// What `/metrics` answers.
pub(crate) type Metrics = Arc<dyn Fn() -> BoxFuture<'static, String> + Send + Sync>;

/// Who is told of requests that were answered.
pub(crate) type Observer = Arc<dyn Fn(&Answered) + Send + Sync>;

/// A request that was answered, for those who count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answered {
    /// The name of its route, which is the operation's in the OpenAPI document; `none` where there is no route.
    pub route: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// How long the answer took to begin.
    pub took: Duration,
}

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
    pub(crate) feed: Arc<Feed>,
    pub(crate) reload: Option<Reload>,
    pub(crate) metrics: Option<Metrics>,
    pub(crate) observer: Option<Observer>,
    /// Replays that run here.
    pub(crate) work: TaskTracker,
    pub(crate) stop: CancellationToken,
    pub(crate) door: Door,
}

impl App {
    /// Whether whoever has no token is let in, as far as is known.
    pub(crate) fn is_open(&self) -> bool {
        self.door.is_open()
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
