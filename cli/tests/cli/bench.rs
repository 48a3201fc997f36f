//! A folder with a store, and the binary to be called in it.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// The longest that a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a call answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    /// Expects status 0, and answers standard output.
    #[track_caller]
    pub(crate) fn good(self) -> String {
        assert_eq!(self.status, 0, "{self:?}");
        self.stdout
    }

    /// Expects this status and a text on standard error.
    #[track_caller]
    pub(crate) fn refused(self, status: i32, text: &str) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.stderr.contains(text), "{text:?} is not in {self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        self
    }

    /// Expects status 0 and JSON Lines.
    #[track_caller]
    pub(crate) fn json(self) -> Vec<Value> {
        let text = self.good();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).expect(line))
            .collect()
    }
}

/// The store of the tests where it is not a file: a URL. Each bench has a namespace of its own there.
const STORE: &str = "TIDEMILL_TEST_STORE";

fn is_rabbitmq() -> bool {
    std::env::var_os(STORE).is_some_and(|url| url.to_string_lossy().starts_with("amqp"))
}

pub(crate) struct Bench {
    folder: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The binary with a clean environment, in the folder, without a broker.
    pub(crate) fn bare(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TIDEMILL_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.folder.path())
            .env("USER", "ada")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The binary on the bench's store.
    pub(crate) fn command(&self) -> Command {
        let mut command = self.bare();
        match std::env::var_os(STORE) {
            // RabbitMQ keeps messages alone.
            Some(url) if is_rabbitmq() => command
                .env("TIDEMILL_BROKER", url)
                .env("TIDEMILL_LEDGER", "sqlite:ledger.db?synchronous=off")
                .env("TIDEMILL_NAMESPACE", self.namespace()),
            Some(url) => command
                .env("TIDEMILL_BROKER", url)
                .env("TIDEMILL_NAMESPACE", self.namespace()),
            None => command.env("TIDEMILL_BROKER", "sqlite:test.db?synchronous=off"),
        };
        command
    }

    /// As unique as the folder. A file is not shared, and has the default one.
    fn namespace(&self) -> String {
        let name = self.folder.path().file_name().unwrap();
        name.to_string_lossy().trim_start_matches('.').to_owned()
    }

    /// How `tidemill check` names the bench's store.
    pub(crate) fn store_as_shown() -> String {
        match std::env::var_os(STORE) {
            Some(url) => format!("{} (redis)", url.to_string_lossy()),
            None => "sqlite:test.db (tidemill.sqlite)".to_owned(),
        }
    }

    /// Calls the binary on the bench's store.
    #[track_caller]
    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Answer {
        call(self.command().args(args), b"")
    }

    /// Calls it with words that have no spaces in them.
    #[track_caller]
    pub(crate) fn say(&self, words: &str) -> Answer {
        self.run(words.split_whitespace())
    }

    /// Puts a task in line and answers its id.
    #[track_caller]
    pub(crate) fn enqueue(&self, args: &[&str]) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mut all = vec!["enqueue"];
        all.extend(args);
        let id = format!("t{}", COUNT.fetch_add(1, Ordering::Relaxed));
        // What RabbitMQ itself keeps nobody can look at; its ledger keeps what has an id of its own.
        if is_rabbitmq() && !args.contains(&"--id") {
            all.extend(["--id", &id]);
        }
        self.run(all).good().trim().to_owned()
    }

    /// One task, as JSON.
    #[track_caller]
    pub(crate) fn task(&self, id: &str) -> Value {
        self.run(["task", "get", id, "-o", "json"]).json().remove(0)
    }

    /// Starts a worker.
    pub(crate) fn worker(&self) -> Running {
        Running::start(self.command().args(["worker", "--log-format", "json"]))
    }

    /// Waits until a task has ended: its log is followed to the end.
    #[track_caller]
    pub(crate) fn ended(&self, id: &str) -> Value {
        self.run(["task", "logs", "--follow", id]).good();
        self.task(id)
    }
}

/// Calls a command with this standard input.
#[track_caller]
pub(crate) fn call(command: &mut Command, stdin: &[u8]) -> Answer {
    if !stdin.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().unwrap();
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(stdin).unwrap();
    }
    let pid = pid_of(&child);
    let (sender, receiver) = sync_channel(1);
    thread::spawn(move || sender.send(child.wait_with_output()).ok());
    let Ok(output) = receiver.recv_timeout(PATIENCE) else {
        kill(pid, Signal::SIGKILL).ok();
        panic!("it does not end");
    };
    let output = output.unwrap();
    Answer {
        status: code(output.status),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

/// The exit status; a death by signal counts as -1.
fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(-1)
}

/// A process that runs until it is told to stop. Killed at the end of its test.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (sender, lines) = sync_channel(10_000);
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for stream in streams {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    sender.send(line).ok();
                }
            });
        }
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Waits for a line, on either stream, that contains a text.
    #[track_caller]
    pub(crate) fn line_with(&mut self, text: &str, patience: Duration) -> String {
        loop {
            match self.lines.recv_timeout(patience) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("no line with {text:?} in {:#?}", self.seen);
                }
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(pid_of(&self.child), signal).unwrap();
    }

    /// Waits for its end, and answers exit status and every line.
    #[track_caller]
    pub(crate) fn ended(mut self) -> (i32, Vec<String>) {
        // Both streams end with the process, and so do the lines.
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {:#?}", self.seen),
            }
        }
        let status = code(self.child.wait().unwrap());
        (status, std::mem::take(&mut self.seen))
    }

    /// Asks it to stop, and waits for that.
    #[track_caller]
    pub(crate) fn stop(self) -> (i32, Vec<String>) {
        self.signal(Signal::SIGTERM);
        self.ended()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
