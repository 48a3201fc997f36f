//! The ledger: what is remembered about work.

mod fires;
mod history;
mod leadership;
mod memory;
mod notes;
mod schedules;

pub(super) use history::history;
