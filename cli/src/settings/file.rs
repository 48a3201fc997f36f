//! The form of `tidemill.toml`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use tidemill::{Namespace, QueueName, seconds_text};
use toml::Spanned;

use crate::control::Auth;
use crate::grammar::LogFormat;
use crate::metrics::MetricsAddress;
use crate::problem::Problem;
use crate::settings::locate::wrong_toml;
use crate::values::WeightedQueue;
use crate::worker::Delayed;

/// Everything that the file may hold. Unknown keys are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FileForm {
    pub(super) broker: Option<String>,
    pub(super) ledger: Option<String>,
    pub(super) namespace: Option<Namespace>,
    pub(super) api: Option<String>,
    pub(super) token_file: Option<PathBuf>,
    /// The profile that is used when none is named.
    pub(super) default_profile: Option<String>,
    pub(super) profile: BTreeMap<String, Profile>,
    pub(super) log_format: Option<LogFormat>,
    pub(super) log: Option<String>,
    pub(super) metrics: Option<MetricsAddress>,
    /// The name under which the schedules of this file are owned; `file:` and the file's name when
    /// not given.
    pub(super) source: Option<String>,
    /// Further files with schedules, relative to this one.
    pub(super) schedules: Vec<PathBuf>,
    pub(super) worker: WorkerSettings,
    pub(super) producer: ProducerSettings,
    pub(super) control: ControlSettings,
    pub(super) dead: DeadSettings,
    pub(super) schedule: Vec<Spanned<toml::Value>>,
}

/// A table `[profile.NAME]`: one of several environments. What it names takes the place of the same at the
/// top of the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Profile {
    pub(super) broker: Option<String>,
    pub(super) ledger: Option<String>,
    pub(super) namespace: Option<Namespace>,
    pub(super) api: Option<String>,
    pub(super) token_file: Option<PathBuf>,
}

/// The table `[worker]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WorkerSettings {
    #[serde(deserialize_with = "queues")]
    pub(crate) queues: Vec<WeightedQueue>,
    pub(crate) strict: Option<bool>,
    pub(crate) concurrency: Option<usize>,
    #[serde(with = "seconds_text::option")]
    pub(crate) lease: Option<Duration>,
    #[serde(with = "seconds_text::option")]
    pub(crate) grace: Option<Duration>,
    pub(crate) delayed_trace: Option<Delayed>,
}

/// The table `[dead]`: within which bounds workers hold dead letters.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DeadSettings {
    #[serde(with = "seconds_text::option")]
    pub(crate) max_age: Option<Duration>,
    pub(crate) max_count: Option<u64>,
    pub(crate) max_bytes: Option<u64>,
    /// A file to which what goes is appended first.
    pub(crate) export: Option<PathBuf>,
    /// The tables `[dead.queue.NAME]`.
    pub(crate) queue: BTreeMap<QueueName, BoundsTable>,
}

impl DeadSettings {
    /// The bounds of all queues together.
    pub(crate) const fn all(&self) -> BoundsTable {
        BoundsTable {
            max_age: self.max_age,
            max_count: self.max_count,
            max_bytes: self.max_bytes,
        }
    }
}

/// Bounds of the dead letters of one queue.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BoundsTable {
    #[serde(with = "seconds_text::option")]
    pub(crate) max_age: Option<Duration>,
    pub(crate) max_count: Option<u64>,
    pub(crate) max_bytes: Option<u64>,
}

/// The table `[producer]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ProducerSettings {
    #[serde(with = "seconds_text::option")]
    pub(crate) horizon: Option<Duration>,
    #[serde(with = "seconds_text::option")]
    pub(crate) lease: Option<Duration>,
    pub(crate) shards: Option<u32>,
}

/// The table `[control]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ControlSettings {
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) auth: Option<Auth>,
    pub(crate) hosts: Vec<String>,
    pub(crate) origins: Vec<String>,
    pub(crate) read_only: Option<bool>,
    #[serde(deserialize_with = "calls")]
    pub(crate) rate: Option<u32>,
    pub(crate) one_time: Option<bool>,
    pub(crate) jwt: Option<JwtTable>,
}

/// The table `[control.jwt]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JwtTable {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    /// A file, or an `https:` or `http:` address.
    pub(crate) jwks: String,
    #[serde(default = "role")]
    pub(crate) role_claim: String,
}

fn role() -> String {
    "role".into()
}

fn calls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let number = i64::deserialize(deserializer)?;
    let calls = crate::values::calls(&number.to_string());
    calls.map(Some).map_err(serde::de::Error::custom)
}

fn queues<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<WeightedQueue>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts
        .iter()
        .map(|text| WeightedQueue::read(text).map_err(serde::de::Error::custom))
        .collect()
}

impl FileForm {
    /// Lays a profile over what stands at the top of the file.
    pub(super) fn with_profile(mut self, name: &str, path: Option<&Path>) -> Result<Self, Problem> {
        let Some(profile) = self.profile.remove(name) else {
            let known: Vec<_> = self.profile.keys().map(String::as_str).collect();
            let hint = match known.is_empty() {
                true => format!("put a table [profile.{name}] into the configuration file"),
                false => format!("there are {}", known.join(", ")),
            };
            let shown = path.map_or("no configuration file".into(), |path| {
                path.display().to_string()
            });
            return Err(
                Problem::usage(format!("there is no profile {name:?} in {shown}")).hint(hint),
            );
        };
        // A profile that names where it goes means that alone: not the API of one environment and the
        // broker of another.
        if profile.api.is_some() || profile.broker.is_some() {
            (self.api, self.token_file) = (profile.api, profile.token_file);
            (self.broker, self.ledger) = (profile.broker, profile.ledger);
        }
        self.namespace = profile.namespace.or(self.namespace);
        Ok(self)
    }
}

/// Reads the text of a file.
pub(super) fn parse(text: &str, path: &Path) -> Result<FileForm, Problem> {
    toml::from_str(text).map_err(|error| wrong_toml(&error, text, path))
}
