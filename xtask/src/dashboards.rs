//! Grafana's dashboards, written from `dashboards/source`: a readable file for each.

mod grafana;
mod panel;
mod source;

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::sources;
use crate::step::{Outcome, outcome, root};
use source::Dashboard;

pub(crate) use grafana::check as check_types;

const SOURCE: &str = "dashboards/source";
const WRITTEN: &str = "dashboards/grafana";

/// The form of dashboards that is written, as Grafana counts.
const SCHEMA: u32 = 39;

/// Refuses files that differ from their source.
pub(crate) fn check() -> Outcome {
    let mut problems = Vec::new();
    let all = all()?;
    for (path, text) in &all {
        if std::fs::read_to_string(path).unwrap_or_default() != *text {
            let path = path.strip_prefix(root()).unwrap_or(path).display();
            problems.push(format!("{path} is out of date; run `cargo xtask docs`"));
        }
    }
    println!("{} dashboards", all.len());
    outcome(problems)
}

/// Writes them anew.
pub(crate) fn write() -> Outcome {
    for (path, text) in all()? {
        std::fs::write(&path, text)
            .map_err(|error| vec![format!("{}: {error}", path.display())])?;
    }
    Ok(())
}

/// Every dashboard with the file that it belongs into.
fn all() -> Result<Vec<(PathBuf, String)>, Vec<String>> {
    let files = sources::with_extension("toml")?;
    let files = files.iter().filter(|file| file.path.starts_with(SOURCE));
    let written = files.map(|file| {
        let failed = |error: String| vec![format!("{}: {error}", file.path.display())];
        let dashboard: Dashboard =
            toml::from_str(&file.text).map_err(|error| failed(error.to_string()))?;
        let name = file.path.file_name().unwrap_or_default();
        let path = root().join(WRITTEN).join(name).with_extension("json");
        let text = serde_json::to_string_pretty(&json(&dashboard));
        Ok((
            path,
            text.map_err(|error| failed(error.to_string()))? + "\n",
        ))
    });
    written.collect()
}

fn json(dashboard: &Dashboard) -> Value {
    json!({
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["tidemill"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": { "from": "now-3h", "to": "now" },
        "timezone": "browser",
        "links": [{
            "type": "dashboards",
            "title": "Tidemill",
            "tags": ["tidemill"],
            "asDropdown": true,
            "includeVars": true,
            "keepTime": true,
            "targetBlank": false,
            "icon": "external link",
            "tooltip": "",
            "url": "",
        }],
        "annotations": { "list": [alerts()] },
        "templating": { "list": variables() },
        "panels": panel::all(dashboard),
    })
}

/// Marks on every graph where an alert fired.
fn alerts() -> Value {
    json!({
        "name": "Alerts",
        "datasource": panel::datasource(),
        "enable": true,
        "iconColor": "red",
        "target": {
            "refId": "Alerts",
            "expr": "ALERTS{alertstate=\"firing\"}",
            "titleFormat": "{{alertname}}",
            "textFormat": "{{queue}}{{schedule}}{{instance}}",
            "step": "60s",
        },
    })
}

fn variables() -> Value {
    let labels = |name: &str, label: &str, metric: &str| {
        json!({
            "type": "query",
            "name": name,
            "label": name,
            "datasource": panel::datasource(),
            "query": format!("label_values({metric}, {label})"),
            "refresh": 2,
            "sort": 1,
            "multi": true,
            "includeAll": true,
            "allValue": ".*",
            "current": { "text": "All", "value": "$__all", "selected": true },
        })
    };
    json!([
        {
            "type": "datasource",
            "name": "datasource",
            "label": "Prometheus",
            "query": "prometheus",
            "refresh": 1,
        },
        labels("queue", "queue", "tidemill_tasks"),
        labels("kind", "job", "job_duration_seconds_count"),
        labels("instance", "instance", "tidemill_build_info"),
        {
            "type": "textbox",
            "name": "control",
            "label": "HTTP API",
            "query": "http://127.0.0.1:8080",
            "current": { "text": "http://127.0.0.1:8080", "value": "http://127.0.0.1:8080" },
        },
    ])
}
