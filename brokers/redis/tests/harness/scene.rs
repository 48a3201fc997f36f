//! A namespace, and a hand in its keys.

use std::time::Duration;

use tidemill_conformance::Fixture;
use tidemill_shared::{
    Admission, Connection, Demand, Envelope, Kind, Lease, Payload, QueueDemand, QueueName,
    QueueStats, Settled, Settlement, State, TaskId, TaskRecord, Verdict, WorkerId,
};

use crate::harness::{Redis, Space};

pub(crate) const TTL: Duration = Duration::from_secs(10);
#[allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test program uses a part of it"
)]
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// A namespace, and a hand in its keys.
pub(crate) struct Scene {
    pub(crate) space: Space,
    raw: redis::Connection,
}

#[allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test program uses a part of it"
)]
impl Scene {
    pub(crate) async fn new() -> Self {
        let space = Redis("TIDEMILL_TEST_REDIS").space().await;
        let client = redis::Client::open(space.url()).unwrap();
        let raw = client.get_connection().unwrap();
        Self { space, raw }
    }

    /// Runs a command on a key of the namespace.
    pub(crate) fn tamper(&mut self, command: &str, key: &str, args: &[&str]) {
        let key = format!("tidemill:{{{}}}:{key}", self.space.namespace());
        let mut command = redis::cmd(command);
        command.arg(key).arg(args).exec(&mut self.raw).unwrap();
    }

    pub(crate) fn keys(&mut self) -> Vec<String> {
        let pattern = format!("tidemill:{{{}}}:*", self.space.namespace());
        let mut keys: Vec<String> = redis::cmd("KEYS")
            .arg(pattern)
            .query(&mut self.raw)
            .unwrap();
        for key in &mut keys {
            *key = key.split_once("}:").unwrap().1.to_owned();
        }
        keys.sort();
        keys
    }

    pub(crate) fn envelope(&self, id: &str) -> Envelope {
        let now = tidemill_shared::Clock::now(&*self.space.clock());
        let kind = Kind::new("work").unwrap();
        Envelope::new(TaskId::new(id).unwrap(), kind, Payload::default(), now)
    }

    pub(crate) async fn admit(&self, ids: &[&str]) {
        let batch = ids.iter().map(|id| self.envelope(id)).collect();
        let answers = self.space.connection().broker.enqueue(batch).await.unwrap();
        assert!(answers.iter().all(|one| *one == Admission::Admitted));
    }

    pub(crate) async fn lease(&self, max: usize) -> Vec<Lease> {
        let demand = Demand {
            worker: WorkerId::new("w").unwrap(),
            queues: vec![QueueDemand {
                queue: QueueName::default(),
                max,
            }],
            max,
            ttl: TTL,
            wait: Duration::ZERO,
        };
        let broker = self.space.connection().broker;
        broker.lease(&demand).await.unwrap()
    }

    /// Sweeps as often as a whole round of repairs may take, twice.
    pub(crate) async fn sweep(&self) {
        for _ in 0..6 {
            self.space.connection().broker.sweep(500).await.unwrap();
        }
    }

    pub(crate) fn connection(&self) -> Connection {
        self.space.connection()
    }

    pub(crate) async fn stats(&self) -> Vec<QueueStats> {
        self.connection().broker.stats(&[]).await.unwrap()
    }

    /// Leases and acknowledges all that is ready, and names it.
    pub(crate) async fn work_off(&self) -> Vec<String> {
        let mut done = Vec::new();
        loop {
            let leases = self.lease(100).await;
            if leases.is_empty() {
                return done;
            }
            done.extend(ids(&leases).into_iter().map(str::to_owned));
            self.end(leases).await;
        }
    }

    /// Acknowledges what is leased, and counts it.
    pub(crate) async fn end(&self, leases: Vec<Lease>) -> usize {
        let settlements = leases.into_iter().map(|lease| Settlement {
            token: lease.token,
            started_at: Some(lease.ready_at),
            verdict: Verdict::Ack { result: None },
        });
        let batch = settlements.collect();
        let settled = self.connection().broker.settle(batch).await.unwrap();
        let done = Settled::Done(State::Completed);
        assert!(settled.iter().all(|one| *one == done));
        settled.len()
    }

    pub(crate) async fn state(&self, id: &str) -> Option<State> {
        self.record(id).await.map(|record| record.state)
    }

    pub(crate) async fn record(&self, id: &str) -> Option<TaskRecord> {
        let broker = self.space.connection().broker;
        let id = TaskId::new(id).unwrap();
        broker.inspect().unwrap().get(&id).await.unwrap()
    }
}

pub(crate) fn ids(leases: &[Lease]) -> Vec<&str> {
    leases.iter().map(|one| one.token.task.as_str()).collect()
}
