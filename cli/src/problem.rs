//! How a command fails: what it tells on standard error, and its exit status.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use tidemill::telemetry::redact;

use crate::clean;

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The call or the configuration is wrong: status 2.
    Usage(Report),
    /// The operation failed: status 1.
    Failed(Report),
    /// Whoever read standard output has gone. Not an error: status 0.
    ReaderGone,
}

/// What is told: what went wrong, its causes, what to do.
#[derive(Debug, Default)]
pub(crate) struct Report {
    what: String,
    causes: Vec<String>,
    hint: Option<String>,
}

impl Problem {
    /// The call or the configuration is wrong.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::Usage(Report {
            what: what.into(),
            ..Report::default()
        })
    }

    /// The operation failed.
    pub(crate) fn failed(what: impl Into<String>) -> Self {
        Self::Failed(Report {
            what: what.into(),
            ..Report::default()
        })
    }

    /// Adds a cause.
    #[must_use]
    pub(crate) fn because(mut self, cause: impl Display) -> Self {
        if let Self::Usage(report) | Self::Failed(report) = &mut self {
            report.causes.push(cause.to_string());
        }
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Usage(report) | Self::Failed(report) = &mut self {
            report.hint = Some(hint.into());
        }
        self
    }

    /// Puts what was being done in front; what was told before becomes its cause.
    #[must_use]
    pub(crate) fn during(mut self, doing: impl Display) -> Self {
        if let Self::Usage(report) | Self::Failed(report) = &mut self {
            let cause = std::mem::replace(&mut report.what, doing.to_string());
            report.causes.insert(0, cause);
        }
        self
    }

    /// What went wrong, why, and what to do, for a log.
    pub(crate) fn in_one_line(&self) -> String {
        let (Self::Usage(report) | Self::Failed(report)) = self else {
            return "nobody reads any more".into();
        };
        let parts = [&report.what].into_iter().chain(&report.causes);
        let parts = parts.chain(&report.hint).map(String::as_str);
        parts.collect::<Vec<_>>().join("; ")
    }

    /// Puts the place of what is wrong in front of what is wrong.
    #[must_use]
    pub(crate) fn at(mut self, place: impl Display) -> Self {
        if let Self::Usage(report) | Self::Failed(report) = &mut self {
            report.what = format!("{place}: {}", report.what);
        }
        self
    }

    /// The exit status.
    pub(crate) fn status(&self) -> ExitCode {
        match self {
            Self::ReaderGone => ExitCode::SUCCESS,
            Self::Failed(_) => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(2),
        }
    }

    /// Tells it on standard error, and gives the exit status.
    pub(crate) fn tell(&self) -> ExitCode {
        let (Self::Usage(report) | Self::Failed(report)) = self else {
            return self.status();
        };
        let mut text = format!("error: {}\n", clean::block(&report.what));
        for cause in &report.causes {
            let cause = clean::block(cause);
            // A message often ends with the cause that stands behind it.
            if !text.contains(without_code(&cause)) {
                text.push_str(&format!("cause: {cause}\n"));
            }
        }
        if let Some(hint) = &report.hint {
            text.push_str(&format!("hint: {}\n", clean::block(hint)));
        }
        // When even standard error is gone, the exit status has to say it all.
        io::stderr().write_all(redact::text(&text).as_bytes()).ok();
        self.status()
    }
}

/// A cause without the number that SQLite puts in front of the same words.
fn without_code(cause: &str) -> &str {
    let rest = cause.strip_prefix("Error code ");
    rest.and_then(|rest| rest.split_once(": "))
        .map_or(cause, |(_, words)| words)
}

/// What to do about an error of a store.
fn remedy(error: &tidemill::Error) -> Option<&'static str> {
    use tidemill::ErrorKind;
    let text = error.to_string();
    if text.contains("read-only") {
        return Some(
            "make the file and its folder writable for this user, or choose another path with --broker",
        );
    }
    if error.operation() == "ask the API" {
        return remedy_of_api(&text, error.kind());
    }
    match error.kind() {
        ErrorKind::Invalid
            if error.operation() == "open"
                && !text.contains("make it first")
                && !text.contains("ACL") =>
        {
            Some("choose another path with --broker")
        }
        ErrorKind::Corrupt => {
            Some("restore the store from a backup, or choose another one with --broker")
        }
        ErrorKind::Unavailable if error.operation() == "connect" => Some(
            "check that the server runs, that this host may reach it, and what --broker or TIDEMILL_BROKER names",
        ),
        // A file that cannot be opened does not mend itself, unless somebody else writes it. A server
        // may.
        ErrorKind::Unavailable
            if error.operation() == "open"
                && !text.contains("another process")
                && !text.contains("redis") =>
        {
            Some(
                "check that this user may read and write the file and its folder, or choose another path with --broker",
            )
        }
        _ if error.is_transient() => Some("the same call may succeed later"),
        _ => None,
    }
}

/// What to do about what a service said, or did not say.
fn remedy_of_api(text: &str, kind: tidemill::ErrorKind) -> Option<&'static str> {
    use tidemill::ErrorKind;
    if text.starts_with("401") && text.contains("X-Timestamp") {
        return Some(
            "check that the clock of this machine is right, and that its version is that of the service",
        );
    }
    if text.starts_with("401") {
        return Some(
            "set TIDEMILL_TOKEN, or token_file in the configuration file, to a token of that service",
        );
    }
    if text.starts_with("421") {
        return Some("start the service with --host and the name under which it is called here");
    }
    match kind {
        ErrorKind::Unavailable | ErrorKind::Timeout => {
            Some("check that `tidemill control` runs there, and what --api or TIDEMILL_API names")
        }
        ErrorKind::Fenced => {
            Some("this takes a token with more rights; `tidemill token create` makes one")
        }
        _ => None,
    }
}

impl From<tidemill::Error> for Problem {
    fn from(error: tidemill::Error) -> Self {
        use tidemill::ErrorKind;
        let problem = match error.kind() {
            ErrorKind::Invalid | ErrorKind::Unsupported => Self::usage(error.to_string()),
            _ => Self::failed(format!("failed to {}: {error}", error.operation())),
        };
        let mut source = std::error::Error::source(&error);
        let mut problem = problem;
        while let Some(cause) = source {
            problem = problem.because(cause);
            source = cause.source();
        }
        match remedy(&error) {
            Some(remedy) => problem.hint(remedy),
            None => problem,
        }
    }
}

impl From<io::Error> for Problem {
    /// An error of standard output.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ReaderGone;
        }
        Self::failed("failed to write to standard output").because(error)
    }
}
