//! The way to the master: one multiplexed connection, kept alive, and connections for blocking reads.
//!
//! All keys of a namespace share a hash tag, so that one master has them all, also in a Cluster. For
//! every topology the question is therefore the same: where is that master now? The [`Keeper`] answers
//! it, connects, and does so again whenever the connection is lost or the master has moved. Callers
//! share the connection, wait while there is none, and repeat by themselves what was surely not run.

mod ask;
mod backoff;
mod deadline;
mod dedicated;
mod fault;
mod finder;
mod greeting;
mod keeper;
mod master;
mod refusal;
mod request;
mod script;
mod slot;
mod state;
mod tls;
mod transport;
mod value;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value};
use tidemill_shared::{Error, ErrorKind, Result, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::options::{Durability, RedisOptions};
pub(crate) use backoff::Backoff;
use deadline::Deadline;
pub(crate) use dedicated::Dedicated;
use fault::Fault;
use keeper::Keeper;
use master::Master;
pub(crate) use refusal::ACL_RULE;
use refusal::Refusal;
use request::{Request, Sent};
pub(crate) use script::{Invocation, Script};
pub(crate) use state::Changes;
use state::State;

/// The way to the master. Share it behind an `Arc`; dropping it closes its connections.
#[derive(Debug)]
pub(crate) struct Link {
    options: Arc<RedisOptions>,
    state: watch::Receiver<State>,
    closing: CancellationToken,
    /// A key of our slot that never exists.
    absent_key: String,
    /// The keeper. It ends with the link.
    _tasks: JoinSet<()>,
}

/// What a transaction answered.
#[derive(Debug)]
pub(crate) struct Transacted {
    pub(crate) of_commands: Vec<Value>,
    pub(crate) of_scripts: Vec<Value>,
}

impl Link {
    /// Begins to look for the master of the slot of `key`.
    pub(crate) fn begin(options: RedisOptions, key: &str) -> Self {
        let options = Arc::new(options);
        let closing = CancellationToken::new();
        let (keeper, state) = Keeper::new(options.clone(), slot::of(key), closing.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(keeper.run());
        Self {
            options,
            state,
            closing,
            absent_key: format!("{key}.absent"),
            _tasks: tasks,
        }
    }

    /// Waits until there is a connection, as long as a call may take. A wrong password, version,
    /// certificate or kind of server fails at once.
    pub(crate) async fn arrive(&self) -> Result<()> {
        let deadline = Deadline::after(self.options.timeout);
        self.master("connect", deadline, None).await.map(drop)
    }

    /// Runs a script, which is atomic. Sent by its hash; a server that lacks it is given the source.
    pub(crate) async fn invoke(
        &self,
        operation: &'static str,
        invocation: &Invocation<'_>,
    ) -> Result<Value> {
        let request = Request::One(invocation.command());
        self.repeat(operation, &request, Some(invocation.script()))
            .await
    }

    /// The same, acknowledged by as many replicas as the options say.
    pub(crate) async fn invoke_durably(
        &self,
        operation: &'static str,
        invocation: Invocation<'_>,
    ) -> Result<Value> {
        let Durability::Wait { replicas, timeout } = self.options.durability else {
            return self.invoke(operation, &invocation).await;
        };
        let script = invocation.script();
        let request = Request::durable(invocation.into_command(), replicas, timeout);
        self.repeat(operation, &request, Some(script)).await
    }

    /// Runs commands and then scripts in one transaction, durably.
    pub(crate) async fn transact(
        &self,
        operation: &'static str,
        commands: Vec<Cmd>,
        invocations: Vec<Invocation<'_>>,
    ) -> Result<Transacted> {
        let first = commands.len();
        let last = invocations.iter().map(|one| one.command().clone());
        let request = Request::transaction(commands, last.collect(), self.options.durability);
        let Value::Array(mut of_commands) = self.repeat(operation, &request, None).await? else {
            return Err(Error::new(
                ErrorKind::Internal,
                operation,
                "redis answered a transaction with something else than a list",
            ));
        };
        let mut of_scripts = of_commands.split_off(first.min(of_commands.len()));
        // A script that the server did not know is run now; the others have been.
        for (answer, invocation) in of_scripts.iter_mut().zip(invocations) {
            if matches!(answer, Value::ServerError(_)) {
                *answer = self.invoke_durably(operation, invocation).await?;
            }
        }
        Ok(Transacted {
            of_commands,
            of_scripts,
        })
    }

    /// Runs a transaction of nothing, to see whether the user may.
    pub(crate) async fn rehearse(&self) -> Result<()> {
        let request = Request::transaction(Vec::new(), Vec::new(), Durability::None);
        self.repeat("connect", &request, None).await.map(drop)
    }

    /// A key of our slot that never exists.
    pub(crate) fn absent_key(&self) -> &str {
        &self.absent_key
    }

    /// Runs a plain command.
    pub(crate) async fn command(&self, operation: &'static str, command: &Cmd) -> Result<Value> {
        self.repeat(operation, &Request::One(command), None).await
    }

    /// A connection of its own to the same master, for a blocking read. It has no timeout of its
    /// own, but ends with the shared connection; once it fails, ask for another.
    pub(crate) async fn dedicated(&self, operation: &'static str) -> Result<Dedicated> {
        let deadline = Deadline::after(self.options.timeout);
        let mut backoff = Backoff::default();
        let mut last = None;
        loop {
            let master = self.master(operation, deadline, last.as_ref()).await?;
            match Dedicated::connect(&master, &self.options).await {
                Ok(dedicated) => return Ok(dedicated),
                Err(fault) if fault.is_final() => return Err(fault.to_error(operation)),
                Err(fault) => last = Some(fault),
            }
            deadline.sleep(backoff.next_pause()).await;
        }
    }

    /// The server's time.
    pub(crate) async fn server_time(&self) -> Result<Timestamp> {
        let answer = self.command("read the time", &redis::cmd("TIME")).await?;
        value::time(&answer).ok_or_else(|| {
            Error::new(
                ErrorKind::Internal,
                "read the time",
                "redis answered TIME with something else than a time",
            )
        })
    }

    /// What it was opened with.
    pub(crate) fn options(&self) -> &RedisOptions {
        &self.options
    }

    /// Tells of every loss and every return of the connection from now on.
    pub(crate) fn changes(&self) -> Changes {
        let mut state = self.state.clone();
        state.mark_unchanged();
        Changes(state)
    }

    /// Why there is no connection now, as far as is known.
    pub(crate) fn trouble(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Down(fault) => Some(fault.message().to_owned()),
            State::New | State::Up(_) | State::Closed => None,
        }
    }

    /// Closes the link. Calls in flight end as they would; new ones are refused.
    pub(crate) fn shut(&self) {
        self.closing.cancel();
    }

    /// Whether it was closed.
    pub(crate) fn is_shut(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// Sends until it was run, was refused for good, or time is up.
    async fn repeat(
        &self,
        operation: &'static str,
        request: &Request<'_>,
        script: Option<&Script>,
    ) -> Result<Value> {
        let deadline = Deadline::after(self.options.timeout);
        let mut backoff = Backoff::default();
        let (mut last, mut was_loaded) = (None, false);
        loop {
            let master = self.master(operation, deadline, last.as_ref()).await?;
            let answer = match master.send(request, deadline).await {
                Sent::Answer(answer) => answer,
                Sent::Short { confirmed } => {
                    master.doubt();
                    return Err(request.short(operation, master.address(), confirmed));
                }
                Sent::Lost => return Err(unknown(operation, &master, "the connection broke")),
                Sent::Late => {
                    let reason = format!("no answer for {}", shown(self.options.timeout));
                    master.discard(reason, None);
                    return Err(unknown(operation, &master, "time was up"));
                }
            };
            let Value::ServerError(error) = answer else {
                return Ok(answer);
            };
            let refusal = Refusal::read(&error, master.address());
            last = Some(Refusal::text(&error, master.address()));
            match (refusal, script) {
                (Refusal::Unknown, Some(script)) => {
                    Self::load(&master, script, deadline)
                        .await
                        .map_err(|fault| fault.to_error(operation))?;
                    // Only a server that forgets at once makes us wait.
                    if std::mem::replace(&mut was_loaded, true) {
                        deadline.sleep(backoff.next_pause()).await;
                    }
                    continue;
                }
                (Refusal::Elsewhere { hint }, _) => {
                    master.discard(refusal::shown(&error), hint);
                }
                (Refusal::NotNow, _) => {}
                (refusal @ (Refusal::Unknown | Refusal::Final(_)), _) => {
                    let fault = refusal.into_fault(&error, master.address());
                    return Err(fault.to_error(operation));
                }
            }
            deadline.sleep(backoff.next_pause()).await;
        }
    }

    /// Gives the server a script. What does not get through is found out by the next attempt.
    async fn load(
        master: &Master,
        script: &Script,
        deadline: Deadline,
    ) -> std::result::Result<(), Fault> {
        let load = script.load();
        if let Sent::Answer(Value::ServerError(error)) =
            master.send(&Request::One(&load), deadline).await
            && let Refusal::Final(fault) = Refusal::read(&error, master.address())
        {
            return Err(fault);
        }
        Ok(())
    }

    /// The master, as soon as there is a connection to it.
    async fn master(
        &self,
        operation: &'static str,
        deadline: Deadline,
        last: Option<&Fault>,
    ) -> Result<Arc<Master>> {
        if !deadline.is_over()
            && let Some(answer) = self.state.borrow().master()
        {
            return answer.map_err(|fault| fault.to_error(operation));
        }
        let mut state = self.state.clone();
        let found = deadline.limit(state.wait_for(|state| state.master().is_some()));
        match found.await {
            Some(Ok(state)) if !deadline.is_over() => match state.master() {
                Some(answer) => answer.map_err(|fault| fault.to_error(operation)),
                None => Err(Fault::closed().to_error(operation)),
            },
            Some(Err(_)) => Err(Fault::closed().to_error(operation)),
            Some(Ok(_)) | None => Err(self.undelivered(operation, last)),
        }
    }

    /// Time is up, and nothing was run.
    fn undelivered(&self, operation: &'static str, last: Option<&Fault>) -> Error {
        match (last, &*self.state.borrow()) {
            (_, State::Down(fault)) | (Some(fault), _) => fault.to_error(operation),
            (None, _) => Error::new(
                ErrorKind::Unavailable,
                operation,
                format!(
                    "redis at {} cannot be reached: nothing was heard of it for {}",
                    self.options.topology.named(),
                    shown(self.options.timeout)
                ),
            ),
        }
    }
}

fn shown(duration: Duration) -> String {
    tidemill_shared::format_duration(duration)
}

fn unknown(operation: &'static str, master: &Master, why: &str) -> Error {
    Error::new(
        ErrorKind::Timeout,
        operation,
        format!(
            "{why} before redis at {} answered; the outcome is unknown, and repeating with the same ids is safe",
            master.address()
        ),
    )
}

#[cfg(test)]
mod tests;
