//! What most commands need: the store, opened, and standard output.

use std::path::Path;
use std::sync::Arc;

use tidemill::ledger::Ledger;
use tidemill::telemetry::Metrics;
use tidemill::{
    Broker, Clock, Connect, Connection, Inspect, ScheduleId, SystemClock, TaskId, TaskRecord,
};
use tidemill_control::{Finding, Remote};

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
    /// The service that commands go through, where it is not the store itself.
    pub(crate) remote: Option<Remote>,
    pub(crate) out: Out,
}

impl Context {
    /// Opens the store that the settings name.
    pub(crate) async fn open(settings: Settings, missing: Missing) -> Result<Self, Problem> {
        if let Some(api) = &settings.api {
            let remote = Remote::new(api, Arc::new(SystemClock))?;
            return Ok(Self {
                connection: remote.connection(),
                remote: Some(remote),
                settings,
                out: Out::new(),
            });
        }
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
            remote: None,
            out: Out::new(),
        })
    }

    /// The store, as people may see it.
    pub(crate) fn title(&self) -> String {
        if let Some(api) = &self.settings.api {
            return api.url.clone();
        }
        let url = broker_url(&self.settings).unwrap_or_default();
        let namespace = &self.settings.namespace;
        format!("{}  namespace {namespace}", without_secrets(&url))
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

impl Context {
    /// Why a task is where it is.
    pub(crate) async fn why(&self, task: &TaskRecord) -> Result<Vec<Finding>, Problem> {
        Ok(match &self.remote {
            Some(remote) => remote.why(&task.envelope.id).await?,
            None => tidemill_control::why(&self.connection, task).await?,
        })
    }

    /// Fires a schedule now.
    pub(crate) async fn fire(&self, schedule: &ScheduleId) -> Result<TaskId, Problem> {
        Ok(match &self.remote {
            Some(remote) => remote.fire(schedule).await?,
            None => tidemill::run_now(&self.connection, schedule).await?,
        })
    }
}

/// The URL of the broker that is meant.
pub(crate) fn broker_url(settings: &Settings) -> Result<String, Problem> {
    if let Some(api) = &settings.api {
        return Err(
            Problem::usage("this is done at the broker, and not through an API").hint(format!(
                "name the broker with --broker; the API that is named is {}",
                api.url
            )),
        );
    }
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
    let opened = to(settings, url).open().await.map_err(cannot_open)?;
    Ok(traced(settings, opened))
}

/// The metrics of a role, which tell of its store as down until it is there.
pub(crate) fn metrics(role: &str, settings: &Settings, url: &str) -> Result<Metrics, Problem> {
    let metrics = Metrics::new(role);
    metrics.wait_for(to(settings, url).system().map_err(cannot_open)?);
    Ok(metrics)
}

/// What is done with the store is recorded, where the environment says so.
fn traced(settings: &Settings, connection: Connection) -> Connection {
    match &settings.traces {
        Some(traces) => traces.watch(&connection),
        None => connection,
    }
}

/// The same for a process that runs until it is told to stop: it may be started before its broker.
pub(crate) async fn connect_patiently(
    settings: &Settings,
    url: &str,
) -> Result<Connection, Problem> {
    let connect = to(settings, url).patiently();
    let opened = connect.open().await.map_err(cannot_open)?;
    Ok(traced(settings, opened))
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
