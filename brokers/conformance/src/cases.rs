//! The cases, one file per clause of the contract or per concern.

pub(crate) mod attempts;
pub(crate) mod batches;
pub(crate) mod changes;
pub(crate) mod durability;
pub(crate) mod enqueue;
pub(crate) mod fencing;
pub(crate) mod fires;
pub(crate) mod gates;
pub(crate) mod keys;
pub(crate) mod leadership;
pub(crate) mod leases;
pub(crate) mod logs;
pub(crate) mod melees;
pub(crate) mod namespaces;
pub(crate) mod operations;
pub(crate) mod order;
pub(crate) mod outcomes;
pub(crate) mod presence;
pub(crate) mod recovery;
pub(crate) mod replays;
pub(crate) mod retries;
pub(crate) mod schedules;
pub(crate) mod steps;
pub(crate) mod sweeping;
pub(crate) mod time;
pub(crate) mod waiting;
