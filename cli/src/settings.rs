//! What a command works with: flags over environment over configuration file.

mod file;
mod locate;
mod places;
mod schedules;
mod trial;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use tidemill::Namespace;
use tidemill::telemetry::Traces;
use tidemill_control::ApiSettings;

pub(crate) use file::{
    BoundsTable, ControlSettings, DeadSettings, ProducerSettings, WorkerSettings,
};
pub(crate) use schedules::{ScheduleSource, Stamp, named_files, parse_source, read_sources, stamp};
pub(crate) use trial::{try_producer, try_worker};

use crate::grammar::{GlobalArgs, LogFormat};
use crate::logging::{self, LostLines};
use crate::metrics::MetricsAddress;
use crate::problem::Problem;
use locate::line_of_key;

/// The configuration file that is used when it stands in the current folder and no other is named.
const DEFAULT_FILE: &str = "tidemill.toml";

/// The settings of a command.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// The configuration file, if one is used.
    pub(crate) file: Option<PathBuf>,
    /// What stands in it.
    text: String,
    /// The broker, if one is named.
    pub(crate) broker: Option<String>,
    /// The ledger, if one is named.
    pub(crate) ledger: Option<String>,
    /// The HTTP API, if commands go through one.
    pub(crate) api: Option<ApiSettings>,
    pub(crate) namespace: Namespace,
    pub(crate) log_format: LogFormat,
    /// What is logged; `None` leaves it to the command.
    pub(crate) log: Option<String>,
    /// Where `/metrics` is served; `None` leaves it to the command.
    pub(crate) metrics: Option<MetricsAddress>,
    /// Lines that the log has dropped.
    pub(crate) lost_lines: LostLines,
    /// Where spans are sent, if anywhere.
    pub(crate) traces: Option<Traces>,
    pub(crate) worker: WorkerSettings,
    pub(crate) producer: ProducerSettings,
    pub(crate) control: ControlSettings,
    pub(crate) dead: DeadSettings,
    /// Who is named in audit lines.
    pub(crate) actor: String,
}

impl Settings {
    /// Reads the configuration file, if there is one, and lays flags and environment over it.
    pub(crate) fn resolve(flags: GlobalArgs) -> Result<Self, Problem> {
        let file = match flags.config {
            Some(path) => Some(path),
            None => Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()),
        };
        let text = file.as_deref().map(read_text).transpose()?;
        let form = match (&file, &text) {
            (Some(path), Some(text)) => file::parse(text, path)?,
            _ => file::FileForm::default(),
        };
        let profile = flags.profile.filter(|name| !name.is_empty());
        let form = match profile.or_else(|| form.default_profile.clone()) {
            Some(name) => form.with_profile(&name, file.as_deref())?,
            None => form,
        };
        let given = |flag: Option<String>, from_file: Option<String>| {
            flag.filter(|text| !text.is_empty()).or(from_file)
        };
        let log_of_file = form.log.clone();
        // Whoever names a broker on the command line means that, whatever the file says; and the reverse.
        let named_broker = flags.broker.as_ref().is_some_and(|url| !url.is_empty());
        let named_api = flags.api.filter(|url| !url.is_empty());
        if let (true, Some(api)) = (named_broker, &named_api) {
            return Err(
                Problem::usage("both a broker and an API are named").hint(format!(
                    "leave out --broker (TIDEMILL_BROKER) or --api (TIDEMILL_API), which is {api}"
                )),
            );
        }
        let url = named_api.or_else(|| form.api.filter(|_| !named_broker));
        let token = match flags.token.filter(|token| !token.is_empty()) {
            Some(token) => Some(token),
            None => form
                .token_file
                .filter(|_| url.is_some())
                .map(|path| read_token(&path, file.as_deref()))
                .transpose()?,
        };
        let api = url.map(|url| ApiSettings {
            url,
            token,
            reason: None,
        });
        let settings = Self {
            file,
            text: text.unwrap_or_default(),
            broker: given(flags.broker, form.broker),
            ledger: given(flags.ledger, form.ledger),
            api,
            namespace: flags.namespace.or(form.namespace).unwrap_or_default(),
            log_format: flags.log_format.or(form.log_format).unwrap_or_default(),
            log: given(flags.log, form.log),
            metrics: flags.metrics.or(form.metrics),
            lost_lines: LostLines::default(),
            traces: None,
            worker: form.worker,
            producer: form.producer,
            control: form.control,
            dead: form.dead,
            actor: flags
                .actor
                .or_else(user)
                .unwrap_or_else(|| "unknown".into()),
        };
        if let Some(directives) = log_of_file {
            let check = logging::check(&directives);
            check.map_err(|problem| problem.at(settings.place(&["log"])))?;
        }
        Ok(settings)
    }

    /// Where a key of the configuration file stands, and its name, such as
    /// `tidemill.toml:3: worker.lease`.
    fn place(&self, keys: &[&str]) -> String {
        let file = self.file.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
        let line = line_of_key(&self.text, keys);
        format!("{}:{line}: {}", file.display(), keys.join("."))
    }

    /// The schedules of the configuration file and of the files that it names; none without a file.
    pub(crate) fn schedules(&self) -> Result<Vec<ScheduleSource>, Problem> {
        match &self.file {
            Some(path) => read_sources(path),
            None => Ok(Vec::new()),
        }
    }
}

/// Reads a token from a file, whose path counts from the folder of the configuration file.
fn read_token(path: &Path, settings: Option<&Path>) -> Result<String, Problem> {
    let folder = settings.and_then(Path::parent).unwrap_or(Path::new(""));
    let path = folder.join(path);
    let text = std::fs::read_to_string(&path).map_err(|e| {
        Problem::usage(format!("{} cannot be read", path.display()))
            .because(e)
            .hint("token_file names a file that holds the token and nothing else; or set TIDEMILL_TOKEN")
    })?;
    Ok(text.trim().to_owned())
}

/// Reads a text file of settings.
/// The most that a file may hold: some 300,000 schedules.
const MAX_FILE: u64 = 64 << 20;

fn read_text(path: &Path) -> Result<String, Problem> {
    let shown = path.display();
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    read.map_err(|e| {
        Problem::usage(format!("{shown} cannot be read"))
            .because(e)
            .hint(
                "check the path that --config or TIDEMILL_CONFIG, `schedules` or the command names",
            )
    })?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Problem::usage(format!("{shown} is over {MAX_FILE} bytes"))
            .hint("divide it, and name the parts under `schedules`"));
    }
    String::from_utf8(bytes).map_err(|e| {
        Problem::usage(format!("{shown} is not UTF-8"))
            .because(format!(
                "byte {} is not part of a character",
                e.utf8_error().valid_up_to()
            ))
            .hint("save the file as UTF-8")
    })
}

/// The user whose process this is, as the system knows it.
fn user() -> Option<String> {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective());
    user.ok().flatten().map(|user| user.name)
}
