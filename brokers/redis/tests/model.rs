//! The Redis broker answers as the memory broker does, whatever happens.

#[path = "harness/redis.rs"]
mod harness;
#[path = "../../memory/tests/harness/memory.rs"]
mod oracle;

use harness::Redis;
use oracle::Memory;
use tidemill_conformance::model;

#[test]
fn random_operations_are_answered_as_in_memory() {
    model::run(&Redis("TIDEMILL_TEST_REDIS"), &Memory);
}
