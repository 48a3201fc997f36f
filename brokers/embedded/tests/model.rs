//! The embedded broker answers as the memory broker does, whatever happens.

#[path = "harness/embedded.rs"]
mod harness;
#[path = "../../memory/tests/harness/memory.rs"]
mod oracle;

use harness::Embedded;
use oracle::Memory;
use tidemill_conformance::model;

#[test]
fn random_operations_are_answered_as_in_memory() {
    model::run(&Embedded, &Memory);
}
