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
    let rabbit = Rabbit {
        at: rabbit::NODE,
        queues: "quorum",
        ledgers: Embedded,
    };
    model::run_some(&rabbit, &Memory, FEW);
}
