//! Each task counted, and when it started.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::timeout;

/// Microseconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.expect("it is later than 1970").as_micros()).expect("and not that late")
}

/// The task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Load {
    pub number: usize,
    pub planned: u64,
    filling: String,
}

impl Load {
    pub fn new(number: usize, planned: u64, size: usize) -> Self {
        let filling = "~".repeat(size.saturating_sub(56));
        Self {
            number,
            planned,
            filling,
        }
    }
}

/// Sees every start. Clones share it.
#[derive(Clone, Debug)]
pub struct Watch(Arc<Seen>);

#[derive(Debug)]
struct Seen {
    runs: Vec<AtomicU8>,
    missing: AtomicUsize,
    times: Mutex<(u64, u64, Histogram<u64>)>,
    done: Notify,
}

impl Watch {
    pub fn of(tasks: usize) -> Self {
        let late = Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("bounds that fit");
        Self(Arc::new(Seen {
            runs: (0..tasks).map(|_| AtomicU8::new(0)).collect(),
            missing: AtomicUsize::new(tasks),
            times: Mutex::new((u64::MAX, 0, late)),
            done: Notify::new(),
        }))
    }

    pub fn note(&self, load: &Load) {
        let at = now();
        {
            let mut times = self.0.times.lock().expect("nobody panics with it");
            times.0 = times.0.min(at);
            times.1 = times.1.max(at);
            times
                .2
                .saturating_record(at.saturating_sub(load.planned).max(1));
        }
        let before = self.0.runs[load.number].fetch_add(1, Ordering::Relaxed);
        if before == 0 && self.0.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.done.notify_one();
        }
    }

    /// Is ready when all have run, or when for half a minute nothing has.
    pub async fn until_done(&self) {
        let mut missing = usize::MAX;
        while self.missing() > 0 && self.missing() < missing {
            missing = self.missing();
            drop(timeout(Duration::from_secs(30), self.0.done.notified()).await);
        }
    }

    pub fn missing(&self) -> usize {
        self.0.missing.load(Ordering::Acquire)
    }

    pub fn duplicates(&self) -> usize {
        let runs = self.0.runs.iter().map(|runs| runs.load(Ordering::Relaxed));
        runs.filter(|runs| *runs > 1).count()
    }

    /// From the first start to the last, in seconds.
    pub fn took(&self) -> f64 {
        let times = self.0.times.lock().expect("nobody panics with it");
        times.1.saturating_sub(times.0).max(1) as f64 / 1e6
    }

    /// In milliseconds.
    pub fn spread(&self) -> Value {
        let times = self.0.times.lock().expect("nobody panics with it");
        let at = |share| times.2.value_at_quantile(share) as f64 / 1e3;
        json!({"p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "p999": at(0.999), "max": at(1.0)})
    }
}
