use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;
use tidemill_embedded::{SqliteOptions, SqliteStore};
use tidemill_shared::{
    Admission, Broker, Capabilities, Connection, Demand, Envelope, Inspect, Kind, Lease,
    LeaseToken, ManualClock, Namespace, Payload, QueueName, QueueStats, Renewal, Result, Settled,
    Settlement, Swept, TaskId, Timestamp,
};

use super::look::Looker;
use super::{Feed, Follower, KEPT, Next};

fn follower(feed: &Arc<Feed>, seen: u64) -> Follower {
    feed.lock().followers += 1;
    Follower {
        feed: Arc::clone(feed),
        latest: feed.latest.subscribe(),
        seen,
    }
}

fn number(next: Option<Next>) -> Option<u64> {
    match next? {
        Next::Event(event) => Some(event.number),
        Next::Skipped(_) => None,
    }
}

#[test]
fn whoever_falls_behind_hears_how_far() {
    let feed = Arc::new(Feed::default());
    for n in 0..KEPT + 7 {
        feed.push("task", None, &n);
    }
    let mut late = follower(&feed, 0);
    assert!(matches!(late.ready(), Some(Next::Skipped(7))));
    assert_eq!(number(late.ready()), Some(8));
    assert_eq!(late.id(), feed.id(8));
    let last = u64::try_from(KEPT + 7).unwrap();
    let mut early = follower(&feed, last - 1);
    assert_eq!(number(early.ready()), Some(last));
    assert!(early.ready().is_none());
    drop((late, early));
    assert_eq!(feed.lock().followers, 0);
}

/// A broker into which a task comes right behind an answer of its counters.
#[derive(Debug)]
struct Busy {
    inner: Connection,
    is_armed: AtomicBool,
}

#[async_trait]
impl Broker for Busy {
    fn capabilities(&self) -> Capabilities {
        self.inner.broker.capabilities()
    }

    async fn enqueue(&self, batch: Vec<Envelope>) -> Result<Vec<Admission>> {
        self.inner.broker.enqueue(batch).await
    }

    async fn lease(&self, demand: &Demand) -> Result<Vec<Lease>> {
        self.inner.broker.lease(demand).await
    }

    async fn renew(&self, tokens: &[LeaseToken], ttl: Duration) -> Result<Vec<Renewal>> {
        self.inner.broker.renew(tokens, ttl).await
    }

    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>> {
        self.inner.broker.settle(batch).await
    }

    async fn sweep(&self, budget: usize) -> Result<Swept> {
        self.inner.broker.sweep(budget).await
    }

    async fn stats(&self, queues: &[QueueName]) -> Result<Vec<QueueStats>> {
        let stats = self.inner.broker.stats(queues).await;
        if self.is_armed.swap(false, Ordering::SeqCst) {
            let now = self.inner.clock.now();
            let (id, kind) = (TaskId::generate(now), Kind::new("echo").unwrap());
            let task = Envelope::new(id, kind, Payload::json(&1).unwrap(), now);
            self.enqueue(vec![task]).await.unwrap();
        }
        stats
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        self.inner.broker.inspect()
    }
}

/// It is seen before it is counted: when it is counted, nobody has missed it.
#[tokio::test]
async fn what_comes_between_the_counters_and_the_tasks_is_not_skipped() {
    let folder = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_800_000_000_000)));
    let path = folder.path().join("test.db");
    let options = SqliteOptions::default();
    let store = SqliteStore::open(&path, options, Namespace::default(), clock).unwrap();
    let inner = store.connection();
    for is_first_look in [true, false] {
        let busy = Arc::new(Busy {
            inner: inner.clone(),
            is_armed: AtomicBool::new(is_first_look),
        });
        let broker = Arc::clone(&busy) as Arc<dyn Broker>;
        let (ledger, clock) = (Arc::clone(&inner.ledger), Arc::clone(&inner.clock));
        let connection = Connection::new(broker, ledger, clock);
        let (feed, mut looker) = (Feed::default(), Looker::default());
        assert!(looker.look(&connection, &feed).await);
        busy.is_armed.store(!is_first_look, Ordering::SeqCst);
        for _ in 0..3 {
            assert!(looker.look(&connection, &feed).await);
        }
        let kept = feed.lock();
        let names: Vec<_> = kept.events.iter().map(|event| event.name).collect();
        assert!(!names.contains(&"skipped"), "{names:?}");
        assert!(names.contains(&"queue"), "{names:?}");
    }
}
