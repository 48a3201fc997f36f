//! Where RabbitMQ is, who may speak to it, and how patient a call is.

mod settings;
mod url;

use std::path::PathBuf;
use std::time::Duration;

use tidemill_shared::{Address, Result, Secret};

/// How to reach RabbitMQ. Made from a URL by [`RabbitOptions::parse`].
///
/// `Debug` never shows a password.
#[derive(Clone, Debug)]
pub struct RabbitOptions {
    pub(crate) hosts: Vec<Address>,
    pub(crate) user: Secret,
    pub(crate) password: Password,
    pub(crate) vhost: String,
    pub(crate) tls: Option<TlsOptions>,
    pub(crate) heartbeat: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) queue_type: QueueType,
}

/// What kind of queue tasks wait in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueType {
    /// Replicated, and the only kind with a delivery limit. What is confirmed survives the loss of a
    /// minority of nodes.
    #[default]
    Quorum,
    /// On one node. Gone while that is down; lost when its disk is.
    Classic,
}

/// A password, or the file that has it.
#[derive(Clone, Debug)]
pub(crate) enum Password {
    Known(Secret),
    /// Read at each connect, so that a new one is used.
    File(PathBuf),
}

/// Whom to trust, and who we are. The files are read at each connect, so that renewed ones are used.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsOptions {
    pub(crate) ca: Option<PathBuf>,
    /// The client's certificate and its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

impl RabbitOptions {
    /// Reads a URL, without touching the network or a file.
    ///
    /// The form is `amqp://[user:password@]host[:port][,host[:port]…][/vhost]`, and `amqps://…` with TLS. The
    /// hosts are nodes of one cluster; any of them will do. User, password and vhost are percent-encoded:
    /// a vhost `/jobs` is written `/%2Fjobs`; without one it is `/`. Behind a `?` there may be settings, joined by `&`:
    ///
    /// | setting | meaning | default |
    /// |---|---|---|
    /// | `timeout` | how long one call may take, reconnecting included | `10s` |
    /// | `connect_timeout` | how long one attempt to connect may take | `5s` |
    /// | `heartbeat` | how often each side shows that it is there; a dead one is noticed after twice that | `10s` |
    /// | `queue_type` | `quorum` or `classic` | `quorum` |
    /// | `password_file` | a file with the password, instead of one in the URL | none |
    /// | `ca`, `cert`, `key` | PEM files: whom to trust, and who we are | the system's roots; nobody |
    ///
    /// # Errors
    ///
    /// [`Invalid`](tidemill_shared::ErrorKind::Invalid) says what was expected. No message repeats
    /// the URL, because it may hold a password.
    ///
    /// ```
    /// use tidemill_rabbitmq::RabbitOptions;
    ///
    /// let options = RabbitOptions::parse("amqp://worker:hunter2@one,two:5673/jobs?timeout=3s")?;
    /// assert!(!format!("{options:?}").contains("hunter2"));
    /// assert!(RabbitOptions::parse("amqp://localhost?time=3s").is_err());
    /// # Ok::<(), tidemill_shared::Error>(())
    /// ```
    pub fn parse(url: &str) -> Result<Self> {
        url::parse(url)
    }
}
