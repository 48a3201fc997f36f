//! A node of RabbitMQ that may be killed.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tidemill_rabbit_node::{self as rabbit, greets, mapper_arguments};

use super::console::Console;
use crate::faults::free_port;
use crate::{Process, Result, until};

/// How long a node may take to start. On a busy machine that is long.
const START: Duration = Duration::from_secs(90);

/// What nodes of one bed share: a cookie, and a port mapper of Erlang.
#[derive(Debug)]
pub struct House {
    port: u16,
    cookie: String,
    console: Console,
    _mapper: Process,
}

/// A node on free ports of the loopback, in a folder of its own. Dropping it kills it.
#[derive(Debug)]
pub struct Node {
    of: rabbit::Node,
    house: Arc<House>,
    process: Option<Process>,
    starts: u32,
}

/// Where the server is. The program itself: what Debian puts on PATH becomes another user.
fn server() -> PathBuf {
    let named = std::env::var_os("TIDEMILL_TEST_RABBITMQ_SERVER");
    named.map_or_else(|| rabbit::SERVER.into(), PathBuf::from)
}

impl House {
    /// Starts the port mapper.
    pub async fn open(folder: &Path) -> Result<Arc<Self>> {
        let port = free_port()?;
        let mut command = Command::new("epmd");
        command.args(mapper_arguments(port));
        let mapper = Process::spawn("epmd", &mut command, folder)?;
        until("the port mapper of Erlang", START, async || {
            Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok())
        })
        .await?;
        let cookie = format!("tidemill{port}");
        Ok(Arc::new(Self {
            port,
            console: Console::open(folder, port, &cookie)?,
            cookie,
            _mapper: mapper,
        }))
    }
}

impl Node {
    /// A node that does not run yet, with these lines in `rabbitmq.conf` and these flags of Erlang.
    pub fn down(
        folder: &Path,
        house: &Arc<House>,
        name: &str,
        settings: &str,
        flags: &str,
    ) -> Result<Self> {
        let home = folder.join(name);
        std::fs::create_dir_all(&home)?;
        let port = free_port()?;
        Ok(Self {
            of: rabbit::Node {
                name: name.to_owned(),
                folder: home,
                port,
                distribution: port + 10_000,
                mapper: house.port,
                cookie: house.cookie.clone(),
                settings: settings.to_owned(),
                flags: flags.to_owned(),
            },
            house: Arc::clone(house),
            process: None,
            starts: 0,
        })
    }

    /// What tells it apart.
    pub(super) const fn of(&mut self) -> &mut rabbit::Node {
        &mut self.of
    }

    /// Starts it, and waits until it answers.
    pub async fn start(&mut self) -> Result {
        self.launch()?;
        self.ready().await
    }

    /// Starts it, and does not wait.
    pub fn launch(&mut self) -> Result {
        let mut command = Command::new(server());
        command.envs(self.of.prepare()?);
        self.starts += 1;
        let (name, folder) = (format!("{}-{}", self.of.name, self.starts), &self.of.folder);
        let logs = folder.parent().unwrap_or(folder);
        self.process = Some(Process::spawn(&name, &mut command, logs)?);
        Ok(())
    }

    /// Waits until it answers the greeting of AMQP, which it does once it has started.
    pub async fn ready(&mut self) -> Result {
        let (name, port) = (self.of.name.clone(), self.of.port);
        until(&format!("{name} to answer"), START, async || {
            if !self.process_mut()?.is_running()? {
                let said = self.process_mut()?.output()? + &self.process_mut()?.errors()?;
                return Err(format!("{name} ended: {said}").into());
            }
            Ok(greets(port).then_some(()))
        })
        .await
    }

    /// Waits until it takes no connection of clients any more.
    pub(super) async fn silent(&self) -> Result {
        let port = self.of.port;
        until(
            &format!("{} to be silent", self.of.name),
            START,
            async || Ok((!greets(port)).then_some(())),
        )
        .await
    }

    /// Its name in Erlang.
    #[must_use]
    pub fn node(&self) -> String {
        self.of.full_name()
    }

    /// Its port for AMQP.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.of.port
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://127.0.0.1:{}", self.of.port)
    }

    fn process_mut(&mut self) -> Result<&mut Process> {
        self.process
            .as_mut()
            .ok_or_else(|| "the node is down".into())
    }

    /// Kills it with -9.
    pub fn kill(&mut self) -> Result {
        self.process.take().map_or(Ok(()), |mut it| it.kill())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result {
        let process = self.process.as_ref().ok_or("the node is down")?;
        process.signal(signal)
    }

    /// The value of an expression of Erlang there, as an operator's `rabbitmqctl eval` gives it.
    pub async fn eval(&self, expression: &str) -> Result<String> {
        self.house.console.eval(&self.node(), expression).await
    }

    /// How many messages a queue has, those that are out included.
    pub async fn messages(&self, queue: &str) -> Result<u32> {
        Ok(self.ask_queue(queue, "messages").await?.parse()?)
    }

    /// What is to be known of a queue.
    pub(super) async fn ask_queue(&self, queue: &str, what: &str) -> Result<String> {
        let question = format!(
            "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)), \
             [{{_, Found}}] = rabbit_amqqueue:info(Q, [{what}]), Found."
        );
        self.eval(&question).await
    }
}
