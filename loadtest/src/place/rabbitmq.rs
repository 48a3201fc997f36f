//! A RabbitMQ of the measurement's own.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

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
        mapper.args(["-address", "127.0.0.1", "-port", &mapping.to_string()]);
        let mapper = spawn(
            &mut mapper,
            "epmd, which comes with Erlang and has to be on PATH,",
        )?;
        let settings = format!(
            "listeners.tcp.default = 127.0.0.1:{port}\nlog.console = true\nlog.file = false\n"
        );
        std::fs::write(folder.join("rabbitmq.conf"), settings)?;
        std::fs::write(folder.join("plugins"), "[].")?;
        let at = |name: &str| folder.join(name);
        let mut node = Command::new(program);
        node.current_dir(folder)
            // The cookie lies here.
            .env("HOME", folder)
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", mapping.to_string())
            // The node takes the place of the script that starts it, so that it is what is ended.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            .env("RABBITMQ_CONF_ENV_FILE", at("none"))
            .env("RABBITMQ_CONFIG_FILE", at("rabbitmq"))
            .env("RABBITMQ_DIST_PORT", distribution.to_string())
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", at("plugins"))
            .env("RABBITMQ_LOG_BASE", at("log"))
            .env("RABBITMQ_MNESIA_BASE", at("data"))
            .env("RABBITMQ_NODENAME", format!("loadtest-{port}@localhost"))
            .env("RABBITMQ_PID_FILE", at("pid"))
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                format!("-setcookie loadtest{port} -kernel inet_dist_use_interface {{127,0,0,1}}"),
            );
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
