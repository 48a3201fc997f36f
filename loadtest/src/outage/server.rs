//! A Redis of the measurement's own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::Result;

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What makes it append what it is told to a file, which is written out each second.
pub(crate) const APPENDING: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "everysec"];

/// The server, which ends with this.
#[derive(Debug)]
pub(crate) struct Server {
    program: PathBuf,
    folder: PathBuf,
    settings: &'static [&'static str],
    port: u16,
    child: Child,
}

impl Server {
    /// Starts it on a free port of the loopback interface, and waits until it answers. It keeps everything
    /// in memory alone unless its settings say otherwise.
    pub(crate) async fn start(
        program: &Path,
        folder: &Path,
        settings: &'static [&'static str],
    ) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let server = Self {
            child: spawn(program, folder, settings, port)?,
            settings,
            program: program.to_owned(),
            folder: folder.to_owned(),
            port,
        };
        server.answers().await?;
        Ok(server)
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self) -> Result {
        Ok(self.child.kill().await?)
    }

    /// Starts it with what its file has kept, and waits until it answers.
    pub(crate) async fn start_again(&mut self) -> Result {
        self.child = spawn(&self.program, &self.folder, self.settings, self.port)?;
        self.answers().await
    }

    async fn answers(&self) -> Result {
        let client = redis::Client::open(self.url())?;
        let by = Instant::now() + PATIENCE;
        loop {
            let asked = async {
                let mut connection = client.get_multiplexed_async_connection().await?;
                redis::cmd("PING")
                    .query_async::<String>(&mut connection)
                    .await
            };
            match asked.await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > by => return Err(error.into()),
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

fn spawn(program: &Path, folder: &Path, settings: &[&str], port: u16) -> Result<Child> {
    Command::new(program)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", ""])
        .args(settings)
        .arg("--dir")
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            format!(
                "{} cannot be started: {error}; name it with --server",
                program.display()
            )
            .into()
        })
}
