//! What somebody else deleted, evicted or overwrote is mended, and stops nothing else.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[path = "harness/redis.rs"]
mod harness;

use std::time::Duration;

use harness::{Redis, Space};
use tidemill_conformance::Fixture;
use tidemill_shared::{
    Admission, BuryReason, Change, Demand, Envelope, Key, KeyClaim, Kind, Lease, Payload,
    QueueDemand, QueueName, Removed, Renewal, Settled, Settlement, State, TaskId, TaskRecord,
    Verdict, WorkerId,
};

const TTL: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);

/// A namespace, and a hand in its keys.
struct Scene {
    space: Space,
    raw: redis::Connection,
}

impl Scene {
    async fn new() -> Self {
        let space = Redis("TIDEMILL_TEST_REDIS").space().await;
        let client = redis::Client::open(space.url()).unwrap();
        let raw = client.get_connection().unwrap();
        Self { space, raw }
    }

    /// Runs a command on a key of the namespace.
    fn tamper(&mut self, command: &str, key: &str, args: &[&str]) {
        let key = format!("tidemill:{{{}}}:{key}", self.space.namespace());
        let mut command = redis::cmd(command);
        command.arg(key).arg(args).exec(&mut self.raw).unwrap();
    }

    fn keys(&mut self) -> Vec<String> {
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

    fn envelope(&self, id: &str) -> Envelope {
        let now = tidemill_shared::Clock::now(&*self.space.clock());
        let kind = Kind::new("work").unwrap();
        Envelope::new(TaskId::new(id).unwrap(), kind, Payload::default(), now)
    }

    async fn admit(&self, ids: &[&str]) {
        let batch = ids.iter().map(|id| self.envelope(id)).collect();
        let answers = self.space.connection().broker.enqueue(batch).await.unwrap();
        assert!(answers.iter().all(|one| *one == Admission::Admitted));
    }

    async fn lease(&self, max: usize) -> Vec<Lease> {
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
    async fn sweep(&self) {
        for _ in 0..6 {
            self.space.connection().broker.sweep(500).await.unwrap();
        }
    }

    async fn state(&self, id: &str) -> Option<State> {
        self.record(id).await.map(|record| record.state)
    }

    async fn record(&self, id: &str) -> Option<TaskRecord> {
        let broker = self.space.connection().broker;
        let id = TaskId::new(id).unwrap();
        broker.inspect().unwrap().get(&id).await.unwrap()
    }
}

fn ids(leases: &[Lease]) -> Vec<&str> {
    leases.iter().map(|one| one.token.task.as_str()).collect()
}

/// F24. The leases are gone: what runs comes back, and a worker that is alive loses nothing.
#[tokio::test]
async fn active_tasks_without_a_lease_come_back() {
    for lost in ["leases", "groups", "group-owners"] {
        let mut scene = Scene::new().await;
        scene.admit(&["a", "b"]).await;
        let held = scene.lease(2).await;
        let broker = scene.space.connection().broker;
        let renewed = broker.renew(&[held[0].token.clone()], MINUTE).await;
        assert!(matches!(renewed.unwrap()[0], Renewal::Held(_)));
        scene.tamper("DEL", lost, &[]);
        scene.space.clock().advance(Duration::from_secs(90));
        scene.sweep().await;
        assert_eq!(ids(&scene.lease(10).await), ["a", "b"], "without {lost}");
    }
}

/// F24.
#[tokio::test]
async fn a_line_that_was_lost_is_made_again_in_its_order() {
    let mut scene = Scene::new().await;
    scene.admit(&["a", "b", "c"]).await;
    scene.tamper("DEL", "line:5:default", &[]);
    assert_eq!(scene.lease(10).await.len(), 0);
    scene.sweep().await;
    assert_eq!(ids(&scene.lease(10).await), ["a", "b", "c"]);
    let broker = scene.space.connection().broker;
    let stats = broker.stats(&[]).await.unwrap().remove(0);
    assert_eq!((stats.pending, stats.active), (0, 3));
}

/// F24.
#[tokio::test]
async fn garbage_in_a_line_is_passed_over() {
    let mut scene = Scene::new().await;
    scene.admit(&["a"]).await;
    let garbage = ["", "x", "12 nobody", "\u{0}\u{1}"];
    scene.tamper("LPUSH", "line:5:default", &garbage);
    scene.tamper("RPUSH", "line:5:default", &garbage);
    scene.admit(&["b"]).await;
    assert_eq!(ids(&scene.lease(10).await), ["a", "b"]);
}

/// F24.
#[tokio::test]
async fn a_record_that_is_garbage_or_gone_becomes_a_dead_letter() {
    let mut scene = Scene::new().await;
    scene.admit(&["a", "b", "c"]).await;
    scene.tamper("HSET", "tasks", &["a", "garbage"]);
    scene.tamper("HDEL", "tasks", &["b"]);
    assert_eq!(ids(&scene.lease(10).await), ["c"]);
    assert_eq!(scene.state("a").await, Some(State::Dead));
    assert_eq!(scene.state("b").await, Some(State::Dead));
    let record = scene.record("a").await.unwrap();
    assert_eq!(record.bury_reason, Some(BuryReason::Undecodable));
    assert_eq!(record.envelope.payload.as_bytes(), b"garbage");
}

/// F24.
#[tokio::test]
async fn a_state_that_is_garbage_is_shown_as_a_dead_letter_and_can_be_deleted() {
    let mut scene = Scene::new().await;
    scene.admit(&["a", "b", "c"]).await;
    scene.tamper("HSET", "states", &["a", "P7"]);
    scene.tamper("HSET", "states", &["b", ""]);
    assert_eq!(ids(&scene.lease(10).await), ["c"]);
    for id in ["a", "b"] {
        assert_eq!(scene.state(id).await, Some(State::Dead));
        let broker = scene.space.connection().broker;
        let id = TaskId::new(id).unwrap();
        let inspect = broker.inspect().unwrap();
        inspect.change(&id, &Change::Delete).await.unwrap();
        assert!(inspect.get(&id).await.unwrap().is_none());
    }
    scene.sweep().await;
}

/// F22. Keys that an eviction took are made again from what is left.
#[tokio::test]
async fn what_waits_for_an_instant_is_found_again() {
    let mut scene = Scene::new().await;
    let mut later = scene.envelope("later");
    later.due_at = later.enqueued_at + MINUTE;
    let broker = scene.space.connection().broker;
    assert_eq!(
        broker.enqueue(vec![later]).await.unwrap(),
        [Admission::Admitted]
    );
    scene.tamper("DEL", "due", &[]);
    scene.space.clock().advance(MINUTE);
    scene.sweep().await;
    assert_eq!(ids(&scene.lease(1).await), ["later"]);
}

/// Behaviour 75: a queue that is removed leaves no key.
#[tokio::test]
async fn a_removed_queue_leaves_no_key() {
    let mut scene = Scene::new().await;
    let before = scene.keys();
    let mut keyed = scene.envelope("keyed");
    keyed.key = Some(KeyClaim::new(Key::new("k").unwrap()));
    keyed.retention = MINUTE;
    let broker = scene.space.connection().broker;
    assert_eq!(
        broker.enqueue(vec![keyed]).await.unwrap(),
        [Admission::Admitted]
    );
    scene.admit(&["a", "b"]).await;
    let leases = scene.lease(2).await;
    for lease in leases {
        let settlement = Settlement {
            token: lease.token,
            started_at: Some(lease.ready_at),
            verdict: Verdict::Ack { result: None },
        };
        let settled = broker.settle(vec![settlement]).await.unwrap();
        assert_eq!(settled, [Settled::Done(State::Completed)]);
    }
    let queue = QueueName::default();
    let inspect = broker.inspect().unwrap();
    let removed = inspect.remove_queue(&queue, true, 100).await;
    assert_eq!(removed.unwrap(), Removed::Done);
    assert_eq!(scene.keys(), before);
}
