//! How many instructions the hot paths take, against limits that a person raises on purpose. No clock is
//! asked, so the answer is the same on a busy machine.

use std::path::Path;
use std::process::Command;
use std::thread;

use toml::Table;

use crate::services;
use crate::step::{Outcome, command, outcome, root, run};

const LIMITS: &str = "loadtest/limits.toml";
const PROGRAM: &str = "target/guard/tidemill-hot-paths";
/// The calls of the second run that are not in the first: what they share falls out.
const CALLS: u64 = 200;
/// The calls of the first run, in which caches fill.
const BEFORE: u64 = 20;

/// Builds the paths, counts each, and compares.
pub(crate) fn run_all() -> Outcome {
    let limits = limits(&root().join(LIMITS))?;
    services::find_or_install_valgrind()?;
    let package = "tidemill-hot-paths";
    let build = [
        "build",
        "--profile",
        "guard",
        "-p",
        package,
        "--bin",
        package,
    ];
    run(command("cargo", &build))?;
    let names = names()?;
    let mut counted = Vec::new();
    // Valgrind runs one thread at a time; two of them use a small machine.
    for pair in names.chunks(2) {
        let results: Vec<Result<u64, Vec<String>>> = thread::scope(|scope| {
            let counts = pair.iter().map(|name| scope.spawn(|| per_call(name)));
            let counts: Vec<_> = counts.collect();
            let joined = counts.into_iter().map(|count| {
                let count = count.join();
                count.unwrap_or_else(|_| Err(vec!["a thread has ended".to_owned()]))
            });
            joined.collect()
        });
        for (name, result) in pair.iter().zip(results) {
            counted.push((name.as_str(), result?));
        }
    }
    println!(
        "{:<24}{:>12}{:>12}",
        "instructions of a call", "counted", "limit"
    );
    for (name, count) in &counted {
        let limit = limits.get(*name).and_then(toml::Value::as_integer);
        let limit = limit.map_or("none".to_owned(), |limit| limit.to_string());
        println!("{name:<24}{count:>12}{limit:>12}");
    }
    outcome(judge(&counted, &limits))
}

/// What is over its limit, has none, or is not there any more.
fn judge(counted: &[(&str, u64)], limits: &Table) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, count) in counted {
        match limits.get(*name).and_then(toml::Value::as_integer) {
            Some(limit) if *count <= limit.unsigned_abs() => {}
            Some(limit) => problems.push(format!(
                "{name} takes {count} instructions; {LIMITS} allows {limit}. If that is worth it, raise \
                 [instructions] {name} there and say in the commit what is had for it"
            )),
            None => problems.push(format!(
                "{name} has no limit; write `{name} = {}` below [instructions] in {LIMITS}",
                count + count / 20
            )),
        }
    }
    for name in limits.keys() {
        if !counted.iter().any(|(counted, _)| counted == name) {
            problems.push(format!(
                "{LIMITS} limits {name}, which there is not any more"
            ));
        }
    }
    problems
}

fn limits(path: &Path) -> Result<Table, Vec<String>> {
    let failed = |why: String| vec![format!("{LIMITS}: {why}")];
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let table: Table = text
        .parse()
        .map_err(|error: toml::de::Error| failed(error.to_string()))?;
    let limits = table.get("instructions").and_then(toml::Value::as_table);
    limits
        .cloned()
        .ok_or_else(|| failed("there is no [instructions]".to_owned()))
}

fn names() -> Result<Vec<String>, Vec<String>> {
    let output = Command::new(root().join(PROGRAM)).output();
    let output = output.map_err(|error| vec![format!("{PROGRAM}: {error}")])?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().map(ToOwned::to_owned).collect())
}

/// The difference between many calls and few.
fn per_call(name: &str) -> Result<u64, Vec<String>> {
    let (few, many) = (count(name, BEFORE)?, count(name, BEFORE + CALLS)?);
    Ok(many.saturating_sub(few) / CALLS)
}

/// All instructions of a run.
fn count(name: &str, calls: u64) -> Result<u64, Vec<String>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(root().join(PROGRAM))
        .args([name, &calls.to_string()])
        .output();
    let output = output.map_err(|error| vec![format!("valgrind: {error}")])?;
    let said = String::from_utf8_lossy(&output.stderr);
    let failed = || {
        vec![format!(
            "valgrind did not count {name}: {}",
            said.trim_end()
        )]
    };
    if !output.status.success() {
        return Err(failed());
    }
    collected(&said).ok_or_else(failed)
}

fn collected(said: &str) -> Option<u64> {
    let line = said
        .lines()
        .find_map(|line| line.split_once("Collected :"))?;
    line.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{collected, judge};

    #[test]
    fn the_count_is_read_from_what_valgrind_says() {
        let said = "==7== Events    : Ir\n==7== Collected : 123456\n==7==\n";
        assert_eq!(collected(said), Some(123_456));
        assert_eq!(collected("==7== Killed"), None);
    }

    #[test]
    fn what_is_over_its_limit_is_told_with_what_to_do() {
        let limits = "encode = 100\ngone = 5".parse().unwrap();
        let problems = judge(&[("encode", 101), ("new", 40)], &limits);
        assert!(
            problems[0].contains("encode takes 101 instructions"),
            "{problems:?}"
        );
        assert!(
            problems[0].contains("raise [instructions] encode"),
            "{problems:?}"
        );
        assert!(problems[1].contains("`new = 42`"), "{problems:?}");
        assert!(problems[2].contains("limits gone"), "{problems:?}");
        assert!(judge(&[("encode", 100), ("gone", 5)], &limits).is_empty());
    }
}
