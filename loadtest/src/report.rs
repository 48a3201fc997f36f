//! What a scenario found: a table for people, a line of JSON for programs.

use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use crate::Result;
use crate::durations::Durations;
use crate::meter::Costs;
use crate::tally::Account;

/// What the line of JSON always has; null where the scenario or the store has no such figure.
const ALWAYS: [&str; 16] = [
    "scenario",
    "broker",
    "tasks",
    "tasks_per_second",
    "latency_ms",
    "lateness_ms",
    "lost",
    "duplicates",
    "broker_cpu_us_per_task",
    "worker_cpu_us_per_task",
    "worker_rss_bytes",
    "broker_bytes_per_pending_task",
    "commands_per_task",
    "scripts_per_task",
    "seed",
    "versions",
];

/// Which of the two forms is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// The table, and the line of JSON as the last line.
    #[default]
    Both,
    /// The table alone.
    Table,
    /// The line of JSON alone.
    Json,
}

/// The findings of one scenario, in the order in which they are shown.
#[derive(Debug)]
pub(crate) struct Report {
    title: String,
    rows: Vec<(String, String)>,
    json: Map<String, Value>,
    account: Account,
    complaint: Option<String>,
}

impl Report {
    /// An empty report.
    pub(crate) fn new(scenario: &str, title: String) -> Self {
        let mut json = Map::new();
        json.insert("scenario".into(), json!(scenario));
        Self {
            title,
            rows: Vec::new(),
            json,
            account: Account::default(),
            complaint: None,
        }
    }

    /// What was lost and doubled, beside what is known of that already.
    pub(crate) fn account(&mut self, account: Account) -> &mut Self {
        self.account = self.account.and(account);
        self
    }

    /// What else makes the run a failure, though the figures are worth seeing.
    pub(crate) fn complain(&mut self, why: String) -> &mut Self {
        self.complaint.get_or_insert(why);
        self
    }

    /// A fact.
    pub(crate) fn fact(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        let value = value.into();
        let shown = value
            .as_str()
            .map_or_else(|| value.to_string(), ToOwned::to_owned);
        self.rows.push((name.replace('_', " "), shown));
        self.json.insert(name.to_owned(), value);
        self
    }

    /// A fact for people alone.
    pub(crate) fn row(&mut self, name: &str, shown: String) -> &mut Self {
        self.rows.push((name.replace('_', " "), shown));
        self
    }

    /// A fact for programs alone.
    pub(crate) fn aside(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        self.json.insert(name.to_owned(), value.into());
        self
    }

    /// How many of something there were in how long: shown by the second. The first one is what the
    /// scenario is about.
    pub(crate) fn rate(&mut self, name: &str, count: usize, took: Duration) -> &mut Self {
        let per_second = rate(count, took);
        self.rows.push((
            name.replace('_', " "),
            format!("{} /s", grouped(per_second)),
        ));
        let name = if self.json.contains_key("tasks_per_second") {
            format!("{name}_per_second")
        } else {
            "tasks_per_second".to_owned()
        };
        self.json.insert(name, json!(per_second));
        self
    }

    /// A distribution.
    pub(crate) fn spread(&mut self, name: &str, durations: &Durations) -> &mut Self {
        self.rows.push((name.replace('_', " "), durations.shown()));
        self.json.insert(format!("{name}_ms"), durations.json());
        self
    }

    /// What a task costs.
    pub(crate) fn costs(&mut self, costs: &Costs) -> &mut Self {
        for (name, cost) in costs.named() {
            if let Some(cost) = cost {
                self.fact(name, cost);
            }
        }
        self
    }

    /// Whether this is told already.
    pub(crate) fn tells(&self, name: &str) -> bool {
        self.json.contains_key(name)
    }

    /// Whether all is accounted for, and nothing is complained of.
    pub(crate) fn is_sound(&self) -> bool {
        self.account.check().is_ok() && self.complaint.is_none()
    }

    /// Adds what is known at the end.
    fn end(&mut self) {
        let (lost, duplicates) = (self.account.lost, self.account.duplicates);
        self.fact("lost", lost).fact("duplicates", duplicates);
        for name in ALWAYS {
            self.json.entry(name).or_insert(Value::Null);
        }
    }

    /// Its title, and what it has for programs.
    pub(crate) fn into_json(mut self) -> (String, Map<String, Value>) {
        self.end();
        (self.title, self.json)
    }

    /// Prints it; an error when anything was lost or doubled, or there is another complaint.
    pub(crate) fn print(mut self, form: Form) -> Result {
        self.end();
        if form != Form::Json {
            println!("{}", self.title);
            let width = self.rows.iter().map(|(name, _)| name.len()).max();
            for (name, value) in &self.rows {
                println!("  {name:width$}  {value}", width = width.unwrap_or(0));
            }
        }
        if form != Form::Table {
            println!("{}", Value::Object(self.json));
        }
        self.account.check()?;
        self.complaint.map_or(Ok(()), |why| Err(why.into()))
    }
}

/// How many a second.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate for people: positive, and far below 2^52"
)]
pub(crate) fn rate(count: usize, took: Duration) -> u64 {
    (u32::try_from(count).map_or(f64::MAX, f64::from) / took.as_secs_f64().max(1e-9)).round() as u64
}

/// To three digits behind the point.
pub(crate) fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// A number with its thousands set apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{grouped, rate};

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn a_rate_is_by_the_second() {
        assert_eq!(rate(50, Duration::from_millis(500)), 100);
    }
}
