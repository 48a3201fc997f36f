//! Namespaces of the RabbitMQ of the tests. `cargo xtask test` starts the nodes and names them.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use tidemill_rabbitmq::{RabbitOptions, RabbitStore};
use tidemill_shared::{Connection, Namespace};

/// A name that no other test has, of this run or an earlier one.
pub(crate) fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let since = std::time::UNIX_EPOCH.elapsed();
    let nanos = since.expect("it is later than 1970").as_nanos();
    format!("t{}-{nanos}-{count}", process::id())
}

/// The variable that names the one node by itself.
pub(crate) const NODE: &str = "TIDEMILL_TEST_RABBITMQ";

/// The nodes that a variable names.
#[expect(
    clippy::disallowed_methods,
    reason = "the servers of the tests are named by the environment"
)]
pub(crate) fn url(variable: &str) -> String {
    let url = std::env::var(variable);
    url.expect("the variable names RabbitMQ; run the tests by `cargo xtask test`")
}

pub(crate) async fn open_at(url: &str, namespace: &str, ledger: Connection) -> RabbitStore {
    let options = RabbitOptions::parse(url).expect("the URL is well-formed");
    let namespace = Namespace::new(namespace).expect("a valid name");
    let store = RabbitStore::open(options, namespace, ledger).await;
    store.expect("the store opens")
}
