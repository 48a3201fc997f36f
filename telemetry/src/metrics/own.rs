//! What telemetry itself comes to: spans and lines that were taken and lost.

use std::sync::{Mutex, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::family::{Counters, counter, counters, label};
use crate::{Traces, names};

/// Asked at a scrape how many lines of the log have been dropped.
type LostLines = Box<dyn Fn() -> u64 + Send + Sync>;

pub(super) struct OwnMetrics {
    spans: Counters,
    lines: Counter,
    traces: Mutex<Option<Traces>>,
    lost_lines: Mutex<Option<LostLines>>,
}

impl OwnMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let spans = counters(registry, names::SPANS_TOTAL);
        for result in ["exported", "rejected", "dropped", "failed"] {
            drop(spans.get_or_create(&vec![label("result", result)]));
        }
        Self {
            spans,
            lines: counter(registry, names::LOG_LINES_DROPPED_TOTAL),
            traces: Mutex::default(),
            lost_lines: Mutex::default(),
        }
    }

    pub(super) fn watch_traces(&self, traces: &Traces) {
        *self.traces.lock().unwrap_or_else(PoisonError::into_inner) = Some(traces.clone());
    }

    pub(super) fn watch_log(&self, lost: LostLines) {
        *self
            .lost_lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(lost);
    }

    /// Takes in what has been counted elsewhere.
    pub(super) fn refresh(&self) {
        let traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(traces) = &*traces {
            let counts = traces.counts();
            for (result, count) in [
                ("exported", counts.exported),
                ("rejected", counts.rejected),
                ("dropped", counts.dropped),
                ("failed", counts.failed),
            ] {
                let series = self.spans.get_or_create(&vec![label("result", result)]);
                catch_up(&series, count);
            }
        }
        let lost = self
            .lost_lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(lost) = &*lost {
            catch_up(&self.lines, lost());
        }
    }
}

fn catch_up(series: &Counter, count: u64) {
    series.inc_by(count.saturating_sub(series.get()));
}

impl std::fmt::Debug for OwnMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnMetrics")
            .field("lines", &self.lines)
            .finish_non_exhaustive()
    }
}
