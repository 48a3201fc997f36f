//! How long the hot paths take, and a task's way through a worker: `cargo bench -p tidemill-hot-paths`.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock, and stops where something is wrong"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use tidemill_hot_paths::PATHS;
use tidemill_memory::MemoryStore;
use tidemill_shared::{Clock, Connection, Envelope, Kind, ManualClock, Payload, TaskId, Timestamp};
use tidemill_worker::{Run, TaskResult, Worker};
use tokio::runtime::Builder;

/// Tasks that a worker is given at once.
const TASKS: u32 = 1_000;

async fn nothing(_: Payload, _: Run<()>) -> TaskResult {
    Ok(())
}

/// From a backlog in memory to its verdict in memory: polling, dispatch, the run, settling.
fn dispatch(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Timestamp::from_millis(0)));
    let connection = MemoryStore::new(clock).connection();
    let worker = Worker::new(&connection)
        .concurrency(64)
        .handle_raw("nothing", nothing)
        .build()
        .unwrap();
    let mut group = criterion.benchmark_group("worker");
    group.throughput(Throughput::Elements(TASKS.into()));
    group.bench_function("dispatch_1000", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut took = Duration::ZERO;
            for _ in 0..rounds {
                runtime.block_on(fill(&connection));
                let start = Instant::now();
                let ran = runtime.block_on(worker.drain()).unwrap();
                took += start.elapsed();
                assert_eq!(ran, TASKS as usize);
            }
            took
        });
    });
    group.finish();
}

async fn fill(connection: &Connection) {
    let (kind, now) = (Kind::new("nothing").unwrap(), connection.clock.now());
    let tasks = (0..TASKS).map(|_| {
        let id = TaskId::generate(now);
        Envelope::new(id, kind.clone(), Payload::default(), now)
    });
    let answers = connection.broker.enqueue(tasks.collect()).await.unwrap();
    assert_eq!(answers.len(), TASKS as usize);
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for path in PATHS {
        let mut call = path.prepare().unwrap();
        criterion.bench_function(path.name, |bencher| bencher.iter(&mut call));
    }
    dispatch(&mut criterion);
    criterion.final_summary();
}
