//! Who is alive.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::ledger::Term;
use crate::ledger::shard::Shard;
use crate::{Kind, QueueName, Result, Timestamp, WorkerId};

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs tasks.
    Worker,
    /// Turns schedules into tasks.
    Producer,
}

impl Role {
    /// The name on the surface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Producer => "producer",
        }
    }
}

/// The most kinds that a worker names.
pub const MAX_KINDS: usize = 200;

/// A shard that a producer leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldShard {
    /// Its number, from 0.
    pub shard: u32,
    /// The epoch under which it is led.
    pub epoch: u64,
}

impl HeldShard {
    /// The shard of a term.
    #[must_use]
    pub const fn of(term: &Term) -> Self {
        Self {
            shard: Shard::of_key(term.shard).number(),
            epoch: term.epoch,
        }
    }
}

/// A live process, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceRecord {
    /// Its random identity.
    pub id: WorkerId,
    /// What it does.
    pub role: Role,
    /// The host's name, for people; never an identity.
    pub host: String,
    /// Its process id, for people.
    pub pid: u32,
    /// The version of Tidemill that it runs.
    pub version: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When it was last heard of.
    pub last_seen: Timestamp,
    /// A worker's queues.
    pub queues: Vec<QueueName>,
    /// The kinds that a worker knows, by name; absent where it does not say, or they are more than
    /// [`MAX_KINDS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<Kind>>,
    /// A worker's slots.
    pub slots: u32,
    /// How many of them are busy.
    pub busy: u32,
    /// Whether it has stopped taking work and is finishing what it has.
    pub draining: bool,
    /// Whether a producer leads any shard.
    pub leader: bool,
    /// The epoch under which it leads; the latest of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Into how many shards it divides the schedules; 1 for a worker.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub shards: u32,
    /// Those of them that it leads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<HeldShard>,
}

const fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_one(shards: &u32) -> bool {
    *shards == 1
}

/// Who is alive. A process that is not heard of within its time to live is gone.
#[async_trait]
pub trait Presence: Send + Sync + 'static {
    /// Says that a process is alive, for `ttl`.
    async fn announce(&self, record: &PresenceRecord, ttl: Duration) -> Result<()>;

    /// Says that a process has ended.
    async fn depart(&self, id: &WorkerId) -> Result<()>;

    /// Who is alive in this role, oldest first.
    async fn present(&self, role: Role) -> Result<Vec<PresenceRecord>>;
}
