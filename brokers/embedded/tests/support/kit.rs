//! What the tests of this crate share.
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test program uses a part of it"
)]
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use tidemill_embedded::{SqliteOptions, SqliteStore, Synchronous};
use tidemill_shared::{
    Admission, Broker, Clock, Demand, Envelope, Error, Kind, Lease, ManualClock, Namespace,
    Payload, QueueDemand, QueueName, Settlement, Sleep, TaskId, Timestamp, Verdict, WorkerId,
};

/// Long enough for anything that is going to happen.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The clock of the machine.
#[derive(Debug)]
pub(crate) struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Timestamp::from_micros(0) + since.unwrap()
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        Box::pin(tokio::time::sleep(deadline.since(self.now())))
    }
}

pub(crate) fn manual_clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_millis(1_772_452_800_000)))
}

/// A store that waits for no disk.
pub(crate) fn open(path: &Path, clock: Arc<dyn Clock>) -> SqliteStore {
    let options = SqliteOptions::default().synchronous(Synchronous::Off);
    SqliteStore::open(path, options, Namespace::default(), clock).unwrap()
}

/// Why a store cannot be opened.
pub(crate) fn refusal(path: &Path) -> Error {
    let options = SqliteOptions::default();
    SqliteStore::open(path, options, Namespace::default(), manual_clock()).unwrap_err()
}

pub(crate) fn task(id: &str, now: Timestamp) -> Envelope {
    let kind = Kind::new("work").unwrap();
    Envelope::new(TaskId::new(id).unwrap(), kind, Payload::default(), now)
}

pub(crate) fn demand(max: usize, wait: Duration) -> Demand {
    let queue = QueueName::default();
    Demand {
        worker: WorkerId::random(),
        queues: vec![QueueDemand { queue, max }],
        max,
        ttl: Duration::from_secs(10),
        wait,
    }
}

pub(crate) fn ack(lease: &Lease) -> Settlement {
    Settlement {
        token: lease.token.clone(),
        started_at: Some(lease.ready_at),
        verdict: Verdict::Ack { result: None },
    }
}

/// Enqueues one and expects it to be taken.
pub(crate) async fn admit(store: &SqliteStore, envelope: Envelope) {
    let answer = store.enqueue(vec![envelope]).await.unwrap();
    assert_eq!(answer, [Admission::Admitted]);
}

/// Another program at the same file.
pub(crate) fn raw(path: &Path) -> Connection {
    let conn = Connection::open(path).unwrap();
    conn.busy_timeout(SOON).unwrap();
    conn
}
