//! A worker process: from outside, and its own side.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use tidemill::CancellationToken;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use super::Sink;
use super::pipe::{Out, RECORD, Writing, read};
use crate::Result;
use crate::place::Wanted;
use crate::scenario::{Scenario, Settings, load};
use crate::telemetry::{Telemetry, Teller};
use crate::watch::{Hand, Watch};

/// How long a process may take to come, and to go.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a record may wait.
const FLUSH: Duration = Duration::from_millis(2);
/// What it says when it is there, before the first record.
const READY: u8 = b'r';

/// A worker process, which ends with this.
#[derive(Debug)]
pub(super) struct Process {
    hand: Hand,
    child: Child,
    /// None when it has been told to end.
    input: Option<ChildStdin>,
    reader: JoinSet<Result>,
}

impl Process {
    /// Starts one, and waits until it is connected.
    pub(super) async fn start(settings: &Settings, hand: Hand, watch: Watch) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("hand");
        settings.target.tell(&mut command);
        for queue in &settings.queues {
            command.args(["--queue", queue]);
        }
        command.args(["--concurrency", &settings.concurrency.to_string()]);
        command.args(["--lease", &tidemill::format_duration(settings.lease)]);
        command.args(["--telemetry", &settings.telemetry.name()]);
        if settings.scenario == Scenario::Crash {
            command.arg("--at-once");
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().ok_or("a worker process has no input")?;
        let mut output = child.stdout.take().ok_or("it has no output")?;
        let ready = timeout(PATIENCE, output.read_u8()).await;
        let ready = ready.map_err(|_| "a worker process does not come up")?;
        if !ready.is_ok_and(|said| said == READY) {
            return Err("a worker process has ended at its start".into());
        }
        let mut reader = JoinSet::new();
        reader.spawn(follow(output, hand, watch));
        Ok(Self {
            hand,
            child,
            input: Some(input),
            reader,
        })
    }

    pub(super) fn hand(&self) -> Hand {
        self.hand
    }

    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Lets it work.
    pub(super) async fn go(&mut self) -> Result {
        let input = self.input.as_mut().ok_or("it is ending")?;
        Ok(input.write_all(b"\n").await?)
    }

    /// SIGKILL; what it had said before is read.
    pub(super) async fn kill(&mut self) -> Result {
        self.child.kill().await?;
        self.read_all().await
    }

    /// Tells it to end, and waits for it.
    pub(super) async fn end(mut self) -> Result {
        self.input = None;
        let ended = timeout(PATIENCE, self.child.wait()).await;
        let ended = ended.map_err(|_| "a worker process does not end")??;
        self.read_all().await?;
        if ended.success() {
            Ok(())
        } else {
            Err(format!("a worker process ended with {ended}").into())
        }
    }

    async fn read_all(&mut self) -> Result {
        while let Some(read) = self.reader.join_next().await {
            read??;
        }
        Ok(())
    }
}

/// Reads records until the process has ended. One that was cut off by a kill is none.
async fn follow(mut output: ChildStdout, hand: Hand, watch: Watch) -> Result {
    let mut buffer = vec![0; 64 * 1024];
    let mut filled = 0;
    loop {
        let free = buffer.get_mut(filled..).unwrap_or_default();
        let more = output.read(free).await?;
        if more == 0 {
            return Ok(());
        }
        filled += more;
        let (records, rest) = buffer
            .get(..filled)
            .unwrap_or_default()
            .as_chunks::<RECORD>();
        for record in records {
            watch.note(hand, read(*record));
        }
        let whole = filled - rest.len();
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
}

/// The other side: what the process itself is told.
#[derive(Args, Debug)]
pub(crate) struct HandSettings {
    #[command(flatten)]
    at: Wanted,
    /// The queues.
    #[arg(long = "queue")]
    queues: Vec<String>,
    /// How many handlers at once.
    #[arg(long)]
    concurrency: usize,
    /// The time to live of a lease.
    #[arg(long, value_parser = tidemill::parse_duration)]
    lease: Duration,
    /// What it tells of itself.
    #[arg(long)]
    telemetry: Telemetry,
    /// Tells of each run before the broker knows that it has ended.
    #[arg(long)]
    at_once: bool,
}

impl HandSettings {
    /// Says that it is ready, works from the first byte of its input on, and ends with its input.
    pub(crate) async fn run(&self) -> Result {
        let teller = Teller::start(self.telemetry).await?;
        let connection = teller.watch(&self.at.target().connect().await?);
        let out = Out::new(if self.at_once {
            Writing::AtOnce
        } else {
            Writing::Together
        });
        let sink = Sink::There(out.clone());
        let (queues, slots) = (self.queues.as_slice(), self.concurrency);
        let worker = load::hired(&connection, queues, slots, self.lease, sink, &teller)?;
        let mut input = input()?;
        std::io::stdout().write_all(&[READY])?;
        std::io::stdout().flush()?;
        input.recv().await.ok_or("nobody says that it may begin")?;
        let end = CancellationToken::new();
        let told = async {
            while input.recv().await.is_some() {}
            end.cancel();
        };
        let flushing = async {
            let mut ticks = interval(FLUSH);
            loop {
                ticks.tick().await;
                out.flush();
            }
        };
        let working = async { tokio::join!(worker.run_until(end.clone()), told).0 };
        tokio::select! {
            worked = working => worked?,
            () = flushing => {}
        }
        out.flush();
        Ok(())
    }
}

/// The bytes of standard input, until it ends. The thread that reads them ends with the process.
fn input() -> Result<mpsc::Receiver<u8>> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::Builder::new()
        .name("loadtest-input".into())
        .spawn(move || {
            for byte in std::io::stdin().lock().bytes().map_while(Result::ok) {
                if sender.blocking_send(byte).is_err() {
                    return;
                }
            }
        })?;
    Ok(receiver)
}
