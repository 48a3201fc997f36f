//! Keeps a connection to the master.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::fault::Fault;
use super::finder::Finder;
use super::master::{Departure, Master};
use super::state::State;
use crate::options::{Address, RedisOptions, Verification};

/// A connection that lasted as long was a good one: the next is tried at once.
const GOOD: Duration = Duration::from_secs(2);

/// How often it is asked whether the master is still the master.
const EVERY: Duration = Duration::from_secs(5);

/// Connects, and does so again whenever the connection is lost or the master has moved. There is one
/// per link, so that however many callers wait, one attempt is made at a time.
#[derive(Debug)]
pub(super) struct Keeper {
    finder: Finder,
    verification: Verification,
    state: watch::Sender<State>,
    closing: CancellationToken,
    backoff: Backoff,
    down_since: Option<Instant>,
    /// Whether there ever was a connection: what is a wrong setting before is an incident after.
    was_up: bool,
}

impl Keeper {
    pub(super) fn new(
        options: Arc<RedisOptions>,
        slot: u16,
        closing: CancellationToken,
    ) -> (Self, watch::Receiver<State>) {
        let (state, receiver) = watch::channel(State::New);
        let verification = options
            .tls
            .as_ref()
            .map_or(Verification::Full, |tls| tls.verification);
        let keeper = Self {
            finder: Finder::new(options, slot),
            verification,
            state,
            closing,
            backoff: Backoff::default(),
            down_since: None,
            was_up: false,
        };
        (keeper, receiver)
    }

    /// Runs until the link is closed.
    pub(super) async fn run(mut self) {
        let closing = self.closing.clone();
        tokio::select! {
            () = closing.cancelled() => {}
            () = self.keep() => {}
        }
        self.state.send_replace(State::Closed);
    }

    async fn keep(&mut self) {
        let mut hint = None;
        loop {
            match self.finder.connect(hint.take().as_ref()).await {
                Ok(master) => hint = self.attend(Arc::new(master)).await,
                Err(fault) => {
                    self.failed(fault);
                    tokio::time::sleep(self.backoff.next_pause()).await;
                }
            }
        }
    }

    /// Lets callers use it until it is lost, and says where the next may be.
    async fn attend(&mut self, master: Arc<Master>) -> Option<Address> {
        let since = Instant::now();
        self.arrived(&master);
        self.state.send_replace(State::Up(master.clone()));
        let Departure { reason, hint } = self.watch(&master).await;
        tracing::warn!(address = %master.address(), reason, "lost the connection to redis");
        self.down_since = Some(Instant::now());
        let lost = format!("redis at {} cannot be reached: {reason}", master.address());
        self.state
            .send_replace(State::Down(Fault::unavailable(lost)));
        if since.elapsed() >= GOOD {
            self.backoff = Backoff::default();
        } else {
            tokio::time::sleep(self.backoff.next_pause()).await;
        }
        hint
    }

    /// Asks from time to time whether it is still the master: one that was cut off from the others does
    /// not know itself.
    async fn watch(&self, master: &Master) -> Departure {
        loop {
            let asks = async {
                tokio::select! {
                    () = tokio::time::sleep(EVERY) => {}
                    () = master.doubted() => {}
                }
                self.finder.another(master.address()).await
            };
            tokio::select! {
                departure = master.departure() => return departure,
                another = asks => if let Some(another) = another {
                    master.discard(format!("the master is at {another} now"), None);
                },
            }
        }
    }

    fn arrived(&mut self, master: &Master) {
        self.was_up = true;
        if let Some(since) = self.down_since.take() {
            tracing::info!(address = %master.address(), after = ?since.elapsed(), "the connection to redis is back");
        } else if self.verification == Verification::None {
            tracing::warn!(address = %master.address(), "insecure=true: the certificate of redis is not verified");
        }
    }

    fn failed(&mut self, fault: Fault) {
        let fault = fault.seen(self.was_up);
        let was_final = matches!(&*self.state.borrow(), State::Down(before) if before.is_final());
        if self.was_up && fault.is_final() && !was_final {
            tracing::warn!(reason = fault.message(), "redis refuses the connection");
        }
        self.state.send_replace(State::Down(fault));
    }
}
