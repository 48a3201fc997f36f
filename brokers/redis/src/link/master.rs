//! The master, and the connections to it that callers share.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::deadline::Deadline;
use super::request::{self, Request, Sent};
use super::wire::Wire;
use crate::options::Address;

/// A master that answered, until it is discarded or a connection to it ends.
#[derive(Debug)]
pub(super) struct Master {
    address: Address,
    main: Wire,
    /// `WAIT` blocks all that follows on its connection, so that durable calls have their own.
    lanes: Vec<Wire>,
    turn: AtomicUsize,
    closed: CancellationToken,
    reason: OnceLock<Departure>,
    doubts: Notify,
}

/// Why a master is left, and where the next one may be.
#[derive(Clone, Debug)]
pub(super) struct Departure {
    pub(super) reason: String,
    pub(super) hint: Option<Address>,
}

impl Master {
    pub(super) fn new(
        address: Address,
        main: Wire,
        lanes: Vec<Wire>,
        closed: CancellationToken,
    ) -> Self {
        Self {
            address,
            main,
            lanes,
            turn: AtomicUsize::new(0),
            closed,
            reason: OnceLock::new(),
            doubts: Notify::new(),
        }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Is cancelled when it is no longer to be used.
    pub(super) fn closed(&self) -> CancellationToken {
        self.closed.clone()
    }

    /// Is ready when it is no longer to be used, and says why.
    pub(super) async fn departure(&self) -> Departure {
        self.closed.cancelled().await;
        self.reason.get().cloned().unwrap_or_else(|| Departure {
            reason: "the connection was closed".to_owned(),
            hint: None,
        })
    }

    /// Something hints that it may not be the master any more.
    pub(super) fn doubt(&self) {
        self.doubts.notify_one();
    }

    /// Is ready when somebody doubts it.
    pub(super) async fn doubted(&self) {
        self.doubts.notified().await;
    }

    /// Nobody sends on it any more. Calls in flight keep it until they end.
    pub(super) fn discard(&self, reason: String, hint: Option<Address>) {
        self.reason.get_or_init(|| Departure { reason, hint });
        self.closed.cancel();
    }

    /// Sends, once.
    pub(super) async fn send(&self, request: &Request<'_>, deadline: Deadline) -> Sent {
        match request {
            Request::One(command) => match deadline.limit(self.main.send(command)).await {
                Some(Ok(answer)) => Sent::Answer(answer),
                Some(Err(_)) => Sent::Lost,
                None => Sent::Late,
            },
            Request::Durable {
                commands, replicas, ..
            } => match deadline.limit(self.lane().send_all(commands)).await {
                Some(Ok(answers)) => request::durable(answers, *replicas),
                Some(Err(_)) => Sent::Lost,
                None => Sent::Late,
            },
            Request::Transaction {
                commands,
                size,
                wait,
            } => {
                let wire = match wait {
                    Some(_) => self.lane(),
                    None => &self.main,
                };
                let replicas = wait.map(|(replicas, _)| replicas);
                match deadline.limit(wire.send_all(commands)).await {
                    Some(Ok(answers)) => request::transaction(answers, *size, replicas),
                    Some(Err(_)) => Sent::Lost,
                    None => Sent::Late,
                }
            }
        }
    }

    fn lane(&self) -> &Wire {
        if self.lanes.is_empty() {
            return &self.main;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        &self.lanes[turn % self.lanes.len()]
    }
}
