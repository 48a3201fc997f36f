//! What a task costs: processor time of the broker and of the workers, commands, memory.

mod node;
pub(crate) mod process;
mod store;

use std::time::Duration;

use serde_json::{Value, json};

use crate::Result;
use crate::report::rounded;
pub(crate) use store::Store;

/// Counters at one moment.
#[derive(Debug)]
struct Moment {
    broker: store::Counters,
    workers: Vec<(u32, process::Times)>,
}

/// Looks at the counters before and after.
#[derive(Debug)]
pub(crate) struct Meter {
    store: Store,
    before: Moment,
}

impl Meter {
    /// Starts with what the store and these processes have used so far.
    pub(crate) async fn start(mut store: Store, processes: &[u32]) -> Result<Self> {
        let before = Moment::now(&mut store, processes).await?;
        Ok(Self { store, before })
    }

    /// What a task cost since then, when there were so many. When these are not the processes that there
    /// were before, nothing is known of them.
    pub(crate) async fn end(mut self, processes: &[u32], tasks: usize) -> Result<Costs> {
        let after = Moment::now(&mut self.store, processes).await?;
        let per_task = |used: f64| rounded(used / tasks.max(1) as f64);
        let micros = |used: Duration| per_task(used.as_secs_f64() * 1e6);
        let pairs = after.workers.iter().zip(&self.before.workers);
        let (mut workers, mut rss) = (Some(process::Times::default()), 0);
        for ((process, now), (one, then)) in pairs {
            workers = workers
                .filter(|_| process == one)
                .map(|sum| sum.and(now.since(*then)));
            rss += process::rss(*process).unwrap_or(0);
        }
        let broker = after.broker.since(&self.before.broker);
        // A file is kept by the processes that work on it.
        let file = workers
            .filter(|_| !processes.is_empty())
            .map(|used| micros(used.store));
        let (broker_cpu, ledger_cpu) = match &self.store {
            Store::File(_) => (file, None),
            Store::Rabbit(_, ledger) => match **ledger {
                Store::File(_) => (broker.cpu.map(micros), file),
                _ => (broker.cpu.map(micros), broker.ledger_cpu.map(micros)),
            },
            Store::Redis(_) | Store::Unknown => (broker.cpu.map(micros), None),
        };
        Ok(Costs {
            broker_cpu,
            ledger_cpu,
            worker_cpu: workers.map(|used| micros(used.others)),
            rss: Some(rss).filter(|rss| *rss > 0),
            commands: broker.commands.map(|count| per_task(count as f64)),
            scripts: broker.scripts.map(|count| per_task(count as f64)),
        })
    }
}

impl Moment {
    async fn now(store: &mut Store, processes: &[u32]) -> Result<Self> {
        let times = processes.iter().filter_map(|process| {
            let times = process::times(*process)?;
            Some((*process, times))
        });
        Ok(Self {
            workers: times.collect(),
            broker: store.counters().await?,
        })
    }
}

/// What a task cost, as far as it can be known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Costs {
    broker_cpu: Option<f64>,
    ledger_cpu: Option<f64>,
    worker_cpu: Option<f64>,
    rss: Option<u64>,
    commands: Option<f64>,
    scripts: Option<f64>,
}

impl Costs {
    /// Processor time of the broker for a task, in microseconds.
    pub(crate) fn broker_cpu(&self) -> Option<f64> {
        self.broker_cpu
    }

    /// Each with its name in the report.
    pub(crate) fn named(&self) -> [(&'static str, Option<Value>); 6] {
        [
            (
                "broker_cpu_us_per_task",
                self.broker_cpu.map(|us| json!(us)),
            ),
            (
                "ledger_cpu_us_per_task",
                self.ledger_cpu.map(|us| json!(us)),
            ),
            (
                "worker_cpu_us_per_task",
                self.worker_cpu.map(|us| json!(us)),
            ),
            ("worker_rss_bytes", self.rss.map(|bytes| json!(bytes))),
            ("commands_per_task", self.commands.map(|count| json!(count))),
            ("scripts_per_task", self.scripts.map(|count| json!(count))),
        ]
    }
}
