//! A connection for blocking reads.

use redis::{Cmd, Value};
use tidemill_shared::{Error, ErrorKind, Result};
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::master::Master;
use super::refusal::Refusal;
use super::wire::Wire;
use crate::options::{Address, RedisOptions};

/// A connection of its own, for one command at a time that may block. It has no timeout, and repeats
/// nothing: once a command fails, ask for another connection.
#[derive(Debug)]
pub(crate) struct Dedicated {
    address: Address,
    wire: Wire,
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
        Ok(Self { address, wire })
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
        match self.wire.send(command).await {
            Ok(Value::ServerError(error)) => Err(Refusal::read(&error, &self.address)
                .into_fault(&error, &self.address)
                .to_error(operation)),
            Ok(answer) => Ok(answer),
            Err(_) => Err(Error::new(
                ErrorKind::Unavailable,
                operation,
                format!("the connection to redis at {} broke", self.address),
            )),
        }
    }
}
