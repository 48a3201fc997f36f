//! How fast a worker drains a backlog of tasks that do nothing: `cargo bench -p tidemill-worker`.
//!
//! Prints tasks per second, and processor time per task over all threads (Linux), for each store and
//! number of slots; the median of the rounds counts.
//! `DRAIN_TASKS` tasks are enqueued before each round, and every one is accounted for after it.
//! Arguments choose stores by a part of their name: `-- memory`.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidemill_embedded::{SqliteOptions, SqliteStore, Synchronous};
use tidemill_memory::MemoryStore;
use tidemill_shared::{
    Clock, Connection, Envelope, Kind, Namespace, Payload, QueueName, Sleep, Task, TaskId,
    Timestamp,
};
use tidemill_worker::{Run, TaskResult, Worker};
use tokio::time::Instant;

const DRAIN_TASKS: usize = 100_000;
const ROUNDS: usize = 3;

#[derive(Debug)]
struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let now = std::time::SystemTime::now();
        let since = now
            .duration_since(std::time::UNIX_EPOCH)
            .expect("it is later than 1970");
        Timestamp::from_micros(i64::try_from(since.as_micros()).expect("it is not that late"))
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        Box::pin(tokio::time::sleep(deadline.since(self.now())))
    }
}

#[derive(Serialize, Deserialize)]
struct Nothing {
    n: usize,
}

impl Task for Nothing {
    const KIND: &'static str = "nothing";
}

async fn nothing(_: Nothing, _: Run<()>) -> TaskResult {
    Ok(())
}

async fn fill(connection: &Connection) {
    let kind = Kind::new(Nothing::KIND).expect("a kind");
    let now = connection.clock.now();
    for start in (0..DRAIN_TASKS).step_by(500) {
        let batch = (start..start + 500).map(|n| {
            let payload = Payload::json(&Nothing { n }).expect("a task is JSON");
            Envelope::new(TaskId::generate(now), kind.clone(), payload, now)
        });
        let answers = connection.broker.enqueue(batch.collect()).await;
        assert_eq!(answers.expect("the store takes tasks").len(), 500);
    }
}

async fn measure(name: &str, connection: &Connection) {
    let mut wanted = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .peekable();
    if wanted.peek().is_some() && !wanted.any(|part| name.contains(&part)) {
        return;
    }
    for slots in [4, 64, 256] {
        let worker = Worker::new(connection).concurrency(slots).handle(nothing);
        let worker = worker.build().expect("a worker");
        let mut rates = Vec::new();
        for _ in 0..ROUNDS {
            fill(connection).await;
            let (begun, used) = (Instant::now(), processor_time());
            let runs = worker.drain().await.expect("the store answers");
            let took = begun.elapsed();
            assert_eq!(runs, DRAIN_TASKS);
            let stats = connection.broker.stats(&[QueueName::default()]).await;
            let stats = stats.expect("the store answers");
            assert_eq!((stats[0].pending, stats[0].active), (0, 0));
            let used = (processor_time() - used).as_micros() / DRAIN_TASKS as u128;
            rates.push((rate(took), used));
        }
        rates.sort_unstable();
        #[expect(clippy::print_stdout, reason = "a bench prints what it finds")]
        {
            let (rate, used) = rates[ROUNDS / 2];
            println!(
                "{name:<12} {slots:>4} slots {rate:>8} tasks/s {used:>4} µs of processor each"
            );
        }
    }
}

/// What all threads of this process have used, in steps of 10 ms; nothing where it is not told.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(11).take(2);
    Duration::from_millis(
        10 * fields
            .filter_map(|field| field.parse::<u64>().ok())
            .sum::<u64>(),
    )
}

fn rate(took: Duration) -> u128 {
    DRAIN_TASKS as u128 * 1_000_000 / took.as_micros().max(1)
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(WallClock);
        let memory = MemoryStore::new(Arc::clone(&clock));
        measure("memory", &memory.connection()).await;
        for synchronous in [Synchronous::Off, Synchronous::Full] {
            let folder = tempfile::TempDir::new().expect("there is room for a folder");
            let store = SqliteStore::open(
                &folder.path().join("tasks.db"),
                SqliteOptions::default().synchronous(synchronous),
                Namespace::default(),
                Arc::clone(&clock),
            );
            let store = store.expect("a new file can be opened");
            measure(&format!("sqlite {synchronous:?}"), &store.connection()).await;
        }
    });
}
