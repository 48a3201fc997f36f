//! The ledger: what is remembered about work.

mod adoptions;
mod fires;
mod history;
mod leadership;
mod memory;
mod notes;
mod schedule_rows;
mod schedules;

pub(super) use history::history;
