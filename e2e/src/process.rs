//! A process that never outlives its test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::{Result, until};

/// A child process whose output goes to files. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    out: Option<PathBuf>,
    err: PathBuf,
}

impl Process {
    /// Starts a program; its output goes to `NAME.out` and `NAME.err` in this folder.
    pub fn spawn(name: &str, command: &mut Command, folder: &Path) -> Result<Self> {
        let (out, err) = (
            folder.join(format!("{name}.out")),
            folder.join(format!("{name}.err")),
        );
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&out)?)
            .stderr(File::create(&err)?)
            .spawn()
            .map_err(|error| format!("{name} could not be started: {error}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            out: Some(out),
            err,
        })
    }

    /// Starts a program, and hands over the reading end of its standard output.
    pub fn spawn_with_pipe(
        name: &str,
        command: &mut Command,
        folder: &Path,
    ) -> Result<(Self, ChildStdout)> {
        let err = folder.join(format!("{name}.err"));
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&err)?)
            .spawn()
            .map_err(|error| format!("{name} could not be started: {error}"))?;
        let pipe = child.stdout.take().ok_or("the child has no pipe")?;
        let name = name.to_owned();
        Ok((
            Self {
                name,
                child,
                out: None,
                err,
            },
            pipe,
        ))
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it with SIGKILL, and returns when it is gone.
    pub fn kill(&mut self) -> Result {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result {
        let id = i32::try_from(self.child.id())?;
        Ok(signal::kill(Pid::from_raw(id), signal)?)
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Waits for its own end; an error when that takes longer than the limit.
    pub async fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("{} to end", self.name);
        until(&what, limit, async || Ok(self.child.try_wait()?)).await
    }

    /// What it has written to standard output; nothing when that is a pipe.
    pub fn output(&self) -> Result<String> {
        let bytes = self.out.as_ref().map_or(Ok(Vec::new()), std::fs::read)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What it has written to standard error.
    pub fn errors(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(&self.err)?).into_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
