//! A connection for blocking reads.

use redis::{Cmd, Value};
use tidemill_shared::{Error, ErrorKind, Result};
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::master::Master;
use super::refusal::Refusal;
use super::wire::Wire;
use crate::options::{Address, RedisOptions};

/// A connection of its own, for one command at a time that may block. It has no timeout, but ends with
/// the shared connection, which has one. It repeats nothing: once a command fails, ask for another.
#[derive(Debug)]
pub(crate) struct Dedicated {
    address: Address,
    wire: Wire,
    /// Cancelled when the shared connection is lost, or the master is another.
    left: CancellationToken,
}

impl Dedicated {
    pub(super) async fn connect(
        master: &Master,
        options: &RedisOptions,
    ) -> std::result::Result<Self, Fault> {
        let address = master.address().clone();
        let wire = Wire::connect(
            &address,
            options,
            &options.credentials,
            options.database,
            CancellationToken::new(),
        )
        .await?;
        Ok(Self {
            address,
            wire,
            left: master.closed(),
        })
    }

    /// What `CLIENT UNBLOCK` on the shared connection wants to know.
    pub(crate) fn id(&self) -> i64 {
        self.wire.greeting().id
    }

    /// Sends a command and waits for its reply, however long that takes. Dropping the future leaves
    /// the command to the server, so drop the connection too.
    pub(crate) async fn command(
        &mut self,
        operation: &'static str,
        command: &Cmd,
    ) -> Result<Value> {
        let answer = tokio::select! {
            answer = self.wire.send(command) => answer.ok(),
            () = self.left.cancelled() => None,
        };
        match answer {
            Some(Value::ServerError(error)) => Err(Refusal::read(&error, &self.address)
                .into_fault(&error, &self.address)
                .to_error(operation)),
            Some(answer) => Ok(answer),
            None => Err(Error::new(
                ErrorKind::Unavailable,
                operation,
                format!("the connection to redis at {} broke", self.address),
            )),
        }
    }
}
