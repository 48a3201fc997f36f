//! Takes, keeps and gives up the lead, and says that this producer is alive.

use std::time::Duration;

use tidemill_shared::ledger::{PresenceRecord, Role, Term};
use tidemill_shared::{Connection, Error, Result, Timestamp};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::nap::nap;
use super::{Observer, PATIENCE, SchedulerEvent, Settings, within};

/// All schedules are one shard.
const SHARD: u32 = 0;
/// The longest that giving up may take when the store does not answer.
const FAREWELL: Duration = Duration::from_secs(2);

/// Keeps the lead. It has its own timer and shares nothing with planning but the term, so that a
/// long plan cannot starve a renewal.
pub(super) struct Keeper<'a> {
    connection: &'a Connection,
    settings: &'a Settings,
    observer: &'a Observer,
    /// Told when a fire was refused: the lead may have been lost.
    doubt: &'a Notify,
    started_at: Timestamp,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        settings: &'a Settings,
        observer: &'a Observer,
        doubt: &'a Notify,
    ) -> Self {
        Self {
            started_at: connection.clock.now(),
            connection,
            settings,
            observer,
            doubt,
        }
    }

    /// Runs until `stop` is cancelled, which a store that hangs does not delay; `publish` always
    /// holds the present term.
    pub(super) async fn run(&self, publish: watch::Sender<Option<Term>>, stop: &CancellationToken) {
        let keep = async {
            loop {
                let pause = self.beat(&publish).await;
                tokio::select! {
                    () = nap(&*self.connection.clock, pause) => {}
                    () = self.doubt.notified() => {}
                }
            }
        };
        // A call that is dropped on its way may still take the lead; `retire` gives it up after.
        let _stopped = stop.run_until_cancelled(keep).await;
        self.hold(&publish, None);
    }

    /// Takes or renews the lead once and says that this producer is alive. Returns when to do so
    /// again.
    async fn beat(&self, publish: &watch::Sender<Option<Term>>) -> Duration {
        let beat = self.settings.lease / 3;
        let led = within(self.settings.lease.min(PATIENCE), self.lead()).await;
        let pause = match led {
            Ok(Some(term)) => {
                self.hold(publish, Some(term));
                beat
            }
            Ok(None) => {
                self.hold(publish, None);
                self.vacant_in().await.min(beat)
            }
            Err(error) => {
                self.failed("take the lead", &error, beat);
                let now = self.connection.clock.now();
                let over = publish
                    .borrow()
                    .as_ref()
                    .is_some_and(|term| term.until <= now);
                if over {
                    self.hold(publish, None);
                }
                beat
            }
        };
        let epoch = publish.borrow().as_ref().map(|term| term.epoch);
        if let Err(error) = within(beat.min(PATIENCE), self.announce(epoch)).await {
            self.failed("announce the producer", &error, pause);
        }
        pause
    }

    /// Gives the lead up, so that another need not wait for the lease to run out.
    pub(super) async fn retire(&self) {
        let identity = &self.settings.identity;
        let ledger = &self.connection.ledger;
        let (resigned, departed) = tokio::join!(
            within(FAREWELL, ledger.resign(SHARD, identity)),
            within(FAREWELL, ledger.depart(identity)),
        );
        if let Err(error) = resigned {
            self.failed("resign", &error, Duration::ZERO);
        }
        if let Err(error) = departed {
            self.failed("depart", &error, Duration::ZERO);
        }
    }

    async fn lead(&self) -> Result<Option<Term>> {
        let (identity, lease) = (&self.settings.identity, self.settings.lease);
        self.connection.ledger.lead(SHARD, identity, lease).await
    }

    /// When the present leader's lease runs out: the moment to try again.
    async fn vacant_in(&self) -> Duration {
        let leader = within(
            (self.settings.lease / 3).min(PATIENCE),
            self.connection.ledger.leader(SHARD),
        );
        let now = self.connection.clock.now();
        match leader.await {
            Ok(Some(term)) => term.until.since(now).max(Duration::from_millis(10)),
            Ok(None) => Duration::from_millis(10),
            // What stands in the way of this stands in the way of `lead`, which tells it.
            Err(_) => self.settings.lease,
        }
    }

    async fn announce(&self, epoch: Option<u64>) -> Result<()> {
        let record = PresenceRecord {
            id: self.settings.identity.clone(),
            role: Role::Producer,
            host: self.settings.host.clone(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").into(),
            started_at: self.started_at,
            last_seen: self.connection.clock.now(),
            queues: Vec::new(),
            slots: 0,
            busy: 0,
            draining: false,
            leader: epoch.is_some(),
            epoch,
        };
        self.connection
            .ledger
            .announce(&record, self.settings.lease)
            .await
    }

    /// Publishes the term and tells of a change.
    fn hold(&self, publish: &watch::Sender<Option<Term>>, term: Option<Term>) {
        let before = publish.borrow().as_ref().map(|term| term.epoch);
        let after = term.as_ref().map(|term| term.epoch);
        publish.send_replace(term);
        if before != after {
            if let Some(epoch) = before {
                self.observer.tell(&SchedulerEvent::Deposed { epoch });
            }
            if let Some(epoch) = after {
                self.observer.tell(&SchedulerEvent::Elected { epoch });
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
