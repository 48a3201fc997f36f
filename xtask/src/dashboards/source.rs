//! A dashboard as it is written by hand.

use serde::Deserialize;

/// A dashboard: rows of panels.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dashboard {
    pub(super) uid: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) row: Vec<Row>,
}

/// Panels under one heading.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub(super) title: String,
    pub(super) panel: Vec<Panel>,
}

/// A panel.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) kind: Kind,
    /// In columns, of which there are 24.
    pub(super) width: u32,
    /// By Grafana's names; a plain number without one.
    pub(super) unit: Option<String>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    /// The first colour, then where others begin.
    #[serde(default)]
    pub(super) steps: Vec<Step>,
    /// What it shows, and what to do.
    pub(super) description: String,
    /// The section of docs/operations that it leads to.
    pub(super) runbook: Option<String>,
    /// Whether it leads to the dead letters of the HTTP API.
    #[serde(default)]
    pub(super) dead_letters: bool,
    /// Whether it shows runs with their traces.
    #[serde(default)]
    pub(super) exemplars: bool,
    pub(super) queries: Vec<Query>,
}

/// How a panel shows its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Lines,
    Number,
    Heat,
    States,
    Bars,
    Table,
}

/// A colour, and the value from which it is used.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Step {
    First(String),
    From(f64, String),
}

/// What is asked of Prometheus.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    pub(super) legend: String,
    pub(super) expr: String,
}
