//! The embedded broker keeps the contract.

#[path = "harness/embedded.rs"]
mod harness;

use harness::Embedded;
use tidemill_conformance::{Harness, excluded};

mod embedded {
    tidemill_conformance::conformance!(super::Embedded);
}

#[tokio::test]
async fn the_embedded_broker_leaves_nothing_out() {
    let capabilities = Embedded.fresh().await.connection().broker.capabilities();
    assert_eq!(excluded(&capabilities), []);
}
