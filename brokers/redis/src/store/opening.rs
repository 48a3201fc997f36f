//! Opening a store: again and again, while it fails for reasons that pass.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidemill_shared::{Broker as _, Clock, Error, ErrorKind, Namespace, Result, format_duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::upkeep::Upkeep;
use super::{Inner, RedisStore};
use crate::RedisOptions;
use crate::checks;
use crate::link::{Backoff, Link};
use crate::server_clock::ServerClock;
use crate::waiting::Waiting;

/// The first words about a server that is not there come after so long; each silence after that is twice as long.
const FIRST_SILENCE: Duration = Duration::from_secs(1);
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// How long a server is waited for.
#[derive(Clone, Copy, Debug)]
enum Patience {
    /// As long as a call may take.
    Timeout,
    /// Until it is there.
    Endless,
}

impl RedisStore {
    /// Connects and examines the server. Time is the server's own, unless a clock is given.
    ///
    /// Fails with [`ErrorKind::Invalid`](tidemill_shared::ErrorKind::Invalid) and the remedy when the
    /// server cannot be used as it is set up, and with
    /// [`ErrorKind::Unavailable`](tidemill_shared::ErrorKind::Unavailable) when it could not be reached for as long
    /// as a call may take.
    pub async fn open(
        options: RedisOptions,
        namespace: Namespace,
        clock: Option<Arc<dyn Clock>>,
    ) -> Result<Self> {
        Self::open_with(options, namespace, clock, Patience::Timeout).await
    }

    /// The same, but a server that is absent, loading its data or full is waited for, however long that takes,
    /// with a warning at growing intervals. Drop it to end the waiting.
    pub async fn open_patiently(
        options: RedisOptions,
        namespace: Namespace,
        clock: Option<Arc<dyn Clock>>,
    ) -> Result<Self> {
        Self::open_with(options, namespace, clock, Patience::Endless).await
    }

    async fn open_with(
        options: RedisOptions,
        namespace: Namespace,
        clock: Option<Arc<dyn Clock>>,
        patience: Patience,
    ) -> Result<Self> {
        let (began, timeout) = (Instant::now(), options.timeout);
        let (mut backoff, mut words) = (Backoff::default(), Words::from(began));
        let mut last = None;
        loop {
            let link = Link::begin(options.clone(), &format!("{}meta", prefix(&namespace)));
            let link = Arc::new(link);
            // Boxed, as it is made once in the life of a store and is larger than all that waits for it.
            let mut attempt = Box::pin(Self::establish(&link, &namespace, clock.as_ref()));
            let opened = loop {
                tokio::select! {
                    opened = &mut attempt => break opened,
                    () = words.due(patience) => words.say(&link, last.as_ref()),
                }
            };
            match opened {
                Err(error) if patience.allows(&error, began.elapsed() < timeout) => {
                    tracing::debug!(%error, "opening the store again");
                    last = Some(error);
                }
                opened => return opened,
            }
            tokio::time::sleep(backoff.next_pause()).await;
        }
    }

    /// One attempt, on a link of its own. All that it does can be repeated.
    async fn establish(
        link: &Arc<Link>,
        namespace: &Namespace,
        clock: Option<&Arc<dyn Clock>>,
    ) -> Result<Self> {
        link.arrive().await?;
        let findings = checks::examine(link).await?;
        let (clock, upkeep) = match clock {
            Some(clock) => (Arc::clone(clock), Upkeep::constant()),
            None => (
                Arc::new(ServerClock::open(link).await?) as _,
                Upkeep::spaced(),
            ),
        };
        let prefix = prefix(namespace);
        let inner = Inner {
            link: Arc::clone(link),
            namespace: namespace.clone(),
            keys: ["meta", "guard"].map(|name| format!("{prefix}{name}").into_bytes()),
            tasks_key: format!("{prefix}tasks"),
            states_key: format!("{prefix}states"),
            clock,
            waiting: Waiting::default(),
            tasks: TaskTracker::new(),
            ended: CancellationToken::new(),
            known_birth: AtomicU64::new(0),
            missed: Mutex::default(),
            last_seq: AtomicU64::new(0),
            upkeep,
            findings,
            prefix,
        };
        let store = Self {
            inner: Arc::new(inner),
        };
        if let Err(error) = store.born().await {
            if error.kind() != ErrorKind::Corrupt {
                return Err(error);
            }
            // Moves what stands there with a wrong type out of the way, and takes no task back.
            store.sweep(0).await?;
            store.born().await?;
        }
        store.load_scripts_of_enqueue().await?;
        Ok(store)
    }
}

fn prefix(namespace: &Namespace) -> String {
    format!("tidemill:{{{namespace}}}:")
}

impl Patience {
    /// Whether to try once more after such an error.
    fn allows(self, error: &Error, has_time: bool) -> bool {
        match self {
            Self::Endless => error.is_transient(),
            // One that is full may be so for long.
            Self::Timeout => has_time && error.is_transient() && error.kind() != ErrorKind::Refused,
        }
    }
}

/// What is said while a server is waited for.
struct Words {
    began: Instant,
    next: Instant,
    silence: Duration,
}

impl Words {
    fn from(began: Instant) -> Self {
        Self {
            began,
            next: began + FIRST_SILENCE,
            silence: FIRST_SILENCE,
        }
    }

    /// Is ready when it is time for them. Whoever waits no longer than a call hears the error instead.
    async fn due(&self, patience: Patience) {
        match patience {
            Patience::Timeout => std::future::pending().await,
            Patience::Endless => tokio::time::sleep_until(self.next).await,
        }
    }

    fn say(&mut self, link: &Link, last: Option<&Error>) {
        let reason = link.trouble().or_else(|| last.map(ToString::to_string));
        let reason = reason.unwrap_or_else(|| {
            let named = link.options().topology.named();
            format!("redis at {named} has not answered yet")
        });
        let waited = format_duration(Duration::from_secs(self.began.elapsed().as_secs()));
        tracing::warn!(reason, waited, "waiting for redis");
        self.silence = (self.silence * 2).min(LONGEST_SILENCE);
        self.next = Instant::now() + self.silence;
    }
}
