//! The first words on a connection: who we are, and what the server says of itself.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ServerError, Value};

use super::fault::Fault;
use super::wire::broken;
use super::{refusal, value};
use crate::options::{Address, Credentials};

/// What the server says of itself. `HELLO` tells it to every user, whatever the ACL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    /// Major and minor version; Valkey counts on from Redis 7.2.
    pub(super) version: (u32, u32),
    /// `CLIENT ID` of this connection.
    pub(super) id: i64,
    pub(super) mode: Mode,
    pub(super) role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Standalone,
    Cluster,
    Sentinel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Master,
    Replica,
}

impl Greeting {
    /// Refuses a server of another kind than the URL says.
    pub(super) fn expect(&self, mode: Mode, address: &Address) -> Result<(), Fault> {
        let remedy = match (mode, self.mode) {
            (_, found) if found == mode => return Ok(()),
            (Mode::Sentinel, _) => "is not a Sentinel; name the Sentinels, or write redis://HOST",
            (_, Mode::Sentinel) => "is a Sentinel; write redis+sentinel://HOSTS/MASTER",
            (Mode::Cluster, _) => "is not a node of a Cluster; write redis://HOST",
            (Mode::Standalone, _) => "is a node of a Cluster; write redis+cluster://HOSTS",
        };
        Err(Fault::invalid(format!("redis at {address} {remedy}")))
    }
}

/// The oldest version that will do.
const OLDEST: (u32, u32) = (6, 2);

/// Logs in, chooses the database, listens, and gives the connection a name for `CLIENT LIST`.
pub(super) async fn exchange(
    connection: &MultiplexedConnection,
    address: &Address,
    credentials: &Credentials,
    database: u32,
) -> Result<Greeting, Fault> {
    let say = async |words: &Cmd| {
        let mut connection = connection.clone();
        let reply = connection.send_packed_command(words).await;
        reply.map_err(|error| broken(address, &error))
    };
    if let Some(password) = &credentials.password {
        let mut auth = redis::cmd("AUTH");
        if let Some(user) = &credentials.user {
            auth.arg(user.reveal());
        }
        auth.arg(password.reveal());
        if let Value::ServerError(error) = say(&auth).await? {
            return Err(login(&error, address));
        }
    }
    if database != 0 {
        let mut select = redis::cmd("SELECT");
        select.arg(database);
        if let Value::ServerError(error) = say(&select).await? {
            return Err(selection(&error, address, database));
        }
    }
    let hello = say(&redis::cmd("HELLO")).await?;
    if let Value::ServerError(error) = &hello {
        return Err(other(error, address));
    }
    let greeting = read(&hello).ok_or_else(|| {
        Fault::invalid(format!(
            "{address} does not answer as redis does; expected Redis {}.{} or later, or Valkey",
            OLDEST.0, OLDEST.1
        ))
    })?;
    if greeting.version < OLDEST {
        return Err(too_old(address));
    }
    let mut name = redis::cmd("CLIENT");
    name.arg("SETNAME").arg("tidemill");
    // A user who may not name the connection still may use it.
    let _named = say(&name).await?;
    Ok(greeting)
}

/// The text of the server is not repeated where it might hold what we sent.
fn login(error: &ServerError, address: &Address) -> Fault {
    let details = error.details().unwrap_or_default();
    match error.code() {
        "WRONGPASS" => Fault::invalid(format!(
            "redis at {address} refuses the user or the password"
        )),
        "ERR" if details.contains("without any password") || details.contains("no password") => {
            Fault::invalid(format!(
                "redis at {address} has no password, but the URL gives one; leave it out, or set requirepass"
            ))
        }
        "ERR" if details.contains("wrong number of arguments") => too_old(address),
        _ => other(error, address),
    }
}

fn selection(error: &ServerError, address: &Address, database: u32) -> Fault {
    let details = error.details().unwrap_or_default();
    if details.contains("out of range") {
        return Fault::invalid(format!(
            "redis at {address} has no database {database}; raise `databases`, or choose a lower one"
        ));
    }
    if details.contains("cluster mode") {
        return Fault::invalid(format!(
            "redis at {address} is a node of a Cluster, which has database 0 alone"
        ));
    }
    other(error, address)
}

fn other(error: &ServerError, address: &Address) -> Fault {
    let details = error.details().unwrap_or_default();
    match error.code() {
        "NOAUTH" => Fault::invalid(format!(
            "redis at {address} wants a password; write it as redis://USER:PASSWORD@HOST, or :PASSWORD@ for the default user"
        )),
        "NOPERM" => refusal::no_permission(details, address),
        "DENIED" => Fault::invalid(format!(
            "redis at {address} is in protected mode and takes local connections alone; give it a password, or turn protected-mode off"
        )),
        "ERR" if details.contains("unknown command") => too_old(address),
        _ => Fault::unavailable(format!(
            "redis at {address} refuses the connection: {}",
            refusal::shown(error)
        )),
    }
}

fn too_old(address: &Address) -> Fault {
    Fault::invalid(format!(
        "redis at {address} is too old; expected {}.{} or later, or Valkey",
        OLDEST.0, OLDEST.1
    ))
}

fn read(hello: &Value) -> Option<Greeting> {
    let text = |name| value::field(hello, name).and_then(value::text);
    let mut numbers = text("version")?.split('.').map(|part| part.parse().ok());
    Some(Greeting {
        version: (numbers.next()??, numbers.next()??),
        id: value::field(hello, "id").and_then(value::integer)?,
        mode: match text("mode")? {
            "cluster" => Mode::Cluster,
            "sentinel" => Mode::Sentinel,
            _ => Mode::Standalone,
        },
        // A Sentinel says nothing of a role.
        role: match text("role") {
            Some("replica" | "slave") => Role::Replica,
            _ => Role::Master,
        },
    })
}
