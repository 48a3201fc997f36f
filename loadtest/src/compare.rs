//! Two programs that do the same, turn by turn: A B A B …, so that what changes on the machine meanwhile
//! falls out of the ratios.

mod ratio;
mod side;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use self::ratio::{Pairs, figure};
use self::side::{Side, Turn};
use crate::Result;
use crate::place::Wanted;
use crate::report::Form;
pub(crate) use ratio::Spread;
pub(crate) use side::SKIPPED;

/// The figures that are compared: where they stand in the line of JSON, and their name.
const FIGURES: [(&str, &str); 11] = [
    ("/tasks_per_second", "tasks per second"),
    ("/latency_ms/p50", "latency p50, ms"),
    ("/latency_ms/p99", "latency p99, ms"),
    ("/lateness_ms/p50", "lateness p50, ms"),
    ("/lateness_ms/p99", "lateness p99, ms"),
    ("/broker_cpu_us_per_task", "broker cpu, us a task"),
    ("/ledger_cpu_us_per_task", "ledger cpu, us a task"),
    ("/worker_cpu_us_per_task", "worker cpu, us a task"),
    ("/commands_per_task", "commands a task"),
    (
        "/whole_broker_cpu_us_per_task",
        "broker cpu from start to end, us a task",
    ),
    (
        "/whole_program_cpu_us_per_task",
        "program cpu from start to end, us a task",
    ),
];

/// What is compared.
#[derive(Args, Debug)]
pub(crate) struct Settings {
    #[command(flatten)]
    at: Wanted,
    /// What both do; repeatable
    #[arg(long = "scenario", value_name = "NAME", required = true)]
    scenarios: Vec<String>,
    /// One side: `this` build, `floor` (a bare loop of the same operations of the broker), `peer:NAME`, or
    /// the path of another build of this program; with flags of its own behind it, such as
    /// `"this --telemetry all"`
    #[arg(long, value_name = "SIDE", default_value = "this")]
    a: String,
    /// The other side
    #[arg(long, value_name = "SIDE", default_value = "floor")]
    b: String,
    /// How many turns each has
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    turns: u16,
    /// Fails when the median of A's tasks per second, as a share of B's, is below this
    #[arg(long, value_name = "RATIO")]
    at_least: Option<f64>,
    /// The folder of the peers
    #[arg(long, value_name = "PATH", default_value = "loadtest/peers")]
    peers: PathBuf,
    /// What is printed
    #[arg(short, long, default_value = "both")]
    output: Form,
    /// What both are told besides, such as `-- --tasks 50000 --batch 64`
    #[arg(last = true)]
    more: Vec<String>,
}

impl Settings {
    /// Compares, reports, and fails when A is too slow.
    pub(crate) async fn run(&self) -> Result {
        let a = Side::parse(&self.a, &self.peers)?;
        let b = Side::parse(&self.b, &self.peers)?;
        let mut too_slow = Vec::new();
        for scenario in &self.scenarios {
            let compared = self.compare(scenario, &a, &b).await?;
            compared.print(self, scenario);
            let ratio = compared.ratio("/tasks_per_second");
            if let Some(least) = self.at_least
                && ratio.is_none_or(|ratio| ratio < least)
            {
                let ratio = ratio.map_or("no ratio".to_owned(), |ratio| format!("{ratio:.3}"));
                too_slow.push(format!("{scenario}: {ratio}; expected {least} or more"));
            }
        }
        if too_slow.is_empty() {
            Ok(())
        } else {
            Err(format!("{} per {}: {}", self.a, self.b, too_slow.join(", ")).into())
        }
    }

    async fn compare(&self, scenario: &str, a: &Side, b: &Side) -> Result<Compared> {
        let mut arguments = vec!["--scenario".to_owned(), scenario.to_owned()];
        arguments.extend(self.more.iter().cloned());
        let mut compared = Compared::default();
        for _ in 0..self.turns {
            let mut found = Vec::new();
            for side in [a, b] {
                let (target, place) = self.at.open().await?;
                let turn = side.turn(&target, &arguments).await;
                place.close().await?;
                match turn? {
                    Turn::Found(value) => found.push(value),
                    Turn::Skipped(why) => {
                        compared.skipped = Some(format!("{}: {why}", side.name));
                        return Ok(compared);
                    }
                }
            }
            if let [of_a, of_b] = found.as_slice() {
                compared.add(of_a, of_b);
            }
        }
        Ok(compared)
    }
}

/// What came of one scenario.
#[derive(Debug, Default)]
struct Compared {
    turns: usize,
    figures: BTreeMap<&'static str, Pairs>,
    versions: [Value; 2],
    skipped: Option<String>,
}

impl Compared {
    fn add(&mut self, of_a: &Value, of_b: &Value) {
        self.turns += 1;
        self.versions = [of_a["versions"].clone(), of_b["versions"].clone()];
        for (pointer, _) in FIGURES {
            let figure = |side: &Value| side.pointer(pointer).and_then(Value::as_f64);
            if let Some((a, b)) = figure(of_a).zip(figure(of_b)) {
                self.figures.entry(pointer).or_default().add(a, b);
            }
        }
    }

    fn ratio(&self, pointer: &str) -> Option<f64> {
        let pairs = self.figures.get(pointer)?;
        Some(pairs.ratio(self.turns)?.median)
    }

    #[expect(clippy::print_stdout, reason = "a program that reports")]
    fn print(&self, settings: &Settings, scenario: &str) {
        let Settings { a, b, at, .. } = settings;
        let broker = &at.broker;
        let mut json = Map::new();
        let mut rows = Vec::new();
        for (pointer, name) in FIGURES {
            let Some(pairs) = self.figures.get(pointer) else {
                continue;
            };
            let (of_a, of_b) = (pairs.a(), pairs.b());
            let ratio = pairs.ratio(self.turns);
            let shown = |value: Option<f64>| value.map_or("–".to_owned(), figure);
            rows.push(format!(
                "  {name:<40}  {:>12}  {:>12}  {}",
                shown(of_a.map(|side| side.median)),
                shown(of_b.map(|side| side.median)),
                ratio.map_or("–".to_owned(), ratio::Spread::shown)
            ));
            let both = json!({
                "a": of_a.map(ratio::Spread::json),
                "b": of_b.map(ratio::Spread::json),
                "ratio": ratio.map(ratio::Spread::json),
            });
            let name = pointer.trim_start_matches('/').replace('/', "_");
            json.insert(name, both);
        }
        if settings.output != Form::Json {
            println!(
                "{scenario} on {broker}: {a} beside {b}, {} turns",
                self.turns
            );
            if let Some(why) = &self.skipped {
                println!("  skipped: {why}");
            } else {
                println!(
                    "  {:<40}  {:>12}  {:>12}  A per B, turn by turn",
                    "medians", "A", "B"
                );
            }
            for row in rows {
                println!("{row}");
            }
        }
        if settings.output != Form::Table {
            let line = json!({
                "compare": scenario,
                "broker": broker,
                "a": a,
                "b": b,
                "turns": self.turns,
                "flags": settings.more,
                "skipped": self.skipped,
                "figures": json,
                "versions": { "a": self.versions[0], "b": self.versions[1] },
            });
            println!("{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Compared;

    #[test]
    fn what_both_tell_is_compared_turn_by_turn() {
        let mut compared = Compared::default();
        for (a, b) in [(300, 100), (100, 50), (240, 100)] {
            compared.add(
                &json!({"tasks_per_second": a, "latency_ms": {"p50": 1.0}}),
                &json!({"tasks_per_second": b, "latency_ms": null}),
            );
        }
        assert_eq!(compared.ratio("/tasks_per_second"), Some(2.4));
        assert_eq!(compared.ratio("/latency_ms/p50"), None);
    }
}
