//! The Redis broker keeps the contract: on one server, on a replica set behind Sentinel, on a Cluster.

#[path = "harness/redis.rs"]
mod harness;
#[path = "harness/trusting.rs"]
mod trusting;

use harness::Redis;
use tidemill_conformance::{Harness, excluded};

const SINGLE: Redis = Redis("TIDEMILL_TEST_REDIS");

mod redis {
    tidemill_conformance::conformance!(super::SINGLE);
}

mod redis_new_ids {
    tidemill_conformance::conformance!(crate::trusting::Trusting(super::SINGLE));
}

mod redis_sentinel {
    tidemill_conformance::conformance!(super::Redis("TIDEMILL_TEST_REDIS_SENTINEL"));
}

mod redis_cluster {
    tidemill_conformance::conformance!(super::Redis("TIDEMILL_TEST_REDIS_CLUSTER"));
}

#[tokio::test]
async fn the_redis_broker_leaves_nothing_out() {
    let capabilities = SINGLE.fresh().await.connection().broker.capabilities();
    assert_eq!(excluded(&capabilities), []);
}
