//! The exclusive, expiring right to run one task.

use std::time::Duration;

use crate::{Envelope, QueueName, TaskId, Timestamp, WorkerId};

/// What a worker asks a broker for.
#[derive(Clone, Debug)]
pub struct Demand {
    /// Who asks. A lease belongs to this worker until it settles or the lease expires.
    pub worker: WorkerId,
    /// The queues in the order in which they are served, each with the most that may come from it
    /// in this call.
    pub queues: Vec<QueueDemand>,
    /// The most leases in all.
    pub max: usize,
    /// How long a lease lasts unless it is renewed.
    pub ttl: Duration,
    /// How long to wait when nothing is ready.
    pub wait: Duration,
}

/// One queue of a [`Demand`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDemand {
    /// The queue.
    pub queue: QueueName,
    /// The most leases from it.
    pub max: usize,
}

/// The proof of a lease. It fences: when the lease has passed to somebody else, it is stale.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaseToken {
    /// The leased task.
    pub task: TaskId,
    /// Its queue.
    pub queue: QueueName,
    /// Who holds the lease.
    pub worker: WorkerId,
    /// How many leases the task has had, this one included; grows with every lease.
    pub fence: u64,
    /// Where the broker finds the task again; of no meaning to anybody else.
    pub locator: u64,
}

/// A leased task.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The proof.
    pub token: LeaseToken,
    /// The task.
    pub envelope: Envelope,
    /// The number of this run, from 1. Snoozes and releases are not counted.
    pub attempt: u32,
    /// How many earlier runs failed.
    pub failures: u32,
    /// How many earlier runs ended in the death of their worker.
    pub crashes: u32,
    /// How often the task was put back because no worker knew its kind.
    pub unknown_kind_releases: u32,
    /// When the task became ready to run.
    pub ready_at: Timestamp,
    /// When the lease ends unless it is renewed, by the store's clock.
    pub expires_at: Timestamp,
}

/// The answer to a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Held until then.
    Held(Timestamp),
    /// The lease is no longer this worker's.
    Lost,
    /// Held, and the task's cancellation has been asked for: stop, then settle.
    Cancelled(Timestamp),
}
