//! A RabbitMQ of the measurement's own.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tidemill_rabbit_node::{greets, mapper_arguments};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::Result;

/// How long it may take to start. On a busy machine that is long.
const PATIENCE: Duration = Duration::from_secs(90);

/// One node on free ports of the loopback interface, in a folder of its own, with Erlang's port mapper of its own.
/// Both end with this.
#[derive(Debug)]
pub(crate) struct Node {
    port: u16,
    process: Child,
    mapper: Child,
}

impl Node {
    /// Starts it, and waits until it answers.
    pub(super) async fn start(program: &Path, folder: &Path) -> Result<Self> {
        let (port, distribution, mapping) = (free_port()?, free_port()?, free_port()?);
        let mut mapper = Command::new("epmd");
        mapper.args(mapper_arguments(mapping));
        let mapper = spawn(
            &mut mapper,
            "epmd, which comes with Erlang and has to be on PATH,",
        )?;
        let variables = tidemill_rabbit_node::Node {
            name: "loadtest".to_owned(),
            folder: folder.to_owned(),
            port,
            distribution,
            mapper: mapping,
            cookie: format!("loadtest{port}"),
            settings: String::new(),
            flags: String::new(),
        }
        .prepare()?;
        let mut node = Command::new(program);
        node.current_dir(folder).envs(variables);
        let name = format!("{}; name it with --rabbitmq-server: it", program.display());
        let process = spawn(&mut node, &name)?;
        let mut node = Self {
            port,
            process,
            mapper,
        };
        node.answers().await?;
        Ok(node)
    }

    /// Where it is.
    pub(super) fn url(&self) -> String {
        format!("amqp://127.0.0.1:{}", self.port)
    }

    /// Kills it: nothing of it is kept.
    pub(super) async fn end(mut self) -> Result {
        self.process.kill().await?;
        Ok(self.mapper.kill().await?)
    }

    /// It answers the greeting of AMQP once it has started.
    async fn answers(&mut self) -> Result {
        let by = Instant::now() + PATIENCE;
        while !greets(self.port) {
            if let Some(status) = self.process.try_wait()? {
                return Err(format!("RabbitMQ has ended at its start, with {status}").into());
            }
            if Instant::now() > by {
                return Err("RabbitMQ does not come up".into());
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

fn spawn(command: &mut Command, name: &str) -> Result<Child> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null());
    let spawned = command.stderr(Stdio::null()).kill_on_drop(true).spawn();
    spawned.map_err(|error| format!("{name} cannot be started: {error}").into())
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
