//! The dashboards.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::documents::{files, list, string, text};
use crate::promql::{asked, labels};

const DASHBOARDS: &str = "dashboards/grafana";
const RUNBOOKS: &str = "https://github.com/tidemill/tidemill/blob/main/";

/// What others export, for the rows about them: redis_exporter, and RabbitMQ's own plugin.
const OF_OTHERS: [&str; 13] = [
    "redis_up",
    "redis_aof_last_write_status",
    "redis_memory_used_bytes",
    "redis_memory_max_bytes",
    "redis_commands_processed_total",
    "redis_connected_clients",
    "redis_blocked_clients",
    "redis_evicted_keys_total",
    "rabbitmq_queue_messages_ready",
    "rabbitmq_queue_messages_unacked",
    "rabbitmq_alarms_memory_used_watermark",
    "rabbitmq_alarms_free_disk_space_watermark",
    "rabbitmq_process_resident_memory_bytes",
];
/// Beside that of memory in the same division.
const LIMIT: &str = "rabbitmq_resident_memory_limit_bytes";

/// Every panel that asks for something, with the name of its dashboard.
fn panels() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for file in files(DASHBOARDS, ".json") {
        let dashboard: Value = serde_json::from_str(&text(&file)).unwrap();
        let panels = list(&dashboard["panels"]).iter();
        let asking = panels.filter(|panel| panel["type"] != "row");
        found.extend(asking.map(|panel| (file.clone(), panel.clone())));
    }
    found
}

fn expressions() -> Vec<(String, String)> {
    let panels = panels().into_iter();
    let queries = panels.flat_map(|(file, panel)| {
        let place = format!("{file}, {}", string(&panel["title"]));
        let targets = list(&panel["targets"]).iter();
        let queries = targets.map(|target| (place.clone(), string(&target["expr"]).to_owned()));
        queries.collect::<Vec<_>>()
    });
    queries.collect()
}

#[test]
fn panels_name_nothing_that_is_not_exported() {
    let mut shown = BTreeSet::new();
    for (place, expression) in expressions() {
        let asked = asked(&expression.replace("$__rate_interval", "5m"));
        let mut known: BTreeSet<String> =
            ["instance", "job", "component"].map(str::to_owned).into();
        for (metric, matched) in &asked.metrics {
            shown.insert(metric.clone());
            if OF_OTHERS.contains(&metric.as_str()) || metric == LIMIT {
                continue;
            }
            known.extend(labels(metric).unwrap_or_else(|| panic!("{metric}: {place}")));
            for label in matched {
                assert!(known.contains(label), "{label} of {metric}: {place}");
            }
        }
        for label in &asked.groups {
            assert!(known.contains(label), "by {label}: {place}");
        }
    }
    // What is exported and on no panel is not worth its place in every scrape.
    for one in tidemill_telemetry::CATALOGUE {
        let is_shown = ["", "_bucket", "_count", "_sum"]
            .iter()
            .any(|part| shown.contains(&format!("{}{part}", one.name)));
        assert!(
            is_shown || one.name == "process_virtual_memory_bytes",
            "{}",
            one.name
        );
    }
}

#[test]
fn panels_say_what_to_do_and_their_links_lead_somewhere() {
    for (file, panel) in panels() {
        let place = format!("{file}, {}", string(&panel["title"]));
        assert!(string(&panel["description"]).len() > 40, "{place}");
        assert!(
            panel["fieldConfig"]["defaults"]["unit"].is_string(),
            "{place}"
        );
        for link in list(&panel["links"]) {
            let url = string(&link["url"]);
            if let Some(section) = url.strip_prefix(RUNBOOKS) {
                let (document, anchor) = section.split_once('#').unwrap();
                let document = text(document).to_lowercase();
                assert!(
                    document.contains(&format!("## {anchor}\n")),
                    "{place}: {url}"
                );
            } else {
                assert_eq!(url, "${control}/api/v1/dead", "{place}");
            }
        }
    }
}

#[test]
fn no_panel_counts_the_store_once_for_each_process() {
    for (place, expression) in expressions() {
        for metric in [
            "tidemill_tasks",
            "tidemill_dead_letters",
            "tidemill_queue_paused",
        ] {
            let sums = format!("sum({metric}");
            let sums_by = format!(") ({metric}");
            let of_all = expression.split(&sums_by).next().unwrap_or_default();
            let by = expression.contains(&sums_by);
            assert!(!expression.contains(&sums), "{place}: {expression}");
            assert!(!by || of_all.contains("max by"), "{place}: {expression}");
        }
    }
}
