//! The form of `tidemill.toml`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use tidemill::{Namespace, seconds_text};
use toml::Spanned;

use crate::control::Auth;
use crate::grammar::LogFormat;
use crate::metrics::MetricsAddress;
use crate::problem::Problem;
use crate::settings::locate::wrong_toml;
use crate::values::WeightedQueue;

/// Everything that the file may hold. Unknown keys are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FileForm {
    pub(super) broker: Option<String>,
    pub(super) ledger: Option<String>,
    pub(super) namespace: Option<Namespace>,
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
    pub(super) schedule: Vec<Spanned<toml::Value>>,
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

fn queues<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<WeightedQueue>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts
        .iter()
        .map(|text| WeightedQueue::read(text).map_err(serde::de::Error::custom))
        .collect()
}

/// Reads the text of a file.
pub(super) fn parse(text: &str, path: &Path) -> Result<FileForm, Problem> {
    toml::from_str(text).map_err(|error| wrong_toml(&error, text, path))
}
