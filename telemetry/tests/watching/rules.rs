//! The recording and alerting rules.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::documents::{files, list, path, string, text, yaml};
use crate::promql::{asked, labels};

const ALERTS: &str = "dashboards/prometheus/alerts.yml";
const RECORDING: &str = "dashboards/prometheus/recording.yml";
const CASES: &str = "dashboards/prometheus/tests";
const RUNBOOKS: &str = "https://github.com/tidemill/tidemill/blob/main/";

/// What Prometheus itself gives to each target.
const OF_THE_SCRAPE: [&str; 3] = ["instance", "job", "component"];

fn rules(file: &str) -> Vec<Value> {
    let groups = yaml(file)["groups"].take();
    let rules = list(&groups).iter().flat_map(|group| list(&group["rules"]));
    rules.cloned().collect()
}

/// The names under which ratios are recorded.
fn recorded() -> BTreeSet<String> {
    let rules = rules(RECORDING);
    rules
        .iter()
        .map(|rule| string(&rule["record"]).to_owned())
        .collect()
}

#[test]
fn rules_name_nothing_that_is_not_exported() {
    let recorded = recorded();
    for rule in [rules(RECORDING), rules(ALERTS)].concat() {
        let expression = string(&rule["expr"]);
        let asked = asked(expression);
        assert!(!asked.metrics.is_empty(), "{expression}");
        let mut known: BTreeSet<String> = OF_THE_SCRAPE.map(str::to_owned).into();
        for (metric, matched) in &asked.metrics {
            if recorded.contains(metric) || metric == "up" {
                continue;
            }
            let own = labels(metric).unwrap_or_else(|| panic!("{metric} in {expression}"));
            known.extend(own);
            for label in matched {
                assert!(known.contains(label), "{label} of {metric} in {expression}");
            }
        }
        for label in &asked.groups {
            assert!(known.contains(label), "by {label} in {expression}");
        }
    }
}

#[test]
fn every_alert_says_what_it_is_and_leads_to_its_runbook() {
    for rule in rules(ALERTS) {
        let name = string(&rule["alert"]);
        let severity = string(&rule["labels"]["severity"]);
        assert!(["page", "ticket"].contains(&severity), "{name}: {severity}");
        for annotation in ["summary", "description"] {
            assert!(
                string(&rule["annotations"][annotation]).len() > 10,
                "{name}"
            );
        }
        let link = string(&rule["annotations"]["runbook_url"]);
        let (file, anchor) = link
            .strip_prefix(RUNBOOKS)
            .unwrap()
            .split_once('#')
            .unwrap();
        assert_eq!(anchor, name.to_lowercase());
        let document = text(file);
        assert!(
            document.lines().any(|line| line == format!("## {name}")),
            "{file} has no section {name}"
        );
    }
}

/// A rule by its name and those of its labels that tell it from others of the name.
fn identity(name: &Value, labels: &Value) -> (String, String) {
    (
        string(name).to_owned(),
        ["window", "reach"]
            .map(|name| labels[name].as_str().unwrap_or_default())
            .concat(),
    )
}

#[test]
fn every_alert_has_a_case_in_which_it_is_silent_then_fires_then_resolves() {
    let mut seen: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for file in files(CASES, ".yml") {
        for case in list(&yaml(&file)["tests"]) {
            let mut story: BTreeMap<(String, String), String> = BTreeMap::new();
            let looks = list(&case["alert_rule_test"]);
            let fired = looks.iter().flat_map(|look| {
                let alerts = list(&look["exp_alerts"]).iter();
                alerts.map(|alert| identity(&look["alertname"], &alert["exp_labels"]))
            });
            let fired: BTreeSet<_> = fired.collect();
            for look in looks {
                let now: BTreeSet<_> = list(&look["exp_alerts"])
                    .iter()
                    .map(|alert| identity(&look["alertname"], &alert["exp_labels"]))
                    .collect();
                for rule in fired
                    .iter()
                    .filter(|rule| rule.0 == string(&look["alertname"]))
                {
                    let letter = if now.contains(rule) { '!' } else { '.' };
                    let told = story.entry(rule.clone()).or_default();
                    if !told.ends_with(letter) {
                        told.push(letter);
                    }
                }
            }
            for (rule, story) in story {
                seen.entry(rule).or_default().insert(story);
            }
        }
    }
    for rule in rules(ALERTS) {
        let rule = identity(&rule["alert"], &rule["labels"]);
        let stories = seen.get(&rule);
        assert!(
            stories.is_some_and(|stories| stories.contains(".!.")),
            "{rule:?}: {stories:?}"
        );
    }
}

/// A command of Prometheus' tool.
fn promtool(arguments: &[&str], files: &[String]) {
    #[expect(
        clippy::disallowed_methods,
        reason = "`cargo xtask test` says where, as a test has no arguments"
    )]
    let program = std::env::var("TIDEMILL_TEST_PROMTOOL").unwrap_or_else(|_| "promtool".into());
    let mut command = Command::new(&program);
    command
        .args(arguments)
        .args(files.iter().map(|file| path(file)));
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; run `cargo xtask test`"));
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn prometheus_takes_the_rules() {
    let rules = [RECORDING, ALERTS].map(str::to_owned);
    promtool(&["check", "rules", "--lint-fatal"], &rules);
}

#[test]
fn the_cases_of_the_alerts_come_true() {
    promtool(&["test", "rules"], &files(CASES, ".yml"));
}
