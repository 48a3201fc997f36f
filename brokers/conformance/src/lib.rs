//! The suite that every broker passes, and the model test that compares two of them.
//!
//! A broker's crate says once how a fresh store comes to be ([`Harness`]) and expands every case
//! into a test of its own:
//!
//! ```text
//! mod memory {
//!     tidemill_conformance::conformance!(super::Memory);
//! }
//! ```
//!
//! The output then reads `memory::a_stale_token_changes_nothing`. What each case stands for is said
//! in `docs/contract.md`. A case that needs what a broker cannot do passes without a check, and is
//! named by [`excluded`], which the broker's crate asserts on, so that nothing is left out in
//! silence.

mod cases;
mod catalogue;
mod expand;
mod harness;
mod list;
pub mod model;
mod planning;
mod scene;
mod verdicts;

pub use catalogue::{CASES, Case, Need, check, check_unless, excluded};
pub use harness::{Fixture, Harness, start};
