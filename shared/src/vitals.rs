//! What a broker tells of itself beside its answers, for those who watch it.

use std::ops::AddAssign;

use crate::schedule::Misfire;

/// The state of a broker's connection, as far as the broker has such a thing, and what it did on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vitals {
    /// The broker holds publishers back, as RabbitMQ does when it is short of memory or disk.
    pub blocked: bool,
    /// Messages that the broker has confirmed.
    pub published_acked: u64,
    /// Messages that the broker has refused.
    pub published_nacked: u64,
    /// Messages that reached no queue and came back.
    pub published_returned: u64,
    /// Fires that this process found late when it promoted what was due, and which their schedules do not
    /// make up for. Those that a producer records as missed are not among them.
    pub missed_fires: MissedFires,
}

/// How many fires were missed, by the misfire policy of their schedules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MissedFires {
    /// Under [`Misfire::Skip`].
    pub skip: u64,
    /// Under [`Misfire::FireOnce`].
    pub fire_once: u64,
    /// Under [`Misfire::FireAll`].
    pub fire_all: u64,
}

impl MissedFires {
    /// One more under this policy.
    pub const fn add(&mut self, policy: Misfire) {
        match policy {
            Misfire::Skip => self.skip += 1,
            Misfire::FireOnce => self.fire_once += 1,
            Misfire::FireAll => self.fire_all += 1,
        }
    }

    /// How many under this policy.
    #[must_use]
    pub const fn under(self, policy: Misfire) -> u64 {
        match policy {
            Misfire::Skip => self.skip,
            Misfire::FireOnce => self.fire_once,
            Misfire::FireAll => self.fire_all,
        }
    }
}

impl AddAssign for MissedFires {
    fn add_assign(&mut self, more: Self) {
        self.skip += more.skip;
        self.fire_once += more.fire_once;
        self.fire_all += more.fire_all;
    }
}
