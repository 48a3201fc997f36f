//! What the tests of the link share.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tidemill_shared::Result;

use super::super::{Invocation, Link, Script};
use super::server::Server;
use crate::options::RedisOptions;

pub(super) const KEY: &str = "tidemill:{test}:a";

/// Waits for something that another process brings about.
pub(super) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited 20 s in vain until {what}");
}

pub(super) async fn open(url: &str) -> Result<Link> {
    let link = Link::begin(RedisOptions::parse(url)?, KEY);
    link.arrive().await.map(|()| link)
}

/// The message of the error with which this URL is refused.
pub(super) async fn refused(url: &str) -> tidemill_shared::Error {
    let error = open(url).await.unwrap_err();
    assert!(
        !format!("{error} {error:?}").contains("hunter2"),
        "{error:?}"
    );
    error
}

pub(super) async fn link_to(server: &Server) -> Arc<Link> {
    Arc::new(open(&server.url()).await.unwrap())
}

/// Counts up under [`KEY`].
pub(super) fn count() -> Script {
    Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])")
}

pub(super) async fn counted(link: &Link) -> Result<Value> {
    link.call("count", &count(), &[KEY.as_bytes()], &["1"])
        .await
}

impl Link {
    /// Runs a script with these keys and arguments.
    pub(crate) async fn call<A: AsRef<[u8]> + Sync>(
        &self,
        operation: &'static str,
        script: &Script,
        keys: &[&[u8]],
        args: &[A],
    ) -> Result<Value> {
        let invocation = script.invoke(keys, args);
        self.invoke(operation, &invocation).await
    }

    /// The same, acknowledged by as many replicas as the options say.
    pub(crate) async fn call_durably<A: AsRef<[u8]> + Sync>(
        &self,
        operation: &'static str,
        script: &Script,
        keys: &[&[u8]],
        args: &[A],
    ) -> Result<Value> {
        let invocation = script.invoke(keys, args);
        self.invoke_durably(operation, invocation).await
    }
}

impl Script {
    /// A call with these keys and arguments.
    pub(crate) fn invoke<A: AsRef<[u8]>>(&self, keys: &[&[u8]], args: &[A]) -> Invocation<'_> {
        let bytes = args.iter().map(|arg| arg.as_ref().len()).sum();
        let mut invocation = self.prepare(keys, args.len(), bytes);
        for arg in args {
            invocation.arg(arg.as_ref());
        }
        invocation
    }
}
