//! All servers of one run, in one temporary folder.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tidemill_rabbit_node::{Node, mapper_arguments};

use super::ports::{Ports, TO_BUS};
use super::process::{Process, answer, end_all};
use super::programs::Programs;
use super::rabbitmq::Rabbit;
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

    /// Starts Erlang's port mapper on a free port; says which port.
    pub(super) fn port_mapper(&mut self, name: &str, program: &Path) -> Result<u16, Vec<String>> {
        let (name, port) = (format!("{name}-epmd"), self.ports.take()?.release());
        let folder = self.folder_for(&name)?;
        let arguments = mapper_arguments(port);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let process = Process::start(&name, program, &arguments, &folder)?;
        self.processes.push(process);
        let is_there = |_: &Self| Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        self.wait_until("the port mapper of Erlang answers", is_there)?;
        Ok(port)
    }

    /// A node of RabbitMQ of this name, on free ports, that does not run yet.
    pub(super) fn node(&mut self, name: &str, mapper: u16) -> Result<Node, Vec<String>> {
        let port = self.ports.take()?.release();
        Ok(Node {
            name: name.to_owned(),
            folder: self.folder_for(name)?,
            port,
            distribution: port + TO_BUS,
            mapper,
            // Nodes that share a mapper may become a cluster.
            cookie: format!("tidemill{mapper}"),
            settings: "log.console.level = warning\n".to_owned(),
            flags: String::new(),
        })
    }

    /// Starts it.
    pub(super) fn rabbitmq(&mut self, node: &Node, rabbit: &Rabbit) -> Outcome {
        let failed = |error| vec![format!("{} could not be set up: {error}", node.name)];
        let variables = node.prepare().map_err(failed)?;
        let process =
            Process::start_with(&node.name, &rabbit.server, &[], &variables, &node.folder)?;
        self.processes.push(process);
        Ok(())
    }

    /// Starts a program of Erlang that knows the names of these nodes as `Nodes` and can call them; whoever calls
    /// owns it.
    pub(super) fn erlang(
        &self,
        nodes: &[Node],
        rabbit: &Rabbit,
        program: &str,
    ) -> Result<Process, Vec<String>> {
        let first = nodes
            .first()
            .ok_or_else(|| vec!["there is no node".to_owned()])?;
        let names = nodes.iter().map(|node| format!("'{}'", node.full_name()));
        let names: Vec<String> = names.collect();
        let program = format!("Nodes = [{}], {program}", names.join(", "));
        let name = format!("erlang-{}@localhost", first.mapper);
        // None of the nodes counts a hidden one.
        let mut arguments = vec!["-noshell", "-hidden", "-sname", &name];
        arguments.extend(["-setcookie", &first.cookie]);
        arguments.extend(["-kernel", "inet_dist_use_interface", "{127,0,0,1}"]);
        arguments.extend(["-eval", &program]);
        let variables = [
            ("HOME", self.folder.path().display().to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            ("ERL_EPMD_PORT", first.mapper.to_string()),
        ];
        Process::start_with(
            "erlang",
            &rabbit.erl,
            &arguments,
            &variables,
            self.folder.path(),
        )
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
