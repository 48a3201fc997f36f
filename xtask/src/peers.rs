//! Tidemill beside other task queues, turn by turn on this machine: installs each, runs every scenario that
//! it has, and writes down what came of it.

use std::process::Command;

use serde_json::Value;

use crate::figures::machine;
use crate::step::{Outcome, command, root, run};

const PROGRAM: &str = "target/release/tidemill-loadtest";
const REPORT: &str = "docs/reports/peers.md";
/// `install` and `run` end with it when they cannot be had here.
const SKIPPED: i32 = 77;

/// A comparison: the peer, the broker, the scenario, its flags.
type Row = (&'static str, &'static str, &'static str, &'static str);

const LATENCY: &str = "--rate 200 --tasks 600";
const FILE: &str = "sqlite?synchronous=off";

const ROWS: &[Row] = &[
    ("apalis", "redis", "drain", "--tasks 7000"),
    ("apalis", "redis", "enqueue", "--tasks 5000"),
    ("apalis", "redis", "enqueue", "--tasks 7000 --producers 64"),
    ("apalis", "redis", "enqueue", "--tasks 7000 --batch 100"),
    ("apalis", "redis", "latency", LATENCY),
    ("apalis", FILE, "drain", "--tasks 10000"),
    ("apalis", FILE, "enqueue", "--tasks 2000"),
    ("apalis", FILE, "latency", LATENCY),
    ("bullmq", "redis", "drain", "--tasks 50000"),
    ("bullmq", "redis", "enqueue", "--tasks 5000"),
    ("bullmq", "redis", "enqueue", "--tasks 50000 --producers 64"),
    ("bullmq", "redis", "enqueue", "--tasks 50000 --batch 100"),
    ("bullmq", "redis", "latency", LATENCY),
    ("bullmq", "redis", "burst", "--tasks 2000"),
    ("celery", "redis", "drain", "--tasks 3000"),
    ("celery", "redis", "enqueue", "--tasks 2000"),
    ("celery", "redis", "latency", LATENCY),
    ("celery", "redis", "burst", "--tasks 1000"),
    ("celery", "rabbitmq", "drain", "--tasks 3000"),
    ("celery", "rabbitmq", "enqueue", "--tasks 2000"),
    ("celery", "rabbitmq", "latency", LATENCY),
    ("taskiq", "redis", "drain", "--tasks 10000"),
    ("taskiq", "redis", "enqueue", "--tasks 5000"),
    ("taskiq", "redis", "enqueue", "--tasks 50000 --producers 64"),
    ("taskiq", "redis", "latency", LATENCY),
    ("asynq", "redis", "drain", "--tasks 50000"),
    ("asynq", "redis", "enqueue", "--tasks 5000"),
    ("asynq", "redis", "enqueue", "--tasks 50000 --producers 64"),
    ("asynq", "redis", "latency", LATENCY),
    ("asynq", "redis", "burst", "--tasks 2000"),
];

/// The figures of a row in the report: their names in the line of JSON, and for people.
const FIGURES: [(&str, &str); 5] = [
    ("tasks_per_second", "tasks/s"),
    ("latency_ms_p50", "latency p50, ms"),
    ("latency_ms_p99", "latency p99, ms"),
    ("lateness_ms_p99", "lateness p99, ms"),
    ("whole_broker_cpu_us_per_task", "broker cpu, µs a task"),
];

/// Runs all rows, or those of one peer, so many turns each.
pub(crate) fn run_all(only: Option<&str>, turns: u32) -> Outcome {
    run(command(
        "cargo",
        &["build", "--release", "-p", "tidemill-loadtest"],
    ))?;
    let rows = || {
        let wanted = |row: &&Row| only.is_none_or(|peer| peer == row.0);
        ROWS.iter().filter(wanted)
    };
    let mut peers: Vec<&str> = rows().map(|row| row.0).collect();
    peers.dedup();
    if peers.is_empty() {
        let only = only.unwrap_or_default();
        return Err(vec![format!("{only:?} is no peer of loadtest/peers")]);
    }
    let mut skipped = Vec::new();
    for peer in peers {
        if let Some(why) = install(peer)? {
            println!("{peer} is skipped: {why}");
            skipped.push((peer, why));
        }
    }
    let mut text = String::new();
    for row in rows() {
        if !skipped.iter().any(|(peer, _)| *peer == row.0) {
            text.push_str(&lines(row, &compare(row, turns)?));
        }
    }
    if only.is_some() {
        println!("{text}");
        return Ok(());
    }
    let head = head(turns, &skipped);
    let path = root().join(REPORT);
    std::fs::write(path, head + &text).map_err(|error| vec![format!("{REPORT}: {error}")])
}

/// Installs a peer; the reason, where it cannot be had here.
fn install(peer: &str) -> Result<Option<String>, Vec<String>> {
    let program = root().join("loadtest/peers").join(peer).join("install");
    println!("--- {}", program.display());
    let failed = |why: String| vec![format!("{peer} cannot be installed: {why}")];
    let output = Command::new(&program).output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim_end().lines().last().unwrap_or_default();
    match output.status.code() {
        Some(0) => Ok(None),
        Some(SKIPPED) => Ok(Some(last.to_owned())),
        _ => Err(failed(said.into_owned())),
    }
}

fn compare(row: &Row, turns: u32) -> Result<Value, Vec<String>> {
    let (peer, broker, scenario, flags) = row;
    let mut compare = command(
        PROGRAM,
        &["compare", "--broker", broker, "--scenario", scenario],
    );
    compare.args([
        "--b",
        &format!("peer:{peer}"),
        "--turns",
        &turns.to_string(),
        "-o",
        "json",
    ]);
    compare.arg("--").args(flags.split(' '));
    println!("--- {peer} {broker} {scenario} {flags}");
    let failed = |why: String| vec![format!("{peer}, {scenario} on {broker}: {why}")];
    let output = compare
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))
}

fn head(turns: u32, skipped: &[(&str, String)]) -> String {
    let mut text = format!(
        "# Peers\n\nWritten by `cargo xtask campaign peers --count {turns}`. Machine: {}.\n\n\
         Each pair of figures is the medians of {turns} turns, in which the two alternate on a fresh broker; the ratio, \
         Tidemill per peer, is the median of those of each turn, with the least and the most. Of tasks a second more is \
         better, of all others less. `broker cpu` is Redis's own time from the start of a program to its end, what goes in \
         and what runs alike. What each peer is set to stands in its source in [loadtest/peers](../../loadtest/peers/README.md).\n",
        machine()
    );
    for (peer, why) in skipped {
        text.push_str(&format!("\n`{peer}` was skipped: {why}.\n"));
    }
    text.push_str("\n| Peer | Broker | Scenario | Figure | Tidemill | Peer | Ratio |\n|---|---|---|---|---|---|---|\n");
    text
}

/// The rows of a comparison in the table.
fn lines(row: &Row, found: &Value) -> String {
    let (peer, broker, scenario, flags) = row;
    let version = found["versions"]["b"].as_object();
    let version = version.and_then(|versions| versions.get(*peer)?.as_str());
    let peer = format!("{peer} {}", version.unwrap_or_default());
    let what = format!("| {} | `{broker}` | `{scenario} {flags}`", peer.trim_end());
    if let Some(why) = found["skipped"].as_str() {
        return format!("{what} | skipped: {why} | | | |\n");
    }
    let mut text = String::new();
    for (name, shown) in FIGURES {
        let figure = &found["figures"][name];
        let number = |pointer: &str| figure.pointer(pointer).and_then(Value::as_f64).map(digits);
        // At a rate, what is offered says nothing.
        let offered = name == "tasks_per_second" && *scenario == "latency";
        let numbers = [
            number("/a/median"),
            number("/b/median"),
            number("/ratio/median"),
            number("/ratio/min"),
            number("/ratio/max"),
        ];
        if let [Some(a), Some(b), Some(median), Some(least), Some(most)] = numbers
            && !offered
        {
            text.push_str(&format!(
                "{what} | {shown} | {a} | {b} | {median} ({least}–{most}) |\n"
            ));
        }
    }
    text
}

/// Three digits, or all of a large number.
fn digits(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{ROWS, lines};
    use crate::step::root;

    #[test]
    fn every_peer_of_the_table_is_there_and_can_be_run() {
        for (peer, ..) in ROWS {
            for program in ["install", "run"] {
                let path = root().join("loadtest/peers").join(peer).join(program);
                assert!(path.is_file(), "{}", path.display());
            }
        }
    }

    #[test]
    fn a_comparison_becomes_rows_and_what_is_skipped_says_why() {
        let row = ("still", "redis", "drain", "--tasks 5");
        let found = serde_json::json!({
            "versions": {"b": {"still": "1.0"}},
            "figures": {"tasks_per_second": {
                "a": {"median": 2_000.0}, "b": {"median": 1_000.0},
                "ratio": {"median": 2.0, "min": 1.9, "max": 2.125},
            }},
        });
        assert_eq!(
            lines(&row, &found),
            "| still 1.0 | `redis` | `drain --tasks 5` | tasks/s | 2000 | 1000 | 2.00 (1.90–2.12) |\n"
        );
        let skipped = serde_json::json!({"skipped": "it has none"});
        assert!(lines(&row, &skipped).contains("skipped: it has none"));
    }
}
