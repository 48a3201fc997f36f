//! What a broker tells of its connection, for those who watch it.

/// The state of a broker's connection, as far as the broker has such a thing.
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
}
