//! Where the load goes: a store that somebody names, or a fresh one of the run's own.

mod rabbitmq;

use std::path::{Path, PathBuf};

use clap::Args;
use tempfile::TempDir;
use tidemill::{Connect, Connection};
use tokio::process::Command;

use crate::Result;
use crate::outage::Server;
use rabbitmq::Node;

/// Where it is to go, as the command line says it.
#[derive(Args, Clone, Debug)]
pub(crate) struct Wanted {
    /// The store: a URL, as everywhere (its queue `loadtest` must be empty; both sides of `compare` use it in turn); or
    /// `redis`, `rabbitmq` or `sqlite`, with options such as `sqlite?synchronous=normal`, for a fresh one of the run's
    /// own, or of each turn of each side
    #[arg(long, value_name = "URL")]
    pub(crate) broker: String,
    /// The ledger beside RabbitMQ, in the same words [default with `--broker rabbitmq`: redis]
    #[arg(long, value_name = "URL")]
    ledger: Option<String>,
    /// The server that `redis` starts
    #[arg(long, value_name = "PATH", default_value = "redis-server")]
    server: PathBuf,
    /// The server that `rabbitmq` starts; the program itself, as what packages put on PATH becomes another user
    #[arg(
        long,
        value_name = "PATH",
        default_value = "/usr/lib/rabbitmq/bin/rabbitmq-server"
    )]
    rabbitmq_server: PathBuf,
}

/// A store, and the ledger beside it where it needs one.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The URL of the broker.
    pub(crate) url: String,
    /// That of the ledger.
    pub(crate) ledger: Option<String>,
}

impl Target {
    /// Opens it.
    pub(crate) async fn connect(&self) -> Result<Connection> {
        let mut connect = Connect::to(&self.url);
        if let Some(ledger) = &self.ledger {
            connect = connect.ledger(ledger);
        }
        Ok(connect.open().await?)
    }

    /// Tells a program where it is.
    pub(crate) fn tell(&self, command: &mut Command) {
        command.args(["--broker", &self.url]);
        if let Some(ledger) = &self.ledger {
            command.args(["--ledger", ledger]);
        }
    }

    /// The store without its path or address, which say nothing about its speed.
    pub(crate) fn shown(&self) -> String {
        let broker = shown(&self.url);
        let ledger = self.ledger.as_deref().map(shown);
        ledger.map_or_else(
            || broker.clone(),
            |ledger| format!("{broker} beside {ledger}"),
        )
    }
}

fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
    let options = rest.split_once('?').map_or("", |(_, options)| options);
    format!("{scheme} {options}").trim_end().to_owned()
}

/// A store for one run. What was made for it goes with it.
#[derive(Debug, Default)]
pub(crate) struct Place {
    servers: Vec<Server>,
    node: Option<Node>,
    folders: Vec<TempDir>,
}

impl Wanted {
    /// What is named; whoever is told so by this program itself is told URLs.
    pub(crate) fn target(&self) -> Target {
        Target {
            url: self.broker.clone(),
            ledger: self.ledger.clone(),
        }
    }

    /// What is wanted, with whatever had to be started for it.
    pub(crate) async fn open(&self) -> Result<(Target, Place)> {
        let mut place = Place::default();
        let (name, options) = parted(&self.broker);
        let (url, default) = match name {
            "rabbitmq" => {
                let folder = place.folder()?;
                let node = Node::start(&self.rabbitmq_server, &folder).await?;
                let url = format!("{}{options}", node.url());
                place.node = Some(node);
                (url, Some("redis"))
            }
            _ => (place.make(&self.broker, &self.server).await?, None),
        };
        let ledger = match self.ledger.as_deref().or(default) {
            Some(ledger) => Some(place.make(ledger, &self.server).await?),
            None => None,
        };
        Ok((Target { url, ledger }, place))
    }
}

impl Place {
    /// A server or a file, if the name stands for one; a URL stays what it is.
    async fn make(&mut self, wanted: &str, server: &Path) -> Result<String> {
        let (name, options) = parted(wanted);
        match name {
            "redis" => {
                let server = Server::start(server, &self.folder()?, &[]).await?;
                let url = format!("{}{options}", server.url());
                self.servers.push(server);
                Ok(url)
            }
            "sqlite" => {
                let path = self.folder()?.join("load.db");
                Ok(format!("sqlite:{}{options}", path.display()))
            }
            _ => Ok(wanted.to_owned()),
        }
    }

    fn folder(&mut self) -> Result<PathBuf> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().to_owned();
        self.folders.push(folder);
        Ok(path)
    }

    /// Ends what was made for it, and waits for that.
    pub(crate) async fn close(self) -> Result {
        for mut server in self.servers {
            server.kill().await?;
        }
        match self.node {
            Some(node) => node.end().await,
            None => Ok(()),
        }
    }
}

/// The name of a store, and its options with the `?` before them.
fn parted(wanted: &str) -> (&str, &str) {
    wanted.split_at(wanted.find('?').unwrap_or(wanted.len()))
}

#[cfg(test)]
mod tests {
    use super::{Target, parted};

    #[test]
    fn a_name_is_parted_from_its_options() {
        assert_eq!(parted("redis"), ("redis", ""));
        assert_eq!(parted("sqlite?a=b"), ("sqlite", "?a=b"));
    }

    #[test]
    fn what_is_shown_has_no_address() {
        let target = Target {
            url: "amqp://u:secret@host:1/v?queue_type=classic".into(),
            ledger: Some("sqlite:/tmp/secret.db".into()),
        };
        assert_eq!(target.shown(), "amqp queue_type=classic beside sqlite");
    }
}
