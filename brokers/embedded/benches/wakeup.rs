//! How long an idle worker takes to get a task: from the call of `enqueue` to the answer of a
//! waiting `lease`.
//!
//! `cargo bench -p tidemill-embedded --bench wakeup` prints percentiles in milliseconds, for both
//! ends on one handle and for two handles on one file, as two processes have them.

#[path = "lifecycle/clock.rs"]
mod clock;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clock::{WallClock, start};
use tidemill_embedded::{SqliteOptions, SqliteStore, Synchronous};
use tidemill_shared::{
    Broker, Clock, Demand, Envelope, Kind, Namespace, Payload, QueueDemand, QueueName, Settlement,
    TaskId, Verdict, WorkerId,
};
use tokio::sync::mpsc;

/// How many tasks are sent, one at a time, this far apart.
const TASKS: usize = 400;
const PAUSE: Duration = Duration::from_millis(10);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let mut out = std::io::stdout().lock();
    writeln!(out, "sync    handles |  p50 ms   p99 ms   max ms").expect("standard output is open");
    for synchronous in [Synchronous::Normal, Synchronous::Full] {
        for handles in [1, 2] {
            let mut waits = runtime.block_on(measure(synchronous, handles));
            waits.sort_unstable();
            let at = |share: usize| waits[(waits.len() - 1) * share / 100].as_secs_f64() * 1e3;
            writeln!(
                out,
                "{:<7} {handles:>7} | {:>7.2} {:>8.2} {:>8.2}",
                format!("{synchronous:?}"),
                at(50),
                at(99),
                at(100)
            )
            .expect("standard output is open");
        }
    }
    assert_eq!(clock::processor_time().subsec_nanos() % 10_000_000, 0);
}

async fn measure(synchronous: Synchronous, handles: u32) -> Vec<Duration> {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("tasks.db");
    let worker = open(&path, synchronous);
    let producer = if handles == 1 {
        worker.clone()
    } else {
        open(&path, synchronous)
    };
    let (sent, mut received) = mpsc::channel(1);
    let mut set = tokio::task::JoinSet::new();
    set.spawn(async move {
        for _ in 0..TASKS {
            let leases = worker.lease(&demand()).await.expect("the store answers");
            let woken = start();
            let settlements = leases.into_iter().map(|lease| Settlement {
                token: lease.token,
                started_at: None,
                verdict: Verdict::Ack { result: None },
            });
            let settled = worker.settle(settlements.collect()).await;
            assert_eq!(settled.expect("the store answers").len(), 1);
            if sent.send(woken).await.is_err() {
                break;
            }
        }
    });
    let mut waits = Vec::with_capacity(TASKS);
    for _ in 0..TASKS {
        tokio::time::sleep(PAUSE).await;
        let enqueued: Instant = start();
        let now = WallClock.now();
        let kind = Kind::new("bench").expect("the name is well-formed");
        let task = Envelope::new(TaskId::generate(now), kind, Payload::default(), now);
        let answers = producer.enqueue(vec![task]).await;
        assert_eq!(answers.expect("the store answers").len(), 1);
        let woken = received.recv().await.expect("the worker runs");
        waits.push(woken - enqueued);
    }
    set.join_all().await;
    waits
}

fn open(path: &Path, synchronous: Synchronous) -> SqliteStore {
    let options = SqliteOptions::default().synchronous(synchronous);
    SqliteStore::open(path, options, Namespace::default(), Arc::new(WallClock))
        .expect("the store can be opened")
}

fn demand() -> Demand {
    Demand {
        worker: WorkerId::random(),
        queues: vec![QueueDemand {
            queue: QueueName::default(),
            max: 1,
        }],
        max: 1,
        ttl: Duration::from_secs(10),
        wait: Duration::from_secs(60),
    }
}
