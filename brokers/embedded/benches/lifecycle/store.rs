//! The store through its contract.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tidemill_embedded::{SqliteOptions, SqliteStore, Synchronous};
use tidemill_shared::{
    Admission, Broker, Demand, Lease, Namespace, QueueDemand, QueueName, Settled, Settlement,
    TaskId, Verdict, WorkerId,
};
use tokio::task::JoinSet;

use crate::Turn;
use crate::bare::envelope;
use crate::clock::{WallClock, processor_time, start};

/// All tasks, in batches, by so many callers at once.
pub(crate) fn turn(synchronous: Synchronous, batch: u32, callers: u32, tasks: u32) -> Turn {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("store.db");
    let options = SqliteOptions::default().synchronous(synchronous);
    let store = SqliteStore::open(&path, options, Namespace::default(), Arc::new(WallClock))
        .expect("the store can be made");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    runtime.block_on(async {
        let (started, used) = (start(), processor_time());
        each(callers, |_| fill(store.clone(), batch, tasks / callers)).await;
        let filled = start();
        let done = Arc::new(AtomicU32::new(0));
        let expected = tasks / callers * callers;
        each(callers, |_| {
            drain(store.clone(), batch, Arc::clone(&done), expected)
        })
        .await;
        let turn = Turn {
            whole: started.elapsed(),
            drain: filled.elapsed(),
            processor: processor_time() - used,
        };
        store.close().await.expect("the store can be closed");
        turn
    })
}

async fn each<F>(callers: u32, work: impl Fn(u32) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut set = JoinSet::new();
    for caller in 0..callers {
        set.spawn(work(caller));
    }
    set.join_all().await;
}

async fn fill(store: SqliteStore, batch: u32, tasks: u32) {
    let mut left = tasks;
    while left > 0 {
        let now = batch.min(left);
        let envelopes = (0..now).map(|_| envelope(TaskId::generate(clock_now())));
        let answers = store
            .enqueue(envelopes.collect())
            .await
            .expect("the store takes tasks");
        assert!(answers.iter().all(|a| *a == Admission::Admitted));
        left -= now;
    }
}

async fn drain(store: SqliteStore, batch: u32, done: Arc<AtomicU32>, expected: u32) {
    let max = usize::try_from(batch).expect("a batch is small");
    let demand = Demand {
        worker: WorkerId::random(),
        queues: vec![QueueDemand {
            queue: QueueName::default(),
            max,
        }],
        max,
        ttl: Duration::from_secs(10),
        wait: Duration::ZERO,
    };
    while done.load(Ordering::Relaxed) < expected {
        let leases = store
            .lease(&demand)
            .await
            .expect("the store hands out tasks");
        if leases.is_empty() {
            break;
        }
        let settled = store
            .settle(leases.into_iter().map(ack).collect())
            .await
            .expect("the store takes verdicts");
        assert!(settled.iter().all(|s| matches!(s, Settled::Done(_))));
        let count = u32::try_from(settled.len()).expect("a batch is small");
        done.fetch_add(count, Ordering::Relaxed);
    }
}

fn ack(lease: Lease) -> Settlement {
    Settlement {
        token: lease.token,
        started_at: Some(clock_now()),
        verdict: Verdict::Ack { result: None },
    }
}

fn clock_now() -> tidemill_shared::Timestamp {
    use tidemill_shared::Clock;
    WallClock.now()
}
