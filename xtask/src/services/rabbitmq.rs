//! RabbitMQ: where its programs are, and how a node of ours is told apart from every other.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::install::{Need, install};
use super::ports::TO_BUS;
use super::programs::on_path;

/// Where packages put the program itself. On Debian what is on PATH is a wrapper that becomes the user
/// `rabbitmq` and uses the system's folders.
const KNOWN: [&str; 3] = [
    "/usr/lib/rabbitmq/bin/rabbitmq-server",
    "/usr/local/opt/rabbitmq/sbin/rabbitmq-server",
    "/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
];
/// How long a node that accepts a connection may take to say the first word.
const FIRST_WORD: Duration = Duration::from_secs(1);

/// The programs.
pub(super) struct Rabbit {
    pub(super) server: PathBuf,
    /// Erlang's port mapper.
    pub(super) mapper: PathBuf,
}

impl Rabbit {
    /// The server at this path, or the one that is installed; it is installed where there is none.
    pub(super) fn find_or_install(server: Option<&Path>) -> Result<Self, Vec<String>> {
        let server = server.map(given).transpose()?;
        if server.is_none() && installed().is_none() {
            install(&NEED)?;
        }
        let missing = |name: &str| {
            vec![format!(
                "{name} was installed but is not where it is looked for; {}",
                NEED.otherwise
            )]
        };
        let server = server.or_else(installed);
        Ok(Self {
            server: server.ok_or_else(|| missing("rabbitmq-server"))?,
            mapper: on_path("epmd").ok_or_else(|| missing("epmd"))?,
        })
    }

    /// What makes a node stand alone: names, ports, cookie and folders of its own, and no plugins.
    pub(super) fn variables(
        &self,
        name: &str,
        folder: &Path,
        port: u16,
        mapper: u16,
    ) -> Result<Vec<(&'static str, String)>, Vec<String>> {
        let failed = |error: std::io::Error| vec![format!("{name} could not be set up: {error}")];
        let plugins = folder.join("plugins");
        std::fs::write(&plugins, "[].").map_err(failed)?;
        let settings = format!(
            "listeners.tcp.default = 127.0.0.1:{port}\nlog.console = true\n\
             log.console.level = warning\nlog.file = false\n"
        );
        std::fs::write(folder.join("rabbitmq.conf"), settings).map_err(failed)?;
        let at = |name: &str| folder.join(name).display().to_string();
        Ok(vec![
            // The cookie lies here.
            ("HOME", folder.display().to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            ("ERL_EPMD_PORT", mapper.to_string()),
            // The node takes the place of the script that starts it, so that it is what we end.
            ("RUNNING_UNDER_SYSTEMD", "true".to_owned()),
            ("RABBITMQ_CONF_ENV_FILE", at("none")),
            ("RABBITMQ_CONFIG_FILE", at("rabbitmq")),
            ("RABBITMQ_DIST_PORT", (port + TO_BUS).to_string()),
            (
                "RABBITMQ_ENABLED_PLUGINS_FILE",
                plugins.display().to_string(),
            ),
            ("RABBITMQ_LOG_BASE", at("log")),
            ("RABBITMQ_MNESIA_BASE", at("data")),
            ("RABBITMQ_NODENAME", format!("{name}-{port}@localhost")),
            ("RABBITMQ_PID_FILE", at("pid")),
            (
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                format!("-setcookie {name}{port} -kernel inet_dist_use_interface {{127,0,0,1}}"),
            ),
        ])
    }
}

const NEED: Need<'_> = Need {
    what: "RabbitMQ, 3.10 or later",
    packages: &["rabbitmq-server"],
    otherwise: "set RABBITMQ_SERVER=/path/to/rabbitmq-server, with epmd on PATH",
};

fn given(path: &Path) -> Result<PathBuf, Vec<String>> {
    match std::path::absolute(path) {
        Ok(full) if full.is_file() => Ok(full),
        _ => Err(vec![format!(
            "RABBITMQ_SERVER is {}, which is not a file; set it to the path of a rabbitmq-server",
            path.display()
        )]),
    }
}

fn installed() -> Option<PathBuf> {
    let known = KNOWN.iter().map(PathBuf::from);
    known
        .into_iter()
        .find(|path| path.is_file())
        .or_else(|| on_path("rabbitmq-server"))
}

/// Whether anything accepts connections there.
pub(super) fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Whether a node answers the greeting of AMQP: it does so when it has started.
pub(super) fn answers(port: u16) -> bool {
    let greet = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(FIRST_WORD))?;
        stream.write_all(b"AMQP\0\0\x09\x01")?;
        let mut first = [0];
        stream.read_exact(&mut first)?;
        std::io::Result::Ok(first[0] == 1)
    };
    greet().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::given;

    #[test]
    fn a_given_server_that_is_not_there_is_an_error_and_names_the_variable() {
        let problems = given(Path::new("/no/such/rabbitmq-server")).unwrap_err();
        assert!(problems[0].contains("RABBITMQ_SERVER is /no/such/rabbitmq-server"));
    }
}
