//! What most commands need: the store, opened, and standard output.

use std::path::Path;

use tidemill::ledger::Ledger;
use tidemill::{Broker, Clock, Connect, Connection, Inspect};

use crate::output::Out;
use crate::problem::Problem;
use crate::settings::Settings;

/// Where `tidemill dev` keeps its file, and where every other command looks when no broker is named.
pub(crate) const DEV_FOLDER: &str = ".tidemill";
pub(crate) const DEV_FILE: &str = ".tidemill/dev.db";
pub(crate) const DEV_URL: &str = "sqlite:.tidemill/dev.db";

/// Whether a command may make a store that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It makes it.
    Create,
    /// It would only ever find it empty, so a missing file is a mistyped one.
    Refuse,
}

/// An open store, and standard output.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) connection: Connection,
    pub(crate) out: Out,
}

impl Context {
    /// Opens the store that the settings name.
    pub(crate) async fn open(settings: Settings, missing: Missing) -> Result<Self, Problem> {
        let url = broker_url(&settings)?;
        if url.starts_with("memory:") {
            return Err(Problem::usage(
                "memory: is seen by one process alone, and this one ends at once",
            )
            .hint("use sqlite:PATH or redis://HOST, which several processes share"));
        }
        if missing == Missing::Refuse {
            // A wrong URL is told as such, though its file is missing too.
            to(&settings, &url).check().map_err(cannot_open)?;
            refuse_missing(&url)?;
        }
        let connection = connect(&settings, &url).await?;
        Ok(Self {
            settings,
            connection,
            out: Out::new(),
        })
    }

    pub(crate) fn broker(&self) -> &dyn Broker {
        &*self.connection.broker
    }

    pub(crate) fn ledger(&self) -> &dyn Ledger {
        &*self.connection.ledger
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.connection.clock
    }

    /// The operator's view of the broker.
    pub(crate) fn inspect(&self) -> Result<&dyn Inspect, Problem> {
        self.connection.broker.inspect().ok_or_else(|| {
            Problem::usage("this broker cannot list, look up or change tasks")
                .hint("use sqlite:PATH or redis://HOST")
        })
    }
}

/// The URL of the broker that is meant.
pub(crate) fn broker_url(settings: &Settings) -> Result<String, Problem> {
    if let Some(url) = &settings.broker {
        return Ok(url.clone());
    }
    if Path::new(DEV_FILE).exists() {
        return Ok(DEV_URL.into());
    }
    Err(Problem::usage("no broker is named").hint(
        "pass --broker with sqlite:PATH or redis://HOST, or set TIDEMILL_BROKER, or put \
         broker = \"sqlite:PATH\" into tidemill.toml; or start `tidemill dev` in this folder, whose \
         file is then found by itself",
    ))
}

/// Opens a store.
pub(crate) async fn connect(settings: &Settings, url: &str) -> Result<Connection, Problem> {
    to(settings, url).open().await.map_err(cannot_open)
}

/// The same for a process that runs until it is told to stop: it may be started before its broker.
pub(crate) async fn connect_patiently(
    settings: &Settings,
    url: &str,
) -> Result<Connection, Problem> {
    let connect = to(settings, url).patiently();
    connect.open().await.map_err(cannot_open)
}

fn to(settings: &Settings, url: &str) -> Connect {
    let connect = Connect::to(url).namespace(&settings.namespace);
    match &settings.ledger {
        Some(ledger) => connect.ledger(ledger),
        None => connect,
    }
}

fn cannot_open(error: tidemill::Error) -> Problem {
    Problem::from(error).during("the broker cannot be opened")
}

fn refuse_missing(url: &str) -> Result<(), Problem> {
    let Some(rest) = url.strip_prefix("sqlite:") else {
        return Ok(());
    };
    let path = rest.split('?').next().unwrap_or(rest);
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || Path::new(path).exists() {
        return Ok(());
    }
    Err(Problem::failed(format!("the broker's file {path} does not exist")).hint(
        "check the path; `tidemill enqueue`, `worker`, `producer` and `schedule apply` make the file",
    ))
}

/// Whether a URL says who may come in: user and password in front of the host, or a setting.
pub(crate) fn has_secrets(url: &str) -> bool {
    url.contains("://") && (url.contains('@') || url.contains("password="))
}

/// A URL as it may be shown: without user and password, and without its settings.
pub(crate) fn without_secrets(url: &str) -> String {
    let url = url.split('?').next().unwrap_or(url);
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        _ => url.to_owned(),
    }
}
