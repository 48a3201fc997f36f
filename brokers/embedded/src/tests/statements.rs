//! How many statements a task costs: no clock, so the same on every machine.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::trace::{TraceEvent, TraceEventCodes};
use tidemill_shared::{
    Broker, Demand, Envelope, Kind, ManualClock, Namespace, Payload, QueueDemand, QueueName,
    Settlement, TaskId, Timestamp, Verdict, WorkerId,
};

use crate::fault::Sql;
use crate::{SqliteOptions, SqliteStore};

/// Statements so far, by file.
static COUNTED: LazyLock<Mutex<HashMap<PathBuf, u64>>> = LazyLock::new(Mutex::default);

/// Counts the statements of a connection.
pub(crate) fn count(conn: &mut Connection, path: &Path) -> Sql<()> {
    let path = path.to_owned();
    let one_more = move |_: TraceEvent<'_>| {
        *COUNTED.lock().unwrap().entry(path.clone()).or_default() += 1;
    };
    conn.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(one_more))
}

const BATCH: u32 = 64;
const BATCHES: u32 = 20;

#[tokio::test]
async fn a_life_cycle_costs_no_more_statements_than_its_limits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let now = Timestamp::from_millis(1_772_452_800_000);
    let clock = Arc::new(ManualClock::new(now));
    let options = SqliteOptions::default();
    let store = SqliteStore::open(&path, options, Namespace::default(), clock).unwrap();
    let so_far = || COUNTED.lock().unwrap().get(&path).copied().unwrap_or(0);
    let before = so_far();
    let demand = Demand {
        worker: WorkerId::random(),
        queues: vec![QueueDemand {
            queue: QueueName::default(),
            max: BATCH as usize,
        }],
        max: BATCH as usize,
        ttl: Duration::from_secs(10),
        wait: Duration::ZERO,
    };
    for _ in 0..BATCHES {
        let tasks = (0..BATCH).map(|_| {
            let kind = Kind::new("work").unwrap();
            Envelope::new(TaskId::generate(now), kind, Payload::default(), now)
        });
        let admitted = store.enqueue(tasks.collect()).await.unwrap();
        let leases = store.lease(&demand).await.unwrap();
        let acks = leases.into_iter().map(|lease| Settlement {
            token: lease.token,
            started_at: Some(lease.ready_at),
            verdict: Verdict::Ack { result: None },
        });
        let settled = store.settle(acks.collect()).await.unwrap();
        assert_eq!(
            (admitted.len(), settled.len()),
            (BATCH as usize, BATCH as usize)
        );
    }
    let statements = u32::try_from(so_far() - before).unwrap();
    let cost = f64::from(statements) / f64::from(BATCH * BATCHES);
    // At the least, each of the three steps of a batch is one.
    assert!(statements >= 3 * BATCHES, "only {statements} were counted");
    let limits = include_str!("../../../../loadtest/limits.toml");
    let limits: toml::Table = limits.parse().unwrap();
    let limit = limits["sqlite"]["statements_per_task"].as_float().unwrap();
    assert!(
        cost <= limit,
        "a task costs {cost:.3} statements; loadtest/limits.toml allows {limit}. If that is worth it, raise \
         [sqlite] statements_per_task there and say in the commit what is had for it"
    );
}
