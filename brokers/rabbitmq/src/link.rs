//! One connection to RabbitMQ, made anew when it is lost.

mod dial;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::StreamExt;
use lapin::{Channel, Connection, Event};
use tidemill_shared::{Error, ErrorKind, Result};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::fault::{fault, timeout};
use crate::options::RabbitOptions;

const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The way to RabbitMQ for one purpose. RabbitMQ holds back whole connections that publish, so what
/// acknowledges has another one.
pub(crate) struct Link {
    options: Arc<RabbitOptions>,
    purpose: &'static str,
    state: Mutex<State>,
    blocked: watch::Sender<Option<String>>,
    connects: AtomicU64,
    tasks: TaskTracker,
    ended: CancellationToken,
}

#[derive(Default)]
struct State {
    live: Option<Arc<Live>>,
    /// Where the next attempt starts, so that one dead host is not tried first for ever.
    next_host: usize,
}

/// A connection that has worked so far.
pub(crate) struct Live {
    connection: Connection,
}

impl Live {
    pub(crate) fn is_up(&self) -> bool {
        self.connection.status().connected()
    }

    /// A channel of its own.
    pub(crate) async fn channel(&self, operation: &'static str) -> Result<Channel> {
        let channel = self.connection.create_channel().await;
        channel.map_err(|error| fault(operation, &error))
    }
}

impl Link {
    pub(crate) fn new(
        options: Arc<RabbitOptions>,
        purpose: &'static str,
        tasks: TaskTracker,
        ended: CancellationToken,
    ) -> Self {
        Self {
            options,
            purpose,
            state: Mutex::default(),
            blocked: watch::Sender::new(None),
            connects: AtomicU64::new(0),
            tasks,
            ended,
        }
    }

    /// How long a call may take.
    pub(crate) fn patience(&self) -> Duration {
        self.options.timeout
    }

    /// Why RabbitMQ takes nothing in at present, if so.
    pub(crate) fn blocked(&self) -> watch::Receiver<Option<String>> {
        self.blocked.subscribe()
    }

    /// The connection; it is made if there is none, in as many attempts as fit before the deadline.
    pub(crate) async fn live(
        &self,
        operation: &'static str,
        deadline: Instant,
    ) -> Result<Arc<Live>> {
        let Ok(mut state) = timeout_at(deadline, self.state.lock()).await else {
            return Err(timeout(operation));
        };
        if let Some(live) = state.live.as_ref().filter(|live| live.is_up()) {
            return Ok(Arc::clone(live));
        }
        state.live = None;
        self.blocked.send_replace(None);
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(SHORTEST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .without_max_times()
            .with_jitter()
            .build();
        loop {
            let error = match self.connect(&mut state, deadline).await {
                Ok(live) => return Ok(live),
                Err(error) => error,
            };
            let pause = pauses.next().unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE);
            let again = Instant::now() + pause;
            if !error.is_transient() || again >= deadline {
                return Err(Error::new(error.kind(), operation, error.to_string()));
            }
            tracing::debug!(%error, purpose = self.purpose, "RabbitMQ cannot be reached; trying again");
            sleep_until(again).await;
        }
    }

    /// Tries each host once.
    async fn connect(&self, state: &mut State, deadline: Instant) -> Result<Arc<Live>> {
        let hosts = &self.options.hosts;
        let mut last = None;
        for _ in 0..hosts.len() {
            let Some(host) = hosts.get(state.next_host % hosts.len()) else {
                break;
            };
            let limit = deadline.min(Instant::now() + self.options.connect_timeout);
            match dial::dial(&self.options, host, self.purpose, limit).await {
                Ok(connection) => {
                    let number = self.connects.fetch_add(1, Ordering::Relaxed) + 1;
                    if number > 1 {
                        tracing::info!(%host, purpose = self.purpose, "RabbitMQ is connected again");
                    }
                    let live = Arc::new(Live { connection });
                    self.watch(&live);
                    state.live = Some(Arc::clone(&live));
                    return Ok(live);
                }
                Err(error) => {
                    state.next_host += 1;
                    let is_final = !error.is_transient();
                    last = Some(error);
                    if is_final {
                        break;
                    }
                }
            }
        }
        Err(last.unwrap_or_else(|| Error::new(ErrorKind::Internal, "connect", "there is no host")))
    }

    /// Notes when RabbitMQ holds the connection back, and when it lets go.
    fn watch(&self, live: &Arc<Live>) {
        let mut events = Box::pin(live.connection.events_listener());
        let (blocked, ended) = (self.blocked.clone(), self.ended.clone());
        let live = Arc::downgrade(live);
        let purpose = self.purpose;
        self.tasks.spawn(async move {
            loop {
                let event = tokio::select! {
                    () = ended.cancelled() => break,
                    event = events.next() => event,
                };
                match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        tracing::warn!(purpose, reason, "RabbitMQ takes nothing in");
                        blocked.send_replace(Some(reason));
                    }
                    Some(Event::ConnectionUnblocked) => {
                        tracing::info!(purpose, "RabbitMQ takes tasks in again");
                        blocked.send_replace(None);
                    }
                    Some(_) if live.upgrade().is_some_and(|live| live.is_up()) => {}
                    Some(_) | None => break,
                }
            }
        });
    }
}
