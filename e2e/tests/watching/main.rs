//! A real Prometheus watches real processes under load: every panel shows something, every alert has something to
//! look at, and one that fires reaches those who shall know.

mod programs;
mod prometheus;
mod scene;
mod webhook;

use std::time::Duration;

use serde_json::Value;
use tidemill_e2e::{Result, ensure, until};
use tokio::time::Instant;

use programs::{promtool_check, repository};
use scene::Scene;

/// How long whatever is waited for may take on a machine that compiles meanwhile.
const PATIENCE: Duration = Duration::from_secs(90);

/// Every query of every dashboard, but for those that only RabbitMQ itself answers.
fn panels() -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(repository("dashboards/grafana"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let dashboard: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
        for panel in dashboard["panels"].as_array().into_iter().flatten() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let expression = target["expr"].as_str().ok_or("a target without a query")?;
                let expression = ["queue", "kind", "instance"].iter().fold(
                    expression.replace("$__rate_interval", "30s"),
                    |text, name| text.replace(&format!("${name}\""), ".*\""),
                );
                if !expression.contains("rabbitmq_") {
                    found.push((panel["title"].to_string(), expression));
                }
            }
        }
    }
    Ok(found)
}

/// What an alert looks at: its expression without the thresholds.
fn looked_at(expression: &str) -> String {
    let words = expression.replace("unless", "or");
    let mut kept = Vec::new();
    let mut is_threshold = false;
    for word in words.split_whitespace() {
        let number = word.trim_end_matches(')');
        let is_number = number.parse::<f64>().is_ok() || number == "*";
        is_threshold = matches!(word, ">" | "<" | "==") || is_threshold && is_number;
        // A bracket behind the number closes what was opened before the comparison.
        let rest = match (is_threshold, is_number) {
            (false, _) => word,
            (true, true) => word.split_at(number.len()).1,
            (true, false) => "",
        };
        kept.extend((!rest.is_empty()).then_some(rest));
    }
    kept.join(" ")
}

#[test]
fn the_thresholds_are_taken_out_of_an_expression() {
    assert_eq!(
        looked_at("(a > 14.4 * 0.001 and b{c=\"1\"} > 14.4 * 0.001)"),
        "(a and b{c=\"1\"} )"
    );
    assert_eq!(
        looked_at("(count(time() - a < 30) or vector(0)) == 0"),
        "(count(time() - a ) or vector(0))"
    );
    assert_eq!(looked_at("x / 2 > 1 unless y == 1"), "x / 2 or y");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_sees_everything_and_a_dead_store_is_told_to_somebody() -> Result {
    let folder = tempfile::tempdir()?;
    let mut scene = Scene::start(folder.path()).await?;
    for page in scene.pages().await? {
        promtool_check(&page)?;
    }

    let panels = panels()?;
    ensure(panels.len() > 60, || {
        format!("only {} queries", panels.len())
    })?;
    for (title, expression) in &panels {
        scene.prometheus.until_answered(title, expression).await?;
    }
    // `honor_labels`: the label `job` is the kind of the task, not the name of the scrape.
    let kinds = scene
        .prometheus
        .query("sum by (job) (job_duration_seconds_count)")
        .await?;
    let kinds: Vec<_> = kinds
        .iter()
        .map(|one| one["metric"]["job"].clone())
        .collect();
    ensure(kinds.contains(&"echo".into()), || format!("{kinds:?}"))?;

    let rules = scene.prometheus.rules().await?;
    let alerts: Vec<_> = rules
        .iter()
        .filter(|rule| rule["type"] == "alerting")
        .collect();
    let written = include_str!("../../../dashboards/prometheus/alerts.yml");
    let written = written.matches("alert: ").count();
    ensure(alerts.len() == written, || {
        format!("{} of {written} alerts", alerts.len())
    })?;
    for rule in &rules {
        let (name, expression) = (rule["name"].to_string(), rule["query"].as_str());
        let expression = looked_at(expression.unwrap_or_default());
        scene.prometheus.until_answered(&name, &expression).await?;
        ensure(rule["lastError"].is_null(), || rule.to_string())?;
    }

    let killed = Instant::now();
    scene.redis.kill()?;
    scene.webhook.until_told("firing", "BrokerDown").await?;
    println!(
        "BrokerDown was told {:?} after the end of Redis",
        killed.elapsed()
    );
    let restarted = Instant::now();
    scene.redis.restart().await?;
    scene.webhook.until_told("resolved", "BrokerDown").await?;
    println!("and resolved {:?} after it was back", restarted.elapsed());
    until("tasks to run again", PATIENCE, async || {
        let rate = "sum(rate(scheduler_task_run_total[5s]))";
        let ran = scene.prometheus.query(rate).await?;
        let number = ran
            .first()
            .and_then(|one| one["value"][1].as_str()?.parse::<f64>().ok());
        Ok(number.filter(|number| *number > 0.0))
    })
    .await?;
    Ok(())
}
