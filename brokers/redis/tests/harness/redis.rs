//! Namespaces of servers, for the suite. `cargo xtask test` starts the servers and names them.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use tidemill_conformance::{Fixture, Harness, start};
use tidemill_redis::{RedisOptions, RedisStore};
use tidemill_shared::{Connection, ManualClock, Namespace, TaskId};

/// Makes a namespace for each case on the server that this variable names.
pub(crate) struct Redis(pub(crate) &'static str);

#[async_trait]
impl Harness for Redis {
    async fn fresh(&self) -> Box<dyn Fixture> {
        Box::new(self.space().await)
    }
}

impl Redis {
    /// An empty namespace.
    pub(crate) async fn space(&self) -> Space {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let url = server(self.0);
        let clock = Arc::new(ManualClock::new(start()));
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let nanos = std::time::UNIX_EPOCH
            .elapsed()
            .expect("it is later than 1970");
        let namespace = format!("t{}-{}-{count}", process::id(), nanos.as_nanos());
        let store = open(&url, &namespace, &clock).await;
        Space {
            url,
            namespace,
            clock,
            store,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the servers of the tests are named by the environment"
)]
fn server(variable: &str) -> String {
    let url = std::env::var(variable);
    url.expect("the variable names a server; run the tests by `cargo xtask test`")
}

/// One namespace of a server.
pub(crate) struct Space {
    url: String,
    namespace: String,
    clock: Arc<ManualClock>,
    store: RedisStore,
}

async fn open(url: &str, namespace: &str, clock: &Arc<ManualClock>) -> RedisStore {
    let options = RedisOptions::parse(url).expect("the URL is well-formed");
    let namespace = Namespace::new(namespace).expect("a valid name");
    let clock = Arc::clone(clock) as _;
    let store = RedisStore::open(options, namespace, Some(clock)).await;
    store.expect("the store opens")
}

#[allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test program uses a part of it"
)]
impl Space {
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }
}

#[async_trait]
impl Fixture for Space {
    fn connection(&self) -> Connection {
        self.store.connection()
    }

    fn clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.clock)
    }

    async fn other_namespace(&self) -> Connection {
        let other = format!("{}-other", self.namespace);
        open(&self.url, &other, &self.clock).await.connection()
    }

    /// A new process finds what the server has; the old one has closed nothing.
    async fn reopen(&mut self) -> Option<Connection> {
        self.store = open(&self.url, &self.namespace, &self.clock).await;
        Some(self.store.connection())
    }

    async fn another_process(&self) -> Option<Connection> {
        let other = open(&self.url, &self.namespace, &self.clock).await;
        Some(other.connection())
    }

    async fn corrupt(&self, task: &TaskId) -> bool {
        let key = format!("tidemill:{{{}}}:tasks", self.namespace);
        let servers = servers(&self.url);
        let overwritten = servers.iter().any(|url| overwrite(url, &key, task));
        assert!(overwritten, "one of {servers:?} holds {task}");
        true
    }
}

/// The servers behind a URL, one of which is the master.
fn servers(url: &str) -> Vec<String> {
    let (scheme, rest) = url.split_once("://").expect("the URL has a scheme");
    let (hosts, _) = rest.split_once('/').unwrap_or((rest, ""));
    let hosts = hosts.split(',').map(|host| format!("redis://{host}"));
    if scheme != "redis+sentinel" {
        return hosts.collect();
    }
    let masters = hosts.filter_map(|sentinel| {
        let mut connection = redis::Client::open(sentinel).ok()?.get_connection().ok()?;
        let (host, port): (String, String) = redis::cmd("SENTINEL")
            .arg("get-master-addr-by-name")
            .arg("tidemill")
            .query(&mut connection)
            .ok()?;
        Some(format!("redis://{host}:{port}"))
    });
    masters.collect()
}

/// Overwrites the envelope of a task behind its head. `false` where the server does not hold it.
fn overwrite(url: &str, key: &str, task: &TaskId) -> bool {
    let client = redis::Client::open(url).expect("the URL is well-formed");
    let mut connection = client.get_connection().expect("the server answers");
    let mut command = redis::cmd("HGET");
    let Ok(record) = command
        .arg(key)
        .arg(task.as_str())
        .query::<Vec<u8>>(&mut connection)
    else {
        return false;
    };
    let Some(at) = record.iter().position(|byte| *byte == b'\n') else {
        return false;
    };
    let (head, _) = record.split_at(at + 1);
    let record = [head, b"not an envelope"].concat();
    let mut command = redis::cmd("HSET");
    command.arg(key).arg(task.as_str()).arg(record);
    command.exec(&mut connection).is_ok()
}
