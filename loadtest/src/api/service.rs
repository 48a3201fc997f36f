//! The processes: the service, and workers.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tidemill::Connection;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::Result;
use crate::line::Lines;
use crate::place::Target;
use crate::scenario::QUEUE;
use crate::wrong_call::WrongCall;

/// How long a process may take to begin, and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program, and the store that it works on.
#[derive(Debug)]
pub(super) struct Programs {
    program: PathBuf,
    target: Target,
}

impl Programs {
    pub(super) fn new(program: Option<&Path>, target: &Target) -> Result<Self> {
        let program = match program {
            Some(program) => program.to_owned(),
            None => std::env::current_exe()?.with_file_name("tidemill"),
        };
        if !program.is_file() {
            return Err(WrongCall(format!(
                "{} is not there; build it (cargo build --release -p tidemill-cli), or name another with --program",
                program.display()
            ))
            .into());
        }
        Ok(Self {
            program,
            target: target.clone(),
        })
    }

    /// The store itself, to put tasks in and to count.
    pub(super) async fn store(&self) -> Result<Connection> {
        self.target.connect().await
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words);
        self.target.tell(&mut command);
        command
            .args(["--metrics", "off", "--log", "warn"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Starts the service and so many workers.
    pub(super) async fn start(&self, workers: usize) -> Result<Running> {
        let to = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let listen = to.to_string();
        let mut processes = Vec::new();
        for _ in 0..workers {
            let mut worker = self.command(&["worker", "--queue", QUEUE]);
            processes.push(worker.spawn()?);
        }
        let mut service = self.command(&["control", "--auth", "off", "--listen", &listen]);
        processes.push(service.spawn()?);
        let running = Running { to, processes };
        running.answers().await?;
        Ok(running)
    }
}

/// Processes that run.
#[derive(Debug)]
pub(super) struct Running {
    to: SocketAddr,
    processes: Vec<Child>,
}

impl Running {
    pub(super) fn lines(&self, most: usize) -> Lines {
        Lines::to(self.to, most)
    }

    async fn answers(&self) -> Result {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let asked = self.lines(1).get("/readyz").await;
            if asked.is_ok() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(format!("the service does not answer: {asked:?}").into());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends them.
    pub(super) async fn end(self) -> Result {
        for mut process in self.processes {
            process.start_kill()?;
            timeout(PATIENCE, process.wait()).await??;
        }
        Ok(())
    }
}
