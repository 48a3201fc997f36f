//! One connection to one server.

use std::fmt;

use redis::ProtocolVersion;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisResult, Value};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::greeting::{self, Greeting};
use super::{tls, transport};
use crate::options::{Address, Credentials, RedisOptions};

/// As many commands may wait to be written; further callers wait before they hand theirs over.
const QUEUED: usize = 256;
/// So many bytes are gathered before they are written.
const GATHERED: usize = 64 * 1024;

/// A connection that is logged in. Its driver ends with it.
pub(super) struct Wire {
    connection: MultiplexedConnection,
    greeting: Greeting,
    _driver: JoinSet<()>,
}

impl Wire {
    /// Connects, logs in, and hears what kind of server it is. `closed` is cancelled when the
    /// connection ends by itself.
    pub(super) async fn connect(
        address: &Address,
        options: &RedisOptions,
        credentials: &Credentials,
        database: u32,
        closed: CancellationToken,
    ) -> Result<Self, Fault> {
        let attempt = Self::attempt(address, options, credentials, database, closed);
        match tokio::time::timeout(options.connect_timeout, attempt).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let patience = tidemill_shared::format_duration(options.connect_timeout);
                // A server that does not speak TLS waits for the rest of a command.
                let hint = options
                    .tls
                    .as_ref()
                    .map_or("", |_| "; is it TLS that it speaks there?");
                Err(unreachable_at(
                    address,
                    &format!("no answer for {patience}{hint}"),
                ))
            }
        }
    }

    async fn attempt(
        address: &Address,
        options: &RedisOptions,
        credentials: &Credentials,
        database: u32,
        closed: CancellationToken,
    ) -> Result<Self, Fault> {
        let stream = transport::connect(address, options.tls.as_ref()).await?;
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(None)
            .set_pipeline_buffer_size(QUEUED)
            .set_write_backpressure_boundary(GATHERED);
        // Logging in is left to `greeting`, which has better words for what may go wrong.
        let info = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP2)
            .set_skip_set_lib_name();
        let (connection, driver) = MultiplexedConnection::new_with_config(&info, stream, config)
            .await
            .map_err(|error| broken(address, &error))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            driver.await;
            closed.cancel();
        });
        let greeting = greeting::exchange(&connection, address, credentials, database).await?;
        Ok(Self {
            connection,
            greeting,
            _driver: tasks,
        })
    }

    pub(super) fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// Sends a command and waits for its reply, however long that takes.
    pub(super) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        self.connection.clone().send_packed_command(command).await
    }

    /// Sends commands in one go and waits for all their replies.
    pub(super) async fn send_all(&self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        let mut connection = self.connection.clone();
        connection
            .send_packed_commands(commands, 0, commands.len())
            .await
    }
}

/// The error of a server that does not answer.
pub(super) fn unreachable_at(address: &Address, why: &str) -> Fault {
    Fault::unavailable(format!("redis at {address} cannot be reached: {why}"))
}

/// What ended a connection before a reply came.
pub(super) fn broken(address: &Address, error: &redis::RedisError) -> Fault {
    let why = error.to_string();
    // With TLS 1.3, a server refuses a client's certificate only after it has accepted the connection.
    match why.split_once("fatal alert: ") {
        Some((_, alert)) => tls::refused_by(address, alert),
        None => unreachable_at(address, &why),
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("greeting", &self.greeting)
            .finish_non_exhaustive()
    }
}
