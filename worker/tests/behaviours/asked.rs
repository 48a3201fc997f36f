//! The store that whoever runs the tests asks for, instead of those that need no server.

use std::sync::Arc;

use tidemill_redis::{RedisOptions, RedisStore};
use tidemill_shared::{Clock, Connection, Namespace, WorkerId};

/// An empty namespace of the Redis that `TIDEMILL_TEST_STORE` names, as `cargo xtask test` sets it for
/// its first pass; nothing when it is not set. The server's clock, unless another one is given.
pub(crate) async fn store(clock: Option<Arc<dyn Clock>>) -> Option<Connection> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test has no arguments, only an environment"
    )]
    let url = std::env::var("TIDEMILL_TEST_STORE").ok()?;
    let options = RedisOptions::parse(&url).expect("TIDEMILL_TEST_STORE is the URL of a Redis");
    let namespace = Namespace::new(WorkerId::random().as_str()).expect("a name");
    let store = RedisStore::open(options, namespace, clock).await;
    Some(store.expect("the server answers").connection())
}
