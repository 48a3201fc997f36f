//! Distributions of durations.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::Result;
use crate::report::rounded;

/// The points of a distribution that are shown: their names for programs and for people, and the share
/// below them.
const POINTS: [(&str, &str, f64); 5] = [
    ("p50", "p50", 0.5),
    ("p95", "p95", 0.95),
    ("p99", "p99", 0.99),
    ("p999", "p99.9", 0.999),
    ("max", "max", 1.0),
];

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

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The longest of them.
    pub(crate) fn longest(&self) -> Option<Duration> {
        (!self.is_empty()).then(|| Duration::from_micros(self.0.max()))
    }

    /// For people.
    pub(crate) fn shown(&self) -> String {
        if self.0.is_empty() {
            return "none".to_owned();
        }
        let points = POINTS.map(|(_, name, share)| format!("{name} {:.2} ms", self.millis(share)));
        points.join("  ")
    }

    /// For programs: milliseconds, to the microsecond; null where there are none.
    pub(crate) fn json(&self) -> Value {
        if self.0.is_empty() {
            return Value::Null;
        }
        let points = POINTS.map(|(name, _, share)| (name.to_owned(), json!(self.millis(share))));
        Value::Object(points.into_iter().collect())
    }

    fn millis(&self, share: f64) -> f64 {
        let micros = self.0.value_at_quantile(share).min(self.0.max());
        rounded(Duration::from_micros(micros).as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Durations;

    #[test]
    fn a_spread_keeps_its_extremes() {
        let mut durations = Durations::new().unwrap();
        for millis in 1..=100 {
            durations.add(Duration::from_millis(millis));
        }
        let json = durations.json();
        let at = |point: &str| json[point].as_f64().unwrap();
        assert!((50.0..50.1).contains(&at("p50")), "{json}");
        assert!((100.0..100.1).contains(&at("max")), "{json}");
    }

    #[test]
    fn none_has_no_points() {
        assert_eq!(Durations::new().unwrap().json(), serde_json::Value::Null);
    }
}
