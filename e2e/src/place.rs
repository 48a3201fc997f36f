//! Where a store is.

use std::path::Path;
use std::process::Command;

use tidemill::{Connect, Connection};

use crate::Result;

/// A broker, what is kept beside it, and under which name.
#[derive(Clone, Debug)]
pub struct Place {
    url: String,
    ledger: Option<String>,
    namespace: String,
}

/// Who gives tasks their ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ids {
    /// Whoever enqueues, so that an enqueue whose outcome is unknown can be repeated.
    #[default]
    Caller,
    /// The library. Only such tasks travel through RabbitMQ.
    Library,
}

impl Place {
    /// A new one that a test has to itself: a namespace of the store that `TIDEMILL_TEST_STORE` names, beside
    /// the ledger that `TIDEMILL_TEST_LEDGER` names, or else a file in this folder.
    #[must_use]
    pub fn fresh(folder: &Path) -> Self {
        let Some(url) = told("TIDEMILL_TEST_STORE") else {
            return Self::file(&folder.join("tasks.db"));
        };
        // As unique as the folder.
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        Self {
            ledger: told("TIDEMILL_TEST_LEDGER"),
            ..Self::at(&url, name.trim_start_matches('.'))
        }
    }

    /// A file.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self::at(&format!("sqlite:{}", path.display()), "default")
    }

    /// A namespace of any store.
    #[must_use]
    pub fn at(url: &str, namespace: &str) -> Self {
        Self {
            url: url.to_owned(),
            ledger: None,
            namespace: namespace.to_owned(),
        }
    }

    /// The same beside a ledger, as RabbitMQ needs one.
    #[must_use]
    pub fn beside(mut self, ledger: &str) -> Self {
        self.ledger = Some(ledger.to_owned());
        self
    }

    /// The same with these settings of the broker's URL.
    #[must_use]
    pub fn with(mut self, settings: &str) -> Self {
        let joint = if self.url.contains('?') { '&' } else { '?' };
        self.url = format!("{}{joint}{settings}", self.url);
        self
    }

    /// Tells a program of this workspace, and keeps from it what the environment says.
    pub(crate) fn tell(&self, command: &mut Command) {
        for name in ["CONFIG", "LEDGER"] {
            command.env_remove(format!("TIDEMILL_{name}"));
        }
        command
            .env("TIDEMILL_BROKER", &self.url)
            .env("TIDEMILL_NAMESPACE", &self.namespace);
        if let Some(ledger) = &self.ledger {
            command.env("TIDEMILL_LEDGER", ledger);
        }
    }

    /// Opens it.
    pub async fn connect(&self) -> Result<Connection> {
        let mut connect = Connect::to(&self.url).namespace(&self.namespace);
        if let Some(ledger) = &self.ledger {
            connect = connect.ledger(ledger);
        }
        Ok(connect.open().await?)
    }

    /// Who gives ids here: beside a ledger the library does, or RabbitMQ would have nothing to do.
    #[must_use]
    pub const fn ids(&self) -> Ids {
        match self.ledger {
            Some(_) => Ids::Library,
            None => Ids::Caller,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "`cargo xtask test` says where, as a test has no arguments"
)]
fn told(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl From<&str> for Place {
    fn from(url: &str) -> Self {
        Self::at(url, "default")
    }
}

impl From<&String> for Place {
    fn from(url: &String) -> Self {
        url.as_str().into()
    }
}

impl From<&Self> for Place {
    fn from(place: &Self) -> Self {
        place.clone()
    }
}
