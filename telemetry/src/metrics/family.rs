//! Families of series with labels of plain text.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

use crate::catalogue::help;

/// The labels of a series.
pub(crate) type Labels = Vec<(&'static str, String)>;
pub(crate) type Counters = Family<Labels, Counter>;
pub(crate) type Gauges = Family<Labels, Gauge<f64, AtomicU64>>;
pub(crate) type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// Bounds for what takes from a fraction of a millisecond to seconds: calls and requests.
pub(crate) const CALLS: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
];

/// Bounds for runs: 0.1·2^k for k from 0 to 7, and finer ones below.
pub(crate) const RUNS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8,
];

/// Bounds for waits: from a millisecond to an hour, with the 30 s of the objective among them.
pub(crate) const WAITS: [f64; 14] = [
    0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0,
];

/// A label.
pub(crate) fn label(name: &'static str, value: impl Into<String>) -> (&'static str, String) {
    (name, value.into())
}

/// The registry adds the ending of a counter itself, and the full stop of a help text.
pub(crate) fn counters(registry: &mut Registry, name: &'static str) -> Counters {
    let family = Counters::default();
    let stem = name.strip_suffix("_total").unwrap_or(name);
    registry.register(stem, help(name), family.clone());
    family
}

pub(crate) fn counter(registry: &mut Registry, name: &'static str) -> Counter {
    let counter = Counter::default();
    let stem = name.strip_suffix("_total").unwrap_or(name);
    registry.register(stem, help(name), counter.clone());
    counter
}

pub(crate) fn gauges(registry: &mut Registry, name: &'static str) -> Gauges {
    let family = Gauges::default();
    registry.register(name, help(name), family.clone());
    family
}

pub(crate) fn gauge(registry: &mut Registry, name: &'static str) -> Gauge<f64, AtomicU64> {
    let gauge = Gauge::default();
    registry.register(name, help(name), gauge.clone());
    gauge
}

pub(crate) fn histograms(
    registry: &mut Registry,
    name: &'static str,
    make: fn() -> Histogram,
) -> Histograms {
    let family = Histograms::new_with_constructor(make);
    registry.register(name, help(name), family.clone());
    family
}
