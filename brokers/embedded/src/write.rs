//! What happens inside a write transaction, one file for each concern.

pub(crate) mod adopt;
pub(crate) mod change;
pub(crate) mod chunk;
pub(crate) mod completion;
pub(crate) mod enqueue;
pub(crate) mod fire;
pub(crate) mod insert;
pub(crate) mod key;
pub(crate) mod leadership;
pub(crate) mod lease;
pub(crate) mod log;
pub(crate) mod note;
pub(crate) mod presence;
pub(crate) mod promote;
pub(crate) mod prune;
pub(crate) mod queue;
pub(crate) mod replay;
pub(crate) mod schedule;
pub(crate) mod settle;
pub(crate) mod step;
pub(crate) mod sweep;
pub(crate) mod task;
