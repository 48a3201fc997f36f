//! A `redis-server` that may be killed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use redis::FromRedisValue;

use super::ports::free_port;
use crate::{Process, Result, until};

/// A server on a free port of the loopback, in a folder of its own. Dropping it kills it.
#[derive(Debug)]
pub struct Redis {
    name: String,
    port: u16,
    settings: Vec<String>,
    prelude: String,
    folder: PathBuf,
    process: Option<Process>,
    starts: u32,
}

/// Where the server is.
#[expect(
    clippy::disallowed_methods,
    reason = "`cargo xtask test` names the server to start in the environment"
)]
fn program() -> String {
    std::env::var("TIDEMILL_TEST_REDIS_SERVER").unwrap_or_else(|_| "redis-server".into())
}

/// An append-only file that is written to the disk every second.
pub const EVERY_SECOND: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "everysec"];

impl Redis {
    /// Starts a server with these settings, and waits until it answers.
    pub async fn start(folder: &Path, name: &str, settings: &[&str]) -> Result<Self> {
        let mut redis = Self::down(folder, name, settings)?;
        redis.restart().await?;
        Ok(redis)
    }

    /// A server that does not run yet.
    pub fn down(folder: &Path, name: &str, settings: &[&str]) -> Result<Self> {
        let home = folder.join(name);
        std::fs::create_dir_all(&home)?;
        Ok(Self {
            name: name.to_owned(),
            port: free_port()?,
            settings: settings.iter().map(ToString::to_string).collect(),
            prelude: String::new(),
            folder: home,
            process: None,
            starts: 0,
        })
    }

    /// Runs this in the shell that becomes the server, for limits.
    #[must_use]
    pub fn after(mut self, prelude: &str) -> Self {
        prelude.clone_into(&mut self.prelude);
        self
    }

    /// Adds settings for the next start; of two that contradict each other the later one counts.
    pub fn set(&mut self, settings: &[&str]) {
        self.settings
            .extend(settings.iter().map(ToString::to_string));
    }

    /// Keeps its files there.
    pub fn keep_in(&mut self, folder: &Path) {
        folder.clone_into(&mut self.folder);
    }

    /// Starts it again, on the same port and in the same folder.
    pub async fn restart(&mut self) -> Result {
        self.launch()?;
        let what = format!("{} to answer", self.name);
        until(&what, Duration::from_secs(20), async || {
            Ok(self.ask::<String>(&["PING"]).ok())
        })
        .await
        .map(drop)
    }

    /// Starts it, and does not wait.
    pub fn launch(&mut self) -> Result {
        let is_sentinel = self.settings.iter().any(|word| word == "--sentinel");
        let mut words: Vec<String> = match is_sentinel {
            true => vec!["sentinel.conf".into()],
            false => ["--save", "", "--repl-diskless-sync-delay", "0"]
                .map(String::from)
                .into(),
        };
        if is_sentinel {
            std::fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(self.folder.join("sentinel.conf"))?;
        }
        words.extend(["--port".into(), self.port.to_string()]);
        words.extend(["--bind".into(), "127.0.0.1".into()]);
        words.extend(self.settings.iter().cloned());
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("{} exec \"$0\" \"$@\"", self.prelude))
            .arg(program())
            .args(words)
            .current_dir(&self.folder);
        self.starts += 1;
        let name = format!("{}-{}", self.name, self.starts);
        let logs = self.folder.parent().unwrap_or(&self.folder);
        self.process = Some(Process::spawn(&name, &mut command, logs)?);
        Ok(())
    }

    /// Kills it with -9.
    pub fn kill(&mut self) -> Result {
        self.process.take().map_or(Ok(()), |mut it| it.kill())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result {
        self.process
            .as_ref()
            .ok_or("the server is down")?
            .signal(signal)
    }

    /// Its process.
    pub fn id(&self) -> Result<u32> {
        Ok(self.process.as_ref().ok_or("the server is down")?.id())
    }

    /// The URL for clients.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a command on a connection of its own.
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> Result<T> {
        let client = redis::Client::open(("127.0.0.1", self.port))?;
        let patience = Duration::from_secs(2);
        let mut connection = client.get_connection_with_timeout(patience)?;
        connection.set_read_timeout(Some(Duration::from_secs(5)))?;
        let (first, rest) = words.split_first().ok_or("no command")?;
        let answer = redis::cmd(first).arg(rest).query(&mut connection);
        answer.map_err(|error| format!("{} refuses {words:?}: {error}", self.name).into())
    }

    /// A field of INFO.
    pub fn info(&self, field: &str) -> Result<String> {
        let text: String = self.ask(&["INFO", "everything"])?;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(value
            .ok_or_else(|| format!("INFO has no {field}"))?
            .trim()
            .to_owned())
    }
}
