//! All servers of one run, in one temporary folder.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::ports::Ports;
use super::process::{Process, answer, end_all};
use super::programs::Programs;
use super::rabbitmq::{Rabbit, listens};
use crate::deadline::Deadline;
use crate::interrupts::Interrupts;
use crate::step::Outcome;

/// How long the servers may take until they can be used. They take a few seconds; a machine that
/// compiles meanwhile is slower.
const PATIENCE: Duration = Duration::from_secs(60);

/// The running servers. Dropping this ends them, and removes the folder after that.
pub(super) struct Servers<'a> {
    programs: Programs,
    ports: Ports,
    processes: Vec<Process>,
    interrupts: &'a Interrupts,
    folder: TempDir,
}

impl<'a> Servers<'a> {
    pub(super) fn new(programs: Programs, interrupts: &'a Interrupts) -> Result<Self, Vec<String>> {
        let folder = tempfile::Builder::new()
            .prefix("tidemill-services-")
            .tempdir()
            .map_err(|error| vec![format!("no temporary folder could be made: {error}")])?;
        Ok(Self {
            programs,
            ports: Ports::from(std::process::id()),
            processes: Vec::new(),
            interrupts,
            folder,
        })
    }

    /// Starts a server on a free port, with these settings besides; says which port.
    pub(super) fn redis(&mut self, name: &str, settings: &[&str]) -> Result<u16, Vec<String>> {
        let folder = self.folder_for(name)?;
        let port = self.ports.take()?.release();
        let number = port.to_string();
        let mut arguments = vec!["--port", &number, "--bind", "127.0.0.1", "--save", ""];
        arguments.extend(["--daemonize", "no"]);
        // A replica would wait for five seconds for others that might want the same copy.
        arguments.extend(["--repl-diskless-sync-delay", "0"]);
        arguments.extend(settings);
        let process = Process::start(name, &self.programs.server, &arguments, &folder)?;
        self.processes.push(process);
        Ok(port)
    }

    /// Starts a sentinel on a free port with this configuration; it is the server in another mode.
    pub(super) fn sentinel(&mut self, name: &str, settings: &str) -> Result<u16, Vec<String>> {
        let folder = self.folder_for(name)?;
        let port = self.ports.take()?.release();
        // A sentinel writes down what it finds, so it insists on a file of its own.
        let text = format!("port {port}\nbind 127.0.0.1\ndaemonize no\n{settings}");
        std::fs::write(folder.join("sentinel.conf"), text)
            .map_err(|error| vec![format!("{name} could not be configured: {error}")])?;
        let arguments = ["sentinel.conf", "--sentinel"];
        let process = Process::start(name, &self.programs.server, &arguments, &folder)?;
        self.processes.push(process);
        Ok(port)
    }

    /// Starts a node of RabbitMQ on a free port, under a cookie and a port mapper of its own; says which
    /// port.
    pub(super) fn rabbitmq(&mut self, name: &str, rabbit: &Rabbit) -> Result<u16, Vec<String>> {
        let folder = self.folder_for(name)?;
        let (node, mapper) = (self.ports.take()?.release(), self.ports.take()?.release());
        let number = mapper.to_string();
        // Started here, so that the node does not leave one behind.
        let arguments = ["-address", "127.0.0.1", "-port", &number];
        let process = Process::start(&format!("{name}-epmd"), &rabbit.mapper, &arguments, &folder)?;
        self.processes.push(process);
        self.wait_until("the port mapper of Erlang answers", |_| Ok(listens(mapper)))?;
        let variables = rabbit.variables(name, &folder, node, mapper)?;
        let process = Process::start_with(name, &rabbit.server, &[], &variables, &folder)?;
        self.processes.push(process);
        Ok(node)
    }

    /// Starts redis-cli for a job that takes longer; whoever calls owns it.
    pub(super) fn job(&self, name: &str, arguments: &[&str]) -> Result<Process, Vec<String>> {
        Process::start(name, &self.programs.cli, arguments, self.folder.path())
    }

    /// What the server on this port answers; nothing while it does not.
    pub(super) fn ask(&self, port: u16, words: &[&str]) -> String {
        let port = port.to_string();
        let mut arguments = vec!["-h", "127.0.0.1", "-p", &port];
        arguments.extend(words);
        answer(&self.programs.cli, &arguments)
    }

    /// Waits until this is so, as long as every server lives and nobody stops xtask.
    pub(super) fn wait_until(
        &mut self,
        what: &str,
        mut is_so: impl FnMut(&Self) -> Result<bool, Vec<String>>,
    ) -> Outcome {
        let deadline = Deadline::after(PATIENCE);
        while !is_so(self)? {
            self.check()?;
            if deadline.is_over() {
                let seconds = PATIENCE.as_secs();
                return Err(vec![format!(
                    "after {seconds} s it is still not so that {what}; is the machine overloaded?"
                )]);
            }
            self.interrupts.pause(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Waits until somebody stops xtask. A server that ends before is an error.
    pub(super) fn hold(&mut self) -> Outcome {
        while self.interrupts.wish().is_none() {
            self.check()?;
            self.interrupts.pause(Duration::from_secs(60));
        }
        Ok(())
    }

    fn check(&mut self) -> Outcome {
        self.interrupts.check()?;
        for process in &mut self.processes {
            if let Some(status) = process.end() {
                return Err(vec![process.obituary(status)]);
            }
        }
        Ok(())
    }

    fn folder_for(&self, name: &str) -> Result<PathBuf, Vec<String>> {
        let folder = self.folder.path().join(name);
        std::fs::create_dir(&folder)
            .map_err(|error| vec![format!("no folder for {name} could be made: {error}")])?;
        Ok(folder)
    }
}

impl Drop for Servers<'_> {
    fn drop(&mut self) {
        end_all(&mut self.processes, self.interrupts);
    }
}

/// The value of a `name:value` line, as INFO and CLUSTER INFO answer them.
pub(super) fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim_end)
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "# Replication\r\nrole:slave\r\nmaster_link_status:up\r\n";
        assert_eq!(field(text, "master_link_status"), Some("up"));
        assert_eq!(field(text, "master_link"), None);
    }
}
