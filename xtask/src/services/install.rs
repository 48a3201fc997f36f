//! What is missing, installed from the system's packages.

use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};

use crate::step::{Outcome, shown};

/// The packages that start a server of their own, and its port.
const OWN_SERVICES: [(&str, u16); 5] = [
    ("redis-server", 6379),
    ("rabbitmq-server", 5672),
    ("prometheus", 9090),
    ("prometheus-alertmanager", 9093),
    ("prometheus-redis-exporter", 9121),
];

/// What tests need from the system.
pub(super) struct Need<'a> {
    /// In words.
    pub(super) what: &'a str,
    /// The packages of Debian that have it.
    pub(super) packages: &'a [&'a str],
    /// What to do where these cannot be installed.
    pub(super) otherwise: &'a str,
}

/// Installs packages with apt-get, as root or through a sudo that does not ask.
///
/// Their services are not started, or stopped again: the tests have servers of their own.
pub(super) fn install(need: &Need<'_>) -> Outcome {
    let packages = need.packages;
    let Some(become_root) = way_to_root() else {
        return Err(vec![by_hand(
            need,
            "this needs apt-get, and root or a sudo without a password",
        )]);
    };
    eprintln!(
        "not there, so installed now with apt-get: {}",
        packages.join(" ")
    );
    let free = OWN_SERVICES.map(|(_, port)| is_free(port));
    let apt = |arguments: &[&str]| {
        // Runlevel 1 keeps package scripts from starting services, where no policy-rc.d does.
        let mut command = as_root(&become_root);
        command.args(["DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get"]);
        command.args(arguments);
        run(command)
    };
    // A foreign package source that is out of order must not be in the way of Debian's own.
    if let Err(problems) = apt(&["update"]) {
        eprintln!(
            "{}; going on with the lists that are there",
            problems.join("; ")
        );
    }
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    // Another installation that is under way is waited for.
    arguments.extend(["-o", "DPkg::Lock::Timeout=120"]);
    arguments.extend(packages);
    apt(&arguments).map_err(|problems| vec![by_hand(need, &problems.join("; "))])?;
    for ((service, port), was_free) in OWN_SERVICES.into_iter().zip(free) {
        if !packages.contains(&service) {
            continue;
        }
        let mut stop = as_root(&become_root);
        stop.args(["service", service, "stop"]);
        stop.stdout(Stdio::null()).stderr(Stdio::null());
        // Where it does not run there is nothing to stop; what counts is the port.
        drop(stop.status());
        if was_free && !is_free(port) {
            return Err(vec![format!(
                "the package's own {service} was started on port {port} and could not be stopped; \
                 stop it with `service {service} stop` and run this again"
            )]);
        }
    }
    Ok(())
}

/// The command before a command that makes it root's; none where there is no way.
fn way_to_root() -> Option<Vec<&'static str>> {
    if !succeeds(Command::new("apt-get").arg("--version")) {
        None
    } else if nix::unistd::geteuid().is_root() {
        Some(vec!["env"])
    } else if succeeds(Command::new("sudo").args(["-n", "true"])) {
        Some(vec!["sudo", "-n", "env"])
    } else {
        None
    }
}

fn as_root(prefix: &[&str]) -> Command {
    let mut command = Command::new(prefix.first().unwrap_or(&"env"));
    command.args(prefix.iter().skip(1));
    command
}

fn by_hand(need: &Need<'_>, why: &str) -> String {
    let packages = need.packages.join(" ");
    let Need {
        what, otherwise, ..
    } = need;
    format!(
        "the tests need {what}, which could not be installed: {why}; install {packages} by hand \
         (Debian and Ubuntu: `apt-get install {packages}`), or {otherwise}"
    )
}

/// Standard output belongs to the variables that `cargo xtask services` prints.
fn run(mut command: Command) -> Outcome {
    let shown = shown(&command);
    eprintln!("--- {shown}");
    match command.stdout(std::io::stderr()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(vec![format!("`{shown}` ended with {status}")]),
        Err(error) => Err(vec![format!("`{shown}` could not be started: {error}")]),
    }
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn is_free(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err()
}

#[cfg(test)]
mod tests {
    use super::{Need, by_hand};

    #[test]
    fn the_error_says_what_to_install_and_what_to_set() {
        let need = Need {
            what: "a server",
            packages: &["redis-server", "redis-tools"],
            otherwise: "set REDIS_SERVER=/path/to/redis-server",
        };
        let text = by_hand(&need, "no apt-get");
        assert!(text.contains("`apt-get install redis-server redis-tools`"));
        assert!(text.contains("REDIS_SERVER="));
    }
}
