//! What a store tells of itself.

use std::path::PathBuf;
use std::time::Duration;

use redis::aio::MultiplexedConnection;

use super::node::Node;
use super::process;
use crate::Result;
use crate::place::Target;

/// A way to the store beside Tidemill's own.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    /// One Redis server.
    Redis(MultiplexedConnection),
    /// A file of SQLite.
    File(PathBuf),
    /// RabbitMQ, and the ledger beside it.
    Rabbit(Node, Box<Self>),
    /// One of which nothing is known from outside.
    Unknown,
}

/// What has been counted so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) cpu: Option<Duration>,
    /// Of a ledger that is a server.
    pub(super) ledger_cpu: Option<Duration>,
    /// Commands, those that scripts call included.
    pub(super) commands: Option<u64>,
    /// Calls of scripts.
    pub(super) scripts: Option<u64>,
}

impl Counters {
    pub(super) fn since(self, before: &Self) -> Self {
        let counted = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        let used = |now: Option<Duration>, then| Some(now?.saturating_sub(then?));
        Self {
            cpu: used(self.cpu, before.cpu),
            ledger_cpu: used(self.ledger_cpu, before.ledger_cpu),
            commands: counted(self.commands, before.commands),
            scripts: counted(self.scripts, before.scripts),
        }
    }
}

impl Store {
    /// The store at a target. One server of Redis in the clear is asked itself, a file is looked at, one node of
    /// RabbitMQ is a process of this machine; of others nothing is known.
    pub(crate) async fn at(target: &Target) -> Result<Self> {
        let store = Self::alone(&target.url).await?;
        let (Self::Rabbit(node, _), Some(ledger)) = (&store, &target.ledger) else {
            return Ok(store);
        };
        let ledger = Self::alone(ledger).await?;
        Ok(Self::Rabbit(node.clone(), Box::new(ledger)))
    }

    async fn alone(url: &str) -> Result<Self> {
        let (place, _) = url.split_once('?').unwrap_or((url, ""));
        if let Some(path) = place.strip_prefix("sqlite:") {
            return Ok(Self::File(path.into()));
        }
        if let Some(node) = Node::at(place) {
            return Ok(Self::Rabbit(node, Box::new(Self::Unknown)));
        }
        if !place.starts_with("redis://") {
            return Ok(Self::Unknown);
        }
        let client = redis::Client::open(place)?;
        Ok(Self::Redis(
            client.get_multiplexed_async_connection().await?,
        ))
    }

    /// Its name and version.
    pub(crate) async fn version(&mut self) -> Option<String> {
        match self {
            Self::Redis(_) => {
                let server = self.info("server").await.ok()?;
                Some(format!("redis {}", field(&server, "redis_version:")?))
            }
            Self::File(_) => Some(format!("sqlite {}", rusqlite::version())),
            Self::Rabbit(node, ledger) => {
                let version = node.version();
                match Box::pin(ledger.version()).await {
                    Some(ledger) => Some(format!("{} beside {ledger}", version?)),
                    None => version,
                }
            }
            Self::Unknown => None,
        }
    }

    pub(super) async fn counters(&mut self) -> Result<Counters> {
        if let Self::Rabbit(node, ledger) = self {
            let ledger = Box::pin(ledger.counters()).await?;
            let used = node.process().and_then(process::times);
            return Ok(Counters {
                cpu: used.map(|used| used.others),
                ledger_cpu: ledger.cpu,
                ..ledger
            });
        }
        if !matches!(self, Self::Redis(_)) {
            return Ok(Counters::default());
        }
        let cpu = self.info("cpu").await?;
        let seconds = |name| field(&cpu, name).and_then(|text| text.parse::<f64>().ok());
        let used = seconds("used_cpu_user:").zip(seconds("used_cpu_sys:"));
        let (commands, scripts) = calls(&self.info("commandstats").await?);
        Ok(Counters {
            cpu: used.map(|(user, sys)| Duration::from_secs_f64(user + sys)),
            ledger_cpu: None,
            commands: Some(commands),
            scripts: Some(scripts),
        })
    }

    /// How much memory it uses, or how much of its file; what is free in the file is not counted.
    pub(crate) async fn bytes(&mut self) -> Result<Option<u64>> {
        match self {
            Self::Redis(_) => {
                let memory = self.info("memory").await?;
                Ok(field(&memory, "used_memory:").and_then(|text| text.parse().ok()))
            }
            Self::File(path) => {
                let file = rusqlite::Connection::open(path)?;
                let number = |name| file.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
                let pages = number("page_count")?.saturating_sub(number("freelist_count")?);
                Ok(Some((pages * number("page_size")?).unsigned_abs()))
            }
            Self::Rabbit(..) | Self::Unknown => Ok(None),
        }
    }

    /// How many are connected to it; with RabbitMQ, to the ledger.
    pub(crate) async fn clients(&mut self) -> Result<Option<u64>> {
        if let Self::Rabbit(_, ledger) = self {
            return Box::pin(ledger.clients()).await;
        }
        if !matches!(self, Self::Redis(_)) {
            return Ok(None);
        }
        let clients = self.info("clients").await?;
        Ok(field(&clients, "connected_clients:").and_then(|text| text.parse().ok()))
    }

    async fn info(&mut self, section: &str) -> Result<String> {
        let Self::Redis(server) = self else {
            return Ok(String::new());
        };
        Ok(redis::cmd("INFO").arg(section).query_async(server).await?)
    }
}

fn field<'t>(info: &'t str, name: &str) -> Option<&'t str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}

/// Calls of all commands but those of the measurement itself, and of scripts.
fn calls(commandstats: &str) -> (u64, u64) {
    let (mut commands, mut scripts) = (0, 0);
    for line in commandstats.lines() {
        let Some((name, rest)) = line
            .strip_prefix("cmdstat_")
            .and_then(|line| line.split_once(":calls="))
        else {
            continue;
        };
        let calls = rest.split(',').next().and_then(|text| text.parse().ok());
        let calls: u64 = calls.unwrap_or(0);
        match name {
            "info" => {}
            "eval" | "evalsha" | "fcall" => {
                scripts += calls;
                commands += calls;
            }
            _ => commands += calls,
        }
    }
    (commands, scripts)
}

#[cfg(test)]
mod tests {
    use super::calls;

    #[test]
    fn calls_are_summed_without_those_of_the_measurement() {
        let text = "# Commandstats\r\ncmdstat_evalsha:calls=3,usec=9\r\ncmdstat_hset:calls=4,usec=1\r\n\
                    cmdstat_info:calls=70,usec=9\r\n";
        assert_eq!(calls(text), (7, 3));
    }
}
