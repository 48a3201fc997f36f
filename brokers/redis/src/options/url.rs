//! The URL of a Redis.

use std::time::Duration;

use tidemill_shared::{Error, Result, percent_decode};

use super::settings::{self, Settings};
use super::{Address, Credentials, Durability, RedisOptions, Secret, TlsOptions, Topology};

const EXPECTED: &str = "expected redis://, rediss://, redis+sentinel:// or redis+cluster://";
const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
const PASSWORD_HINT: &str =
    "an @ stands behind the hosts; in a password, write %40 for @, %2F for / and %3F for ?";

/// What stands between `scheme://` and the settings.
struct Parts<'a> {
    credentials: Option<&'a str>,
    hosts: &'a str,
    path: &'a str,
}

pub(super) fn parse(url: &str) -> Result<RedisOptions> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(wrong(format!("the URL has no scheme; {EXPECTED}")));
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    if query.contains('@') {
        return Err(wrong(PASSWORD_HINT));
    }
    let parts = split(rest)?;
    let (topology, database, is_tls) = match scheme {
        "redis" | "rediss" if parts.hosts.contains(',') => {
            return Err(wrong(
                "redis:// names one server; several are written redis+sentinel://HOSTS/MASTER or redis+cluster://HOSTS",
            ));
        }
        "redis" | "rediss" => {
            let host = Address::parse(parts.hosts, PORT)?;
            let database = database(parts.path)?;
            (Topology::Single(host), database, scheme == "rediss")
        }
        "redis+sentinel" => {
            let (name, path) = parts.path.split_once('/').unwrap_or((parts.path, ""));
            let topology = Topology::Sentinel {
                sentinels: addresses(parts.hosts, SENTINEL_PORT)?,
                master: master(name)?,
            };
            (topology, database(path)?, false)
        }
        "redis+cluster" => {
            if database(parts.path)? != 0 {
                return Err(wrong(
                    "a Cluster has database 0 alone; leave the number out",
                ));
            }
            let seeds = addresses(parts.hosts, PORT)?;
            (Topology::Cluster { seeds }, 0, false)
        }
        _ => return Err(wrong(format!("the scheme is wrong; {EXPECTED}"))),
    };
    let settings = settings::parse(query, &topology, is_tls)?;
    Ok(assemble(
        topology,
        credentials(parts.credentials)?,
        database,
        settings,
    ))
}

fn assemble(
    topology: Topology,
    credentials: Credentials,
    database: u32,
    settings: Settings,
) -> RedisOptions {
    let durability = if settings.waits {
        Durability::Wait {
            replicas: settings.replicas.unwrap_or(1),
            timeout: settings.wait_timeout.unwrap_or(Duration::from_secs(1)),
        }
    } else {
        Durability::None
    };
    RedisOptions {
        topology,
        credentials,
        sentinel_credentials: settings.sentinel_credentials,
        database,
        tls: settings.is_tls.then_some(TlsOptions {
            ca: settings.ca,
            identity: settings.cert.zip(settings.key),
            verification: settings.verification,
        }),
        connect_timeout: settings.connect_timeout.unwrap_or(Duration::from_secs(5)),
        timeout: settings.timeout.unwrap_or(Duration::from_secs(10)),
        durability,
    }
}

/// `user:password@hosts/path`. A password may hold an `@`, a host may not.
fn split(rest: &str) -> Result<Parts<'_>> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if path.contains('@') {
        return Err(wrong(PASSWORD_HINT));
    }
    let (credentials, hosts) = match authority.rsplit_once('@') {
        Some((credentials, hosts)) => (Some(credentials), hosts),
        None => (None, authority),
    };
    Ok(Parts {
        credentials,
        hosts,
        path,
    })
}

fn addresses(hosts: &str, default_port: u16) -> Result<Vec<Address>> {
    hosts
        .split(',')
        .map(|host| Address::parse(host, default_port))
        .collect()
}

fn credentials(text: Option<&str>) -> Result<Credentials> {
    let Some(text) = text else {
        return Ok(Credentials::default());
    };
    let (user, password) = match text.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (text, None),
    };
    let decoded = |text: &str| {
        percent_decode(text).ok_or_else(|| {
            wrong("user or password is not percent-encoded; write %25 for a percent sign")
        })
    };
    let secret = |text: &str| Ok(Secret::new(decoded(text)?));
    let some = |text: Option<&str>| text.filter(|t| !t.is_empty()).map(secret).transpose();
    let credentials = Credentials {
        user: some(Some(user))?,
        password: some(password)?,
    };
    if credentials.user.is_some() && credentials.password.is_none() {
        return Err(wrong(
            "a user without a password cannot log in; expected user:password@, or :password@ for the default user",
        ));
    }
    Ok(credentials)
}

fn database(path: &str) -> Result<u32> {
    match path.strip_suffix('/').unwrap_or(path) {
        "" => Ok(0),
        number => number.parse().map_err(|_| {
            wrong("what stands behind the host is not the number of a database, such as /0")
        }),
    }
}

fn master(name: &str) -> Result<String> {
    let name = percent_decode(name).unwrap_or_default();
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
    if name.is_empty() || !name.bytes().all(is_plain) {
        return Err(wrong(
            "the name of the master is missing or wrong; expected redis+sentinel://HOSTS/MASTER",
        ));
    }
    Ok(name)
}

pub(super) fn wrong(message: impl Into<String>) -> Error {
    Error::invalid("connect", message)
}

#[cfg(test)]
mod tests;
