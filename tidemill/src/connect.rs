//! From a URL to a store.

mod url;

use std::sync::Arc;

use tidemill_embedded::SqliteStore;
use tidemill_memory::MemoryStore;
use tidemill_rabbitmq::RabbitStore;
use tidemill_redis::RedisStore;
use tidemill_shared::{Clock, Connection, Error, ErrorKind, Namespace, Result};

use self::url::Place;
use crate::SystemClock;

/// Opens the store that a URL names, in the namespace `default`.
///
/// | URL | Store |
/// |---|---|
/// | `memory:` | this process's memory: a new, empty store for each call; gone with its last user |
/// | `sqlite:PATH` | one SQLite file, created when it is missing; several processes may share it |
/// | `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, `rediss://…` | one Redis server (6.2 or later, or Valkey), in plain or over TLS |
/// | `redis+sentinel://HOST:PORT,…/MASTER[/DB]` | the master that these sentinels name |
/// | `redis+cluster://HOST:PORT,…` | a Redis Cluster, found through any of these nodes |
/// | `amqp://[USER:PASSWORD@]HOST[:PORT][,…][/VHOST]`, `amqps://…` | RabbitMQ (3.10 or later), beside a [ledger](Connect::ledger) |
///
/// `sqlite:` takes `?synchronous=full|normal|off` (default `full`: what was acknowledged survives a
/// power cut; `normal`: the death of the process; `off`: that too, but a power cut may damage the file) and `busy_timeout=5s`,
/// joined by `&`; for those of Redis see [`RedisOptions`](tidemill_redis::RedisOptions), for those of RabbitMQ
/// [`RabbitOptions`](tidemill_rabbitmq::RabbitOptions). Fails with [`ErrorKind::Invalid`] and what was expected when the URL is wrong.
///
/// ```
/// # async fn example() -> tidemill::Result<()> {
/// let broker = tidemill::connect("sqlite:tasks.db?synchronous=normal").await?;
/// # drop(broker);
/// # Ok(())
/// # }
/// ```
pub async fn connect(url: &str) -> Result<Connection> {
    Connect::to(url).open().await
}

/// A connection in the making: [`connect`] with more to say.
///
/// ```
/// # async fn example() -> tidemill::Result<()> {
/// let broker = tidemill::Connect::to("memory:").namespace("trial").open().await?;
/// # drop(broker);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is opened until `open` is called"]
pub struct Connect {
    url: String,
    ledger: Option<String>,
    namespace: Result<Namespace, String>,
    clock: Option<Arc<dyn Clock>>,
    patience: Patience,
}

/// How long a server that is not there yet is waited for.
#[derive(Clone, Copy, Debug)]
enum Patience {
    Timeout,
    Endless,
}

impl Connect {
    /// A connection to the store that a URL names; see [`connect`].
    pub fn to(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ledger: None,
            namespace: Ok(Namespace::default()),
            clock: None,
            patience: Patience::Timeout,
        }
    }

    /// Sees only this namespace of the store; `default` when not given.
    pub fn namespace(mut self, name: impl AsRef<str>) -> Self {
        self.namespace = Namespace::new(name).map_err(|e| e.to_string());
        self
    }

    /// Keeps schedules, steps, logs and leadership there, and whatever else the broker cannot keep. RabbitMQ
    /// needs one: a SQLite file or a Redis. Every other store is broker and ledger in one, so there
    /// this must be the broker's own URL.
    pub fn ledger(mut self, url: impl Into<String>) -> Self {
        self.ledger = Some(url.into());
        self
    }

    /// Tells the time by this clock, instead of the server's for Redis and the [`SystemClock`] for others.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Waits for a server that is absent, loading its data or full, however long that takes, and warns at
    /// growing intervals: what a process wants that may be started before its server, as a worker or a
    /// producer. Drop [`Connect::open`] to end the waiting. A wrong URL, wrong credentials and missing
    /// permissions still fail at once; for stores without a server it changes nothing.
    ///
    /// ```
    /// # async fn example() -> tidemill::Result<()> {
    /// let broker = tidemill::Connect::to("redis://localhost").patiently().open().await?;
    /// # drop(broker);
    /// # Ok(())
    /// # }
    /// ```
    pub fn patiently(mut self) -> Self {
        self.patience = Patience::Endless;
        self
    }

    /// Checks the URLs and the namespace, without any I/O. Fails as [`Connect::open`] would.
    pub fn check(&self) -> Result<()> {
        self.read().map(drop)
    }

    /// What the [capabilities](tidemill_shared::Capabilities) of the broker will call it, such as `redis`, without
    /// any I/O. Fails as [`Connect::open`] would.
    pub fn system(&self) -> Result<&'static str> {
        let (place, _, _) = self.read()?;
        Ok(match place {
            Place::Memory => "tidemill.memory",
            Place::Sqlite { .. } => "tidemill.sqlite",
            Place::Redis(_) => "redis",
            Place::Rabbit(_) => "tidemill.rabbitmq",
        })
    }

    /// What is to be opened: the broker, and the ledger where that is another store.
    fn read(&self) -> Result<(Place, Option<Place>, Namespace)> {
        let namespace = self.namespace.clone();
        let namespace = namespace.map_err(|why| Error::invalid("connect", why))?;
        let place = url::parse(&self.url)?;
        let ledger = self.ledger.as_deref().filter(|ledger| *ledger != self.url);
        let ledger = ledger.map(url::parse).transpose()?;
        match (&place, &ledger) {
            (Place::Rabbit(_), None | Some(Place::Rabbit(_))) => Err(Error::invalid(
                "connect",
                "RabbitMQ keeps messages alone; name a ledger beside it, such as sqlite:ledger.db or redis://HOST",
            )),
            (Place::Memory | Place::Sqlite { .. } | Place::Redis(_), Some(_)) => Err(Error::new(
                ErrorKind::Unsupported,
                "connect",
                "this broker is its own ledger; leave the ledger URL out",
            )),
            (Place::Rabbit(_), Some(_))
            | (Place::Memory | Place::Sqlite { .. } | Place::Redis(_), None) => {
                Ok((place, ledger, namespace))
            }
        }
    }

    /// Opens the store. Opening a file runs on tokio's pool for blocking work; a server that is not there
    /// yet is waited for as long as a call may take, or [patiently](Connect::patiently).
    pub async fn open(self) -> Result<Connection> {
        let (options, ledger, namespace) = match self.read()? {
            (Place::Rabbit(options), Some(ledger), namespace) => (options, ledger, namespace),
            (place, _, namespace) => return self.open_store(place, namespace).await,
        };
        let ledger = self.open_store(ledger, namespace.clone()).await?;
        let store = match self.patience {
            Patience::Timeout => RabbitStore::open(*options, namespace, ledger).await?,
            Patience::Endless => RabbitStore::open_patiently(*options, namespace, ledger).await?,
        };
        Ok(store.connection())
    }

    /// Opens a store that is broker and ledger in one.
    async fn open_store(&self, place: Place, namespace: Namespace) -> Result<Connection> {
        let clock = self.clock.clone();
        match place {
            Place::Memory => {
                let store = MemoryStore::new(clock.unwrap_or_else(system_clock));
                Ok(store.namespace(namespace).connection())
            }
            Place::Sqlite { path, options } => {
                let clock = clock.unwrap_or_else(system_clock);
                tokio::task::spawn_blocking(move || {
                    Ok(SqliteStore::open(&path, options, namespace, clock)?.connection())
                })
                .await
                .map_err(|e| {
                    let message = "the store could not be opened";
                    Error::new(ErrorKind::Internal, "connect", message).with_source(e)
                })?
            }
            Place::Redis(options) => {
                let store = match self.patience {
                    Patience::Timeout => RedisStore::open(*options, namespace, clock).await?,
                    Patience::Endless => {
                        RedisStore::open_patiently(*options, namespace, clock).await?
                    }
                };
                Ok(store.connection())
            }
            Place::Rabbit(_) => Err(Error::invalid(
                "connect",
                "RabbitMQ cannot be the ledger of a RabbitMQ",
            )),
        }
    }
}

fn system_clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}
