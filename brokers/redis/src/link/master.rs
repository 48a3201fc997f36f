//! The master, and the connections to it that callers share.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::{Cmd, Pipeline, Value};
use tidemill_shared::{Error, ErrorKind, format_duration};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::deadline::Deadline;
use super::value;
use super::wire::Wire;
use crate::options::{Address, Durability};

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
                Some(Ok(answers)) => durable(answers, *replicas),
                Some(Err(_)) => Sent::Lost,
                None => Sent::Late,
            },
            Request::Transaction {
                commands,
                results,
                wait,
            } => {
                let wire = match wait {
                    Some(_) => self.lane(),
                    None => &self.main,
                };
                let replicas = wait.map(|(replicas, _)| replicas);
                match deadline.limit(wire.send_all(commands)).await {
                    Some(Ok(answers)) => transaction(answers, *results, replicas),
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

/// What is sent.
#[derive(Debug)]
pub(super) enum Request<'a> {
    One(&'a Cmd),
    /// A command and `WAIT`.
    Durable {
        commands: Pipeline,
        replicas: u32,
        timeout: Duration,
    },
    /// `MULTI`, commands of which the last so many are answered for, `EXEC`, and `WAIT` where asked.
    Transaction {
        commands: Pipeline,
        results: usize,
        wait: Option<(u32, Duration)>,
    },
}

impl Request<'_> {
    pub(super) fn durable(command: Cmd, replicas: u32, timeout: Duration) -> Self {
        let mut commands = Pipeline::with_capacity(2);
        commands.add_command(command);
        add_wait(&mut commands, replicas, timeout);
        Self::Durable {
            commands,
            replicas,
            timeout,
        }
    }

    pub(super) fn transaction(first: Vec<Cmd>, last: Vec<Cmd>, durability: Durability) -> Self {
        let results = last.len();
        let mut commands = Pipeline::with_capacity(first.len() + results + 3);
        commands.cmd("MULTI");
        for command in first.into_iter().chain(last) {
            commands.add_command(command);
        }
        commands.cmd("EXEC");
        let wait = match durability {
            Durability::None => None,
            Durability::Wait { replicas, timeout } => {
                add_wait(&mut commands, replicas, timeout);
                Some((replicas, timeout))
            }
        };
        Self::Transaction {
            commands,
            results,
            wait,
        }
    }

    /// The error when too few replicas have it.
    pub(super) fn short(&self, operation: &'static str, master: &Master, confirmed: u32) -> Error {
        let (replicas, timeout) = match self {
            Self::One(_) => (0, Duration::ZERO),
            Self::Durable {
                replicas, timeout, ..
            } => (*replicas, *timeout),
            Self::Transaction { wait, .. } => wait.unwrap_or_default(),
        };
        Error::new(
            ErrorKind::Timeout,
            operation,
            format!(
                "accepted by redis at {}, but confirmed by {confirmed} of {replicas} replicas within {}; the outcome is unknown, and repeating with the same ids is safe",
                master.address,
                format_duration(timeout)
            ),
        )
    }
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Sent {
    /// This is the reply.
    Answer(Value),
    /// It was run, but too few replicas have it.
    Short { confirmed: u32 },
    /// The connection broke; it may have been run.
    Lost,
    /// Time is up; it may be run yet.
    Late,
}

fn add_wait(commands: &mut Pipeline, replicas: u32, timeout: Duration) {
    let millis = u64::try_from(timeout.as_millis())
        .unwrap_or(u64::MAX)
        .max(1);
    commands.cmd("WAIT").arg(replicas).arg(millis);
}

/// What became of a transaction: the answers of the last so many of its commands, or the first error.
fn transaction(mut answers: Vec<Value>, results: usize, replicas: Option<u32>) -> Sent {
    let confirmed = replicas.and_then(|_| answers.pop());
    let executed = answers.pop();
    // One that was refused while it was written aborts them all.
    let mut answers = answers.into_iter();
    if let Some(error) = answers.find(|answer| matches!(answer, Value::ServerError(_))) {
        return Sent::Answer(error);
    }
    let mut executed = match executed {
        Some(Value::Array(executed)) if executed.len() >= results => executed,
        Some(error @ Value::ServerError(_)) => return Sent::Answer(error),
        _ => return Sent::Lost,
    };
    let failed = executed
        .iter()
        .position(|answer| matches!(answer, Value::ServerError(_)));
    let last = match failed {
        Some(at) => executed.swap_remove(at),
        None => Value::Array(executed.split_off(executed.len() - results)),
    };
    match (confirmed, replicas) {
        (Some(confirmed), Some(replicas)) => durable(vec![last, confirmed], replicas),
        _ => Sent::Answer(last),
    }
}

fn durable(answers: Vec<Value>, replicas: u32) -> Sent {
    let mut answers = answers.into_iter();
    let (Some(answer), Some(confirmed)) = (answers.next(), answers.next()) else {
        return Sent::Lost;
    };
    // What was refused has nothing to replicate; why is what the caller needs to hear. Should WAIT
    // itself be refused, that is the answer.
    if matches!(answer, Value::ServerError(_)) {
        return Sent::Answer(answer);
    }
    if matches!(confirmed, Value::ServerError(_)) {
        return Sent::Answer(confirmed);
    }
    let confirmed = value::integer(&confirmed)
        .and_then(|count| u32::try_from(count).ok())
        .unwrap_or(0);
    if confirmed < replicas {
        return Sent::Short { confirmed };
    }
    Sent::Answer(answer)
}
