//! Takes, keeps and gives up the lead, and says that this producer is alive.

use std::time::Duration;

use tidemill_shared::ledger::{HeldShard, PresenceRecord, Role, Shard, Term};
use tidemill_shared::{Connection, Error, Result, Timestamp};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::nap::nap;
use super::share::fair_share;
use super::tally::Tally;
use super::{Observer, PATIENCE, SchedulerEvent, Settings, within};

/// The longest that giving up may take when the store does not answer.
const FAREWELL: Duration = Duration::from_secs(2);
/// How often producers that share look whether their shares have changed.
const LOOK: Duration = Duration::from_millis(500);

/// A shard, and where its planner finds the present term.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) shard: Shard,
    /// What the store has said of it.
    pub(super) tally: Tally,
    publish: watch::Sender<Option<Term>>,
}

/// Keeps the lead of as many shards as are this producer's fair share. It has its own timer and
/// shares nothing with planning but the terms, so that a long plan cannot starve a renewal.
pub(super) struct Keeper<'a> {
    connection: &'a Connection,
    settings: &'a Settings,
    observer: &'a Observer,
    /// Told when a fire was refused: the lead may have been lost.
    doubt: &'a Notify,
    seats: Vec<Seat>,
    started_at: Timestamp,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        settings: &'a Settings,
        observer: &'a Observer,
        doubt: &'a Notify,
        shards: Vec<Shard>,
    ) -> Self {
        let seat = |shard| Seat {
            shard,
            tally: Tally::default(),
            publish: watch::Sender::new(None),
        };
        Self {
            started_at: connection.clock.now(),
            connection,
            settings,
            observer,
            doubt,
            seats: shards.into_iter().map(seat).collect(),
        }
    }

    /// One for each shard.
    pub(super) fn seats(&self) -> impl Iterator<Item = &Seat> {
        self.seats.iter()
    }

    /// Runs until `stop` is cancelled, which a store that hangs does not delay.
    pub(super) async fn run(&self, stop: &CancellationToken) {
        let keep = async {
            loop {
                let pause = self.beat().await;
                tokio::select! {
                    () = nap(&*self.connection.clock, pause) => {}
                    () = self.doubt.notified() => {}
                }
            }
        };
        // A call that is dropped on its way may still take a lead; `retire` gives it up after.
        let _stopped = stop.run_until_cancelled(keep).await;
        for seat in &self.seats {
            self.hold(seat, None);
        }
    }

    /// Takes and renews once, and says that this producer is alive. Returns when to do so again.
    async fn beat(&self) -> Duration {
        let beat = self.settings.lease / 3;
        let limit = self.settings.lease.min(PATIENCE);
        let pause = match within(limit, self.take_share(beat)).await {
            Ok(pause) => pause,
            Err(error) => {
                self.failed("take the lead", &error, beat);
                let now = self.connection.clock.now();
                for seat in &self.seats {
                    if seat.term().is_some_and(|term| term.until <= now) {
                        self.hold(seat, None);
                    }
                }
                beat
            }
        };
        if let Err(error) = within(beat.min(PATIENCE), self.announce()).await {
            self.failed("announce the producer", &error, pause);
        }
        pause
    }

    /// Renews what it holds, gives up what is more than its share, takes what is free of what is
    /// less.
    async fn take_share(&self, beat: Duration) -> Result<Duration> {
        let share = self.share().await?;
        let mut pause = match self.seats.len() {
            1 => beat,
            _ => beat.min(LOOK),
        };
        let (held, free): (Vec<&Seat>, Vec<&Seat>) =
            self.seats.iter().partition(|seat| seat.term().is_some());
        let mut holds = 0;
        for seat in held {
            if holds == share {
                self.hold(seat, None);
                let identity = &self.settings.identity;
                let ledger = &self.connection.ledger;
                ledger.resign(seat.shard.key(), identity).await?;
                continue;
            }
            let term = self.lead(seat).await?;
            holds += usize::from(term.is_some());
            self.hold(seat, term);
        }
        for seat in free {
            if holds == share {
                break;
            }
            let term = self.lead(seat).await?;
            if term.is_none() && self.seats.len() == 1 {
                pause = pause.min(self.vacant_in(seat.shard).await);
            }
            holds += usize::from(term.is_some());
            self.hold(seat, term);
        }
        Ok(pause)
    }

    /// How many shards are for this producer. Who waits for the only one does so whoever else lives.
    async fn share(&self) -> Result<usize> {
        if self.seats.len() == 1 {
            return Ok(1);
        }
        let present = self.connection.ledger.present(Role::Producer).await?;
        let beside = present
            .iter()
            .filter(|producer| producer.shards == self.settings.shards)
            .map(|producer| &producer.id);
        Ok(fair_share(
            self.seats.len(),
            &self.settings.identity,
            beside,
        ))
    }

    /// Gives all up, so that another need not wait for the lease to run out.
    pub(super) async fn retire(&self) {
        let identity = &self.settings.identity;
        let ledger = &self.connection.ledger;
        let resign = async {
            for seat in &self.seats {
                ledger.resign(seat.shard.key(), identity).await?;
            }
            Ok(())
        };
        let (resigned, departed) = tokio::join!(
            within(FAREWELL, resign),
            within(FAREWELL, ledger.depart(identity)),
        );
        if let Err(error) = resigned {
            self.failed("resign", &error, Duration::ZERO);
        }
        if let Err(error) = departed {
            self.failed("depart", &error, Duration::ZERO);
        }
    }

    /// Takes or renews one. In a store that was set back the term is one that was never led before, so that
    /// planning begins anew.
    async fn lead(&self, seat: &Seat) -> Result<Option<Term>> {
        let (identity, lease) = (&self.settings.identity, self.settings.lease);
        let (ledger, shard) = (&self.connection.ledger, seat.shard.key());
        let known = seat.tally.at_present();
        let mut term = ledger.lead(shard, identity, lease).await?;
        if term.as_ref().is_some_and(|term| known.is_lost_to(term)) {
            let shard = seat.shard.number();
            self.observer.tell(&SchedulerEvent::SetBack { shard });
        }
        while let Some(found) = &term
            && known.is_lost_to(found)
            && !known.is_before(found)
        {
            ledger.resign(shard, identity).await?;
            term = ledger.lead(shard, identity, lease).await?;
        }
        Ok(term)
    }

    /// When the present leader's lease runs out: the moment to try again.
    async fn vacant_in(&self, shard: Shard) -> Duration {
        let leader = within(
            (self.settings.lease / 3).min(PATIENCE),
            self.connection.ledger.leader(shard.key()),
        );
        let now = self.connection.clock.now();
        match leader.await {
            Ok(Some(term)) => term.until.since(now).max(Duration::from_millis(10)),
            Ok(None) => Duration::from_millis(10),
            // What stands in the way of this stands in the way of `lead`, which tells it.
            Err(_) => self.settings.lease,
        }
    }

    async fn announce(&self) -> Result<()> {
        let terms = self.seats.iter().filter_map(Seat::term);
        let held: Vec<HeldShard> = terms.map(|term| HeldShard::of(&term)).collect();
        let record = PresenceRecord {
            id: self.settings.identity.clone(),
            role: Role::Producer,
            host: self.settings.host.clone(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").into(),
            started_at: self.started_at,
            last_seen: self.connection.clock.now(),
            queues: Vec::new(),
            kinds: None,
            slots: 0,
            busy: 0,
            draining: false,
            leader: !held.is_empty(),
            epoch: held.iter().map(|held| held.epoch).max(),
            shards: self.settings.shards,
            held,
        };
        self.connection
            .ledger
            .announce(&record, self.settings.lease)
            .await
    }

    /// Publishes the term and tells of a change.
    fn hold(&self, seat: &Seat, term: Option<Term>) {
        let before = seat.term().map(|term| term.epoch);
        let after = term.as_ref().map(|term| term.epoch);
        if let Some(term) = &term {
            seat.tally.take_up(term);
        }
        seat.publish.send_replace(term);
        if before != after {
            let shard = seat.shard.number();
            if let Some(epoch) = before {
                self.observer
                    .tell(&SchedulerEvent::Deposed { shard, epoch });
            }
            if let Some(epoch) = after {
                self.observer
                    .tell(&SchedulerEvent::Elected { shard, epoch });
            }
        }
    }

    fn failed(&self, operation: &'static str, error: &Error, retry_in: Duration) {
        self.observer.tell(&SchedulerEvent::Failed {
            operation,
            error: error.to_string(),
            retry_in,
        });
    }
}

impl Seat {
    /// The present term, and each that follows.
    pub(super) fn terms(&self) -> watch::Receiver<Option<Term>> {
        self.publish.subscribe()
    }

    fn term(&self) -> Option<Term> {
        self.publish.borrow().clone()
    }
}
