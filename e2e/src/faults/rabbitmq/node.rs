//! A node of RabbitMQ that may be killed.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;

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
    name: String,
    port: u16,
    house: Arc<House>,
    folder: PathBuf,
    settings: String,
    flags: String,
    process: Option<Process>,
    starts: u32,
}

/// Where the server is. The program itself: what Debian puts on PATH becomes another user.
fn server() -> PathBuf {
    let named = std::env::var_os("TIDEMILL_TEST_RABBITMQ_SERVER");
    named.map_or_else(
        || "/usr/lib/rabbitmq/bin/rabbitmq-server".into(),
        PathBuf::from,
    )
}

impl House {
    /// Starts the port mapper.
    pub async fn open(folder: &Path) -> Result<Arc<Self>> {
        let port = free_port()?;
        let mut command = Command::new("epmd");
        command.args(["-address", "127.0.0.1", "-port", &port.to_string()]);
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
        fs::create_dir_all(&home)?;
        let cookie = home.join(".erlang.cookie");
        fs::write(&cookie, &house.cookie)?;
        fs::set_permissions(&cookie, Permissions::from_mode(0o400))?;
        fs::write(home.join("plugins"), "[].")?;
        Ok(Self {
            name: name.to_owned(),
            port: free_port()?,
            house: Arc::clone(house),
            folder: home,
            settings: settings.to_owned(),
            flags: flags.to_owned(),
            process: None,
            starts: 0,
        })
    }

    /// Adds lines to its settings, for the next start.
    pub fn set(&mut self, settings: &str) {
        self.settings.push_str(settings);
    }

    /// Starts it, and waits until it answers.
    pub async fn start(&mut self) -> Result {
        self.launch()?;
        self.ready().await
    }

    /// Starts it, and does not wait.
    pub fn launch(&mut self) -> Result {
        let settings = format!(
            "listeners.tcp.default = 127.0.0.1:{}\nlog.console = true\n\
             log.console.level = info\nlog.file = false\n{}",
            self.port, self.settings
        );
        fs::write(self.folder.join("rabbitmq.conf"), settings)?;
        let mut command = Command::new(server());
        self.tell(&mut command);
        self.starts += 1;
        let name = format!("{}-{}", self.name, self.starts);
        let logs = self.folder.parent().unwrap_or(&self.folder);
        self.process = Some(Process::spawn(&name, &mut command, logs)?);
        Ok(())
    }

    /// Waits until it answers the greeting of AMQP, which it does once it has started.
    pub async fn ready(&mut self) -> Result {
        let (name, port) = (self.name.clone(), self.port);
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
        let port = self.port;
        until(&format!("{} to be silent", self.name), START, async || {
            Ok((!greets(port)).then_some(()))
        })
        .await
    }

    /// What it is told by its environment, and whoever speaks with it by its own tools.
    fn tell(&self, command: &mut Command) {
        let at = |name: &str| self.folder.join(name);
        command
            .env("HOME", &self.folder)
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", self.house.port.to_string())
            // The node takes the place of the script that starts it, so that it is what is killed.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            .env("RABBITMQ_CONF_ENV_FILE", at("none"))
            .env("RABBITMQ_CONFIG_FILE", at("rabbitmq"))
            .env("RABBITMQ_DIST_PORT", (self.port + 10_000).to_string())
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", at("plugins"))
            .env("RABBITMQ_LOG_BASE", at("log"))
            .env("RABBITMQ_MNESIA_BASE", at("data"))
            .env("RABBITMQ_NODENAME", self.node())
            .env("RABBITMQ_PID_FILE", at("pid"))
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                format!(
                    "-kernel inet_dist_use_interface {{127,0,0,1}} {}",
                    self.flags
                ),
            );
    }

    /// Its name in Erlang.
    #[must_use]
    pub fn node(&self) -> String {
        format!("{}-{}@localhost", self.name, self.port)
    }

    /// Its port for AMQP.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://127.0.0.1:{}", self.port)
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

fn greets(port: u16) -> bool {
    let greet = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"AMQP\0\0\x09\x01")?;
        let mut first = [0];
        stream.read_exact(&mut first)?;
        std::io::Result::Ok(first[0] == 1)
    };
    greet().unwrap_or(false)
}
