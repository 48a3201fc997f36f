//! The handlers, one file for each thing that is operated.

pub(crate) mod access;
pub(crate) mod bulk;
pub(crate) mod dead;
pub(crate) mod enqueue;
pub(crate) mod filter;
pub(crate) mod follow;
pub(crate) mod health;
pub(crate) mod processes;
pub(crate) mod queues;
pub(crate) mod replays;
pub(crate) mod schedules;
pub(crate) mod tasks;
