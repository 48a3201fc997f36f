//! The Redis broker answers as the memory broker does, whatever happens.

#[path = "harness/redis.rs"]
mod harness;
#[path = "../../memory/tests/harness/memory.rs"]
mod oracle;
#[path = "harness/trusting.rs"]
mod trusting;

use harness::Redis;
use oracle::Memory;
use tidemill_conformance::model;
use trusting::Trusting;

#[test]
fn random_operations_are_answered_as_in_memory() {
    model::run(&Redis("TIDEMILL_TEST_REDIS"), &Memory);
}

/// New ids are taken in without a look at them.
#[test]
fn random_operations_on_new_ids_are_answered_as_in_memory() {
    model::run(&Trusting(Redis("TIDEMILL_TEST_REDIS")), &Memory);
}

/// The scripts are the same as on one server; what differs is the way to them.
const FEW: u32 = 16;

#[test]
fn random_operations_are_answered_as_in_memory_behind_sentinel() {
    model::run_some(&Redis("TIDEMILL_TEST_REDIS_SENTINEL"), &Memory, FEW);
}

#[test]
fn random_operations_are_answered_as_in_memory_on_a_cluster() {
    model::run_some(&Redis("TIDEMILL_TEST_REDIS_CLUSTER"), &Memory, FEW);
}
