//! What is sent to the master, and what becomes of it.

use std::time::Duration;

use redis::{Cmd, Pipeline, Value};
use tidemill_shared::{Error, ErrorKind, format_duration};

use super::value;
use crate::options::{Address, Durability};

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
    /// `MULTI`, so many commands, `EXEC`, and `WAIT` where asked.
    Transaction {
        commands: Pipeline,
        size: usize,
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
        let size = first.len() + last.len();
        let mut commands = Pipeline::with_capacity(size + 3);
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
            size,
            wait,
        }
    }

    /// The error when too few replicas have it.
    pub(super) fn short(&self, operation: &'static str, master: &Address, confirmed: u32) -> Error {
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
                master,
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

/// What became of a transaction: the answers of its commands, or the first error. A script that the server does
/// not know leaves the others of its transaction done, so that this error stays among the answers.
pub(super) fn transaction(mut answers: Vec<Value>, size: usize, replicas: Option<u32>) -> Sent {
    let confirmed = replicas.and_then(|_| answers.pop());
    let executed = answers.pop();
    // One that was refused while it was written aborts them all.
    let mut answers = answers.into_iter();
    if let Some(error) = answers.find(|answer| matches!(answer, Value::ServerError(_))) {
        return Sent::Answer(error);
    }
    let mut executed = match executed {
        Some(Value::Array(executed)) if executed.len() == size => executed,
        Some(error @ Value::ServerError(_)) => return Sent::Answer(error),
        _ => return Sent::Lost,
    };
    let failed = executed.iter().position(
        |answer| matches!(answer, Value::ServerError(error) if error.code() != "NOSCRIPT"),
    );
    let last = match failed {
        Some(at) => executed.swap_remove(at),
        None => Value::Array(executed),
    };
    match (confirmed, replicas) {
        (Some(confirmed), Some(replicas)) => durable(vec![last, confirmed], replicas),
        _ => Sent::Answer(last),
    }
}

/// Reads the replies to a command and to `WAIT`.
pub(super) fn durable(answers: Vec<Value>, replicas: u32) -> Sent {
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
