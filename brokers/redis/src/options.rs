//! Where Redis is, who may speak to it, and how patient a call is.

mod durability;
mod settings;
mod tls;
mod topology;
mod url;

use std::time::Duration;

use tidemill_shared::Result;
pub(crate) use tidemill_shared::{Address, Secret};

pub use durability::Durability;
pub(crate) use tls::{TlsOptions, Verification};
pub(crate) use topology::Topology;

/// How to reach Redis. Made from a URL by [`RedisOptions::parse`].
///
/// `Debug` never shows a password.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    pub(crate) topology: Topology,
    pub(crate) credentials: Credentials,
    pub(crate) sentinel_credentials: Credentials,
    pub(crate) database: u32,
    pub(crate) tls: Option<TlsOptions>,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) durability: Durability,
}

/// Who speaks to a server. Without a password nobody logs in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credentials {
    pub(crate) user: Option<Secret>,
    pub(crate) password: Option<Secret>,
}

impl RedisOptions {
    /// Reads a URL, without touching the network or a file.
    ///
    /// The forms are
    ///
    /// - `redis://[user[:password]@]host[:port][/database]`, and `rediss://…` with TLS;
    /// - `redis+sentinel://[user[:password]@]host[:port],host[:port]/MASTER[/database]`, where the
    ///   hosts are Sentinels and MASTER is the name under which they watch the master;
    /// - `redis+cluster://[user[:password]@]host[:port],host[:port]`, where the hosts are some nodes of
    ///   the Cluster.
    ///
    /// User and password are percent-encoded. Behind a `?` there may be settings, joined by `&`:
    ///
    /// | setting | meaning | default |
    /// |---|---|---|
    /// | `timeout` | how long one call may take, reconnecting included | `10s` |
    /// | `connect_timeout` | how long one attempt to connect may take | `5s` |
    /// | `durability` | `none`, or `wait` until replicas have what was written | `none` |
    /// | `replicas`, `wait_timeout` | with `wait`: how many, and for how long | `1`, `1s` |
    /// | `tls` | `true` turns TLS on for Sentinel and Cluster | `false` |
    /// | `ca`, `cert`, `key` | PEM files: whom to trust, and who we are | the system's roots; nobody |
    /// | `insecure` | `true` trusts any certificate | `false` |
    /// | `sentinel_user`, `sentinel_password` | who speaks to the Sentinels | nobody |
    ///
    /// # Errors
    ///
    /// [`Invalid`](tidemill_shared::ErrorKind::Invalid) says what was expected. No message repeats
    /// the URL, because it may hold a password.
    ///
    /// ```
    /// use tidemill_redis::RedisOptions;
    ///
    /// let options = RedisOptions::parse("redis://worker:hunter2@localhost/2?timeout=3s")?;
    /// assert!(!format!("{options:?}").contains("hunter2"));
    /// assert!(RedisOptions::parse("redis://localhost?time=3s").is_err());
    /// # Ok::<(), tidemill_shared::Error>(())
    /// ```
    pub fn parse(url: &str) -> Result<Self> {
        url::parse(url)
    }

    /// The same with another limit for one call, reconnecting included.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same with another limit for one attempt to connect.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The same with another [`Durability`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }
}
