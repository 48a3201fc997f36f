//! A `redis-server` of a test's own.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use redis::{FromRedisValue, RedisResult};
use tempfile::TempDir;

/// A server on a free port of the loopback, in a folder of its own. Dropping it kills it.
pub(super) struct Server {
    child: Child,
    pub(super) port: u16,
    arguments: Vec<String>,
    folder: TempDir,
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test asks which server to start"
)]
fn program() -> String {
    std::env::var("TIDEMILL_TEST_REDIS_SERVER").unwrap_or_else(|_| "redis-server".into())
}

/// Nobody listens there, at least for now.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

impl Server {
    /// Starts a server without persistence, and waits until it answers.
    pub(super) async fn start(arguments: &[&str]) -> Self {
        Self::start_at(free_port(), arguments).await
    }

    pub(super) async fn start_at(port: u16, arguments: &[&str]) -> Self {
        let server = Self::spawn(port, arguments);
        server.ready().await;
        server
    }

    /// Starts a server that may take its time, or speak TLS alone.
    pub(super) fn spawn(port: u16, arguments: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let child = launch(port, &arguments, folder.path());
        Self {
            child,
            port,
            arguments,
            folder,
        }
    }

    /// The same, where clients connect to another port.
    pub(super) fn at(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Waits until it answers at all, also with an error.
    pub(super) async fn ready(&self) {
        super::kit::eventually("the server answers", || {
            let answer = self.run::<String>(&["PING"]);
            answer.is_ok() || answer.is_err_and(|e| !e.is_io_error() && e.code() != Some("LOADING"))
        })
        .await;
    }

    /// Runs a command on a connection of its own.
    pub(super) fn run<T: FromRedisValue>(&self, command: &[&str]) -> RedisResult<T> {
        run_at(self.port, command)
    }

    /// Starts it again after `kill`, in the same folder.
    pub(super) async fn restart(&mut self) {
        self.child = launch(self.port, &self.arguments, self.folder.path());
        self.ready().await;
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(super) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }
}

pub(super) fn run_at<T: FromRedisValue>(port: u16, command: &[&str]) -> RedisResult<T> {
    let client = redis::Client::open(("127.0.0.1", port))?;
    let mut connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut cmd = redis::cmd(command[0]);
    cmd.arg(&command[1..]).query(&mut connection)
}

fn launch(port: u16, arguments: &[String], folder: &Path) -> Child {
    let mut command = Command::new(program());
    // A Sentinel wants a file of its own to write to, as its first argument.
    if arguments.iter().any(|a| a == "--sentinel") {
        std::fs::write(folder.join("sentinel.conf"), "").unwrap();
        command.arg("sentinel.conf");
    } else {
        command.args(["--save", "", "--appendonly", "no"]);
    }
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--dir".as_ref(), folder.as_os_str()])
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the tests need a redis-server: apt-get install redis-server")
}

impl Drop for Server {
    fn drop(&mut self) {
        let (_killed, _reaped) = (self.child.kill(), self.child.wait());
    }
}
