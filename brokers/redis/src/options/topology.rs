//! How the master is found.

use super::Address;

/// Where to ask for the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    /// It is there.
    Single(Address),
    /// These Sentinels know where the master of this name is.
    Sentinel {
        sentinels: Vec<Address>,
        master: String,
    },
    /// These nodes, and those that they name, know which node owns a slot.
    Cluster { seeds: Vec<Address> },
}

impl Topology {
    /// The addresses that the URL names, for messages.
    pub(crate) fn named(&self) -> String {
        let several = match self {
            Self::Single(address) => std::slice::from_ref(address),
            Self::Sentinel { sentinels, .. } => sentinels,
            Self::Cluster { seeds } => seeds,
        };
        several
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    }
}
