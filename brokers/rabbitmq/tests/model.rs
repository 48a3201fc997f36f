//! RabbitMQ and a ledger beside it answer as the memory broker does, whatever happens.

#[path = "harness/beside.rs"]
mod beside;
#[path = "../../embedded/tests/harness/embedded.rs"]
mod embedded;
#[path = "../../memory/tests/harness/memory.rs"]
mod oracle;
#[path = "harness/rabbit.rs"]
mod rabbit;

use beside::Rabbit;
use embedded::Embedded;
use oracle::Memory;
use tidemill_conformance::model;

/// The ledger alone is compared at length elsewhere.
const FEW: u32 = 16;

#[test]
fn random_operations_are_answered_as_in_memory() {
    model::run_some(&Rabbit(Embedded, "quorum"), &Memory, FEW);
}
