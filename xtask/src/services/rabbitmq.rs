//! RabbitMQ: where its programs are.

use std::path::{Path, PathBuf};

use tidemill_rabbit_node::SERVER;

use super::install::{Need, install};
use super::programs::on_path;

/// Where packages put the program itself.
const KNOWN: [&str; 3] = [
    SERVER,
    "/usr/local/opt/rabbitmq/sbin/rabbitmq-server",
    "/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
];

/// The programs.
pub(super) struct Rabbit {
    pub(super) server: PathBuf,
    /// Erlang, and its port mapper.
    pub(super) erl: PathBuf,
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
            erl: on_path("erl").ok_or_else(|| missing("erl"))?,
            mapper: on_path("epmd").ok_or_else(|| missing("epmd"))?,
        })
    }
}

const NEED: Need<'_> = Need {
    what: "RabbitMQ, 3.10 or later",
    packages: &["rabbitmq-server"],
    otherwise: "set RABBITMQ_SERVER=/path/to/rabbitmq-server, with erl and epmd on PATH",
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
