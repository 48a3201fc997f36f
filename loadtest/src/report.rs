//! What a scenario found: a table for people, a line of JSON for programs.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::Result;
use crate::tally::Account;

/// Durations from a microsecond to an hour, at three digits.
#[derive(Clone, Debug)]
pub(crate) struct Durations(Histogram<u64>);

impl Durations {
    /// None yet.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1, 3_600_000_000, 3)?))
    }

    /// Adds one; what is longer than an hour counts as an hour.
    pub(crate) fn add(&mut self, duration: Duration) {
        self.0.saturating_record(
            u64::try_from(duration.as_micros())
                .unwrap_or(u64::MAX)
                .max(1),
        );
    }

    /// Adds those of another.
    pub(crate) fn merge(&mut self, other: &Self) -> Result {
        Ok(self.0.add(&other.0)?)
    }

    fn at(&self, share: f64) -> Duration {
        Duration::from_micros(self.0.value_at_quantile(share))
    }
}

/// The findings of one scenario, in the order in which they are shown.
#[derive(Debug)]
pub(crate) struct Report {
    title: String,
    rows: Vec<(String, String)>,
    json: Map<String, Value>,
    account: Account,
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
        }
    }

    /// What was lost and doubled, beside what is known of that already.
    pub(crate) fn account(&mut self, account: Account) -> &mut Self {
        self.account = self.account.and(account);
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

    /// How many of something there were in how long: shown by the second.
    pub(crate) fn rate(&mut self, name: &str, count: usize, took: Duration) -> &mut Self {
        let per_second = rate(count, took);
        self.rows.push((
            name.replace('_', " "),
            format!("{} /s", grouped(per_second)),
        ));
        self.json
            .insert(format!("{name}_per_second"), json!(per_second));
        self
    }

    /// A distribution.
    pub(crate) fn spread(&mut self, name: &str, durations: &Durations) -> &mut Self {
        let points = [
            ("p50", 0.5),
            ("p90", 0.9),
            ("p99", 0.99),
            ("p99.9", 0.999),
            ("max", 1.0),
        ];
        let mut json = Map::new();
        let mut shown = Vec::new();
        for (point, share) in points {
            let at = durations.at(share);
            shown.push(format!("{point} {:.2} ms", at.as_secs_f64() * 1e3));
            json.insert(format!("{point}_us"), json!(at.as_micros()));
        }
        self.rows.push((name.replace('_', " "), shown.join("  ")));
        self.json.insert(name.to_owned(), Value::Object(json));
        self
    }

    /// Prints both forms; an error when anything was lost or doubled.
    pub(crate) fn print(mut self) -> Result {
        let (lost, duplicates) = (self.account.lost, self.account.duplicates);
        self.fact("lost", lost).fact("duplicates", duplicates);
        println!("{}", self.title);
        let width = self
            .rows
            .iter()
            .map(|(name, _)| name.len())
            .max()
            .unwrap_or(0);
        for (name, value) in &self.rows {
            println!("  {name:width$}  {value}");
        }
        println!("{}", Value::Object(self.json));
        self.account.check()
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

    use super::{Durations, grouped, rate};

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn a_rate_is_by_the_second() {
        assert_eq!(rate(50, Duration::from_millis(500)), 100);
    }

    #[test]
    fn a_spread_keeps_its_extremes() {
        let mut durations = Durations::new().unwrap();
        for millis in 1..=100 {
            durations.add(Duration::from_millis(millis));
        }
        assert_eq!(durations.at(1.0).as_millis(), 100);
        assert_eq!(durations.at(0.5).as_millis(), 50);
    }
}
