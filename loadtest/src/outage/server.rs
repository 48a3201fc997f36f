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

/// The server, which ends with this.
#[derive(Debug)]
pub(super) struct Server {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    child: Child,
}

impl Server {
    /// Starts it on a free port, and waits until it answers.
    pub(super) async fn start(program: &Path, folder: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let server = Self {
            child: spawn(program, folder, port)?,
            program: program.to_owned(),
            folder: folder.to_owned(),
            port,
        };
        server.answers().await?;
        Ok(server)
    }

    /// Where it is.
    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// SIGKILL.
    pub(super) async fn kill(&mut self) -> Result {
        Ok(self.child.kill().await?)
    }

    /// Starts it with what its file has kept, and waits until it answers.
    pub(super) async fn start_again(&mut self) -> Result {
        self.child = spawn(&self.program, &self.folder, self.port)?;
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

fn spawn(program: &Path, folder: &Path, port: u16) -> Result<Child> {
    Command::new(program)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args([
            "--appendonly",
            "yes",
            "--appendfsync",
            "everysec",
            "--save",
            "",
        ])
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
