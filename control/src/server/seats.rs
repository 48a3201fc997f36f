//! Who gives way when all connections are taken: whoever has been idle for the longest.
//!
//! A connection is idle from its start, or the end of an answer, to the end of the next head. So those
//! who open connections and say nothing, or say it slowly, keep nobody out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// The connections that are idle, in the order in which they became so.
#[derive(Clone, Debug, Default)]
pub(super) struct Seats(Arc<Mutex<Idle>>);

#[derive(Debug, Default)]
struct Idle {
    next: u64,
    since: BTreeMap<u64, CancellationToken>,
}

/// The place of one connection.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    seats: Seats,
    /// Cancelled when it has to give way.
    pub(super) away: CancellationToken,
    idle: Arc<Mutex<Option<u64>>>,
}

/// A request that is served; the connection is idle again when this is dropped.
#[derive(Debug)]
pub(super) struct Busy(Seat);

impl Seats {
    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection, idle at first.
    pub(super) fn take(&self) -> Seat {
        let seat = Seat {
            seats: self.clone(),
            away: CancellationToken::new(),
            idle: Arc::default(),
        };
        seat.rest();
        seat
    }

    /// Lets the one go that has been idle for the longest, if any is.
    pub(super) fn free_one(&self) {
        if let Some((_, away)) = self.lock().since.pop_first() {
            away.cancel();
        }
    }
}

impl Seat {
    fn idle(&self) -> MutexGuard<'_, Option<u64>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rest(&self) {
        let mut seats = self.seats.lock();
        seats.next += 1;
        let number = seats.next;
        seats.since.insert(number, self.away.clone());
        *self.idle() = Some(number);
    }

    /// From now on a request is served.
    pub(super) fn serve(&self) -> Busy {
        self.leave();
        Busy(self.clone())
    }

    /// It is not idle any more: busy, or gone.
    pub(super) fn leave(&self) {
        if let Some(number) = self.idle().take() {
            self.seats.lock().since.remove(&number);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.rest();
    }
}

#[cfg(test)]
mod tests {
    use super::Seats;

    #[test]
    fn the_one_that_is_idle_for_the_longest_gives_way_and_none_that_is_busy() {
        let seats = Seats::default();
        let [first, second, third] = [seats.take(), seats.take(), seats.take()];
        let busy = first.serve();
        seats.free_one();
        let gone = |seat: &super::Seat| seat.away.is_cancelled();
        assert_eq!(
            [gone(&first), gone(&second), gone(&third)],
            [false, true, false]
        );
        drop(busy);
        third.leave();
        seats.free_one();
        assert!(gone(&first) && !gone(&third));
        seats.free_one();
    }
}
