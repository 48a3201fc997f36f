//! What a command is: the payload.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidemill_shared::{TRACEPARENT, TRACESTATE, Task, seconds_text};

use crate::{Failure, RunContext};

/// The longest `kill_after`.
const MAX_KILL_AFTER: Duration = Duration::from_secs(60);

/// The payload of `command`: a program and its surroundings.
///
/// The program inherits the worker's environment, with `TIDEMILL_TASK_ID`, `TIDEMILL_ATTEMPT` and
/// `TIDEMILL_IDEMPOTENCY_TOKEN` added, for a fire `TIDEMILL_SCHEDULE_ID` and
/// `TIDEMILL_SCHEDULED_AT`, and `TRACEPARENT` when the task has one. No shell is involved; one that
/// is wanted is named: `["sh", "-c", "…"]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program (a path, or a name that is looked up in `PATH`) and its arguments.
    pub argv: Vec<String>,
    /// Added to the environment. Default none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Working folder. Default the worker's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<PathBuf>,
    /// Standard input. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Bytes of output, line ends included, that the log keeps; what is beyond is counted. Default
    /// 1,000,000, which is just below what a worker lets one attempt write in all: 1 MiB unless set
    /// otherwise, and 200,000 lines.
    #[serde(default = "default_max_output")]
    pub max_output: u64,
    /// From SIGTERM to SIGKILL. Default 5 s, at most 60 s.
    #[serde(default = "default_kill_after", with = "seconds_text")]
    pub kill_after: Duration,
}

fn default_max_output() -> u64 {
    1_000_000
}

fn default_kill_after() -> Duration {
    Duration::from_secs(5)
}

impl Task for Command {
    const KIND: &'static str = "command";
}

impl Command {
    /// A command with the defaults.
    pub fn new<T: Into<String>>(argv: impl IntoIterator<Item = T>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            cwd: None,
            stdin: None,
            max_output: default_max_output(),
            kill_after: default_kill_after(),
        }
    }

    /// The program's name as it was given.
    pub(super) fn program(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }

    /// Rejects what could never run.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let reject = |message: String| Err(Failure::reject(message).with_class("payload"));
        if self.program().is_empty() {
            return reject("argv is empty; expected a program and its arguments".into());
        }
        if self.argv.iter().any(|argument| argument.contains('\0')) {
            return reject(
                "an argument holds a NUL character, which no program can be given".into(),
            );
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return reject(format!("the environment variable {name:?} cannot be set"));
            }
        }
        if self.kill_after > MAX_KILL_AFTER {
            return reject("kill_after is over 60s".into());
        }
        if let Some(folder) = &self.cwd {
            // Told apart from a missing program, which answers with the same error.
            if !folder.is_dir() {
                return reject(format!(
                    "the working folder {} does not exist",
                    folder.display()
                ));
            }
        }
        Ok(())
    }

    /// The process, not yet started.
    pub(super) fn process(&self) -> tokio::process::Command {
        let mut process = tokio::process::Command::new(self.program());
        process.args(self.argv.iter().skip(1)).envs(&self.env);
        if let Some(folder) = &self.cwd {
            process.current_dir(folder);
        }
        process
    }

    /// What the program is told about its task.
    pub(super) fn identity(&self, run: &RunContext) -> Vec<(&'static str, String)> {
        let mut identity = vec![
            ("TIDEMILL_TASK_ID", run.task_id().to_string()),
            ("TIDEMILL_ATTEMPT", run.attempt().to_string()),
            (
                "TIDEMILL_IDEMPOTENCY_TOKEN",
                run.idempotency_token().to_owned(),
            ),
        ];
        let mut known =
            |name, value: Option<String>| identity.extend(value.map(|value| (name, value)));
        known(
            "TIDEMILL_SCHEDULE_ID",
            run.schedule_id().map(ToString::to_string),
        );
        known(
            "TIDEMILL_SCHEDULED_AT",
            run.scheduled_at().map(|at| at.to_string()),
        );
        // Names of other case and value are for programs that follow the OpenTelemetry proposal for
        // environment variables as carriers.
        let mut trace = run.trace_headers();
        trace.retain(|_, value| !value.contains('\0'));
        known("TRACEPARENT", trace.remove(TRACEPARENT));
        known("TRACESTATE", trace.remove(TRACESTATE));
        identity
    }

    /// Why the program could not be started, and whether that may change.
    pub(super) fn not_started(&self, error: &io::Error) -> Failure {
        use io::ErrorKind;
        let message = format!("{} cannot be run: {error}", self.program());
        match error.kind() {
            ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::ArgumentListTooLong
            | ErrorKind::InvalidInput => Failure::reject(message).with_class("spawn"),
            // An executable of another format; std has no stable kind for ENOEXEC.
            _ if error.raw_os_error() == Some(nix::errno::Errno::ENOEXEC as i32) => {
                Failure::reject(message).with_class("spawn")
            }
            _ => Failure::class("spawn", message),
        }
    }
}
