//! A namespace of RabbitMQ with a ledger in a file, and short words for the calls.

use std::sync::Arc;
use std::time::Duration;

use lapin::message::Delivery;
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, BasicRejectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection as Amqp, ConnectionProperties};
use tidemill_embedded::{SqliteOptions, SqliteStore};
use tidemill_shared::ledger::Ledger;
use tidemill_shared::{
    Admission, Attempt, Broker, Change, Changed, Clock, Connection, Demand, Envelope, Inspect,
    Kind, Lease, ManualClock, Namespace, Payload, QueueDemand, QueueName, QueueStats, Removed,
    Renewal, Settled, Settlement, State, Swept, TaskFilter, TaskId, TaskRecord, Timestamp, Verdict,
    WorkerId,
};
use tokio::time::{sleep, timeout};

use crate::rabbit;

pub(crate) const TTL: Duration = Duration::from_secs(10);
pub(crate) const WORKER: &str = "worker-1";
/// How long what RabbitMQ does by itself may take.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Scene {
    url: String,
    folder: Arc<tempfile::TempDir>,
    namespace: String,
    clock: Arc<ManualClock>,
    connection: Connection,
}

fn queue() -> QueueName {
    QueueName::default()
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::at(&rabbit::url(rabbit::NODE)).await
    }

    pub(crate) async fn at(url: &str) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let clock = Arc::new(ManualClock::new(tidemill_conformance::start()));
        Self::open(url, folder, rabbit::unique(), clock).await
    }

    async fn open(
        url: &str,
        folder: Arc<tempfile::TempDir>,
        namespace: String,
        clock: Arc<ManualClock>,
    ) -> Self {
        let path = folder.path().join("ledger.db");
        let (name, time) = (Namespace::default(), Arc::clone(&clock) as _);
        let ledger = SqliteStore::open(&path, SqliteOptions::default(), name, time).unwrap();
        let store = rabbit::open_at(url, &namespace, ledger.connection()).await;
        Self {
            url: url.to_owned(),
            folder,
            namespace,
            clock,
            connection: store.connection(),
        }
    }

    pub(crate) async fn another_process(&self) -> Self {
        let (folder, clock) = (Arc::clone(&self.folder), Arc::clone(&self.clock));
        Self::open(&self.url, folder, self.namespace.clone(), clock).await
    }

    fn broker(&self) -> &dyn Broker {
        &*self.connection.broker
    }

    pub(crate) fn ledger(&self) -> &dyn Ledger {
        &*self.connection.ledger
    }

    fn inspect(&self) -> &dyn Inspect {
        self.broker().inspect().unwrap()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Enqueues a task with an id of the library's own.
    pub(crate) async fn enqueue(&self, change: impl FnOnce(&mut Envelope)) -> TaskId {
        let (now, kind) = (self.now(), Kind::new("work").unwrap());
        let mut envelope = Envelope::new(TaskId::generate(now), kind, Payload::default(), now);
        change(&mut envelope);
        let id = envelope.id.clone();
        let answers = self.broker().enqueue(vec![envelope]).await.unwrap();
        assert_eq!(answers, [Admission::Admitted]);
        id
    }

    fn demand(&self, max: usize, wait: Duration) -> Demand {
        Demand {
            worker: WorkerId::new(WORKER).unwrap(),
            queues: vec![QueueDemand {
                queue: queue(),
                max,
            }],
            max,
            ttl: TTL,
            wait,
        }
    }

    pub(crate) async fn lease(&self, max: usize) -> Vec<Lease> {
        let demand = self.demand(max, Duration::ZERO);
        self.broker().lease(&demand).await.unwrap()
    }

    pub(crate) async fn take(&self) -> Lease {
        let mut leases = self.lease(1).await;
        assert_eq!(leases.len(), 1, "something is ready");
        leases.remove(0)
    }

    /// Waits for a worker, then lets it ask no more.
    pub(crate) async fn subscribe_and_leave(&self, max: usize) {
        let demand = self.demand(max, Duration::from_secs(3_600));
        let asked = timeout(Duration::from_secs(2), self.broker().lease(&demand)).await;
        assert!(asked.is_err(), "there is nothing to lease: {asked:?}");
    }

    /// Sweeps until something can be leased.
    pub(crate) async fn take_in_time(&self) -> Lease {
        let taken = timeout(PATIENCE, async {
            loop {
                if let Some(lease) = self.lease(1).await.pop() {
                    return lease;
                }
                self.sweep().await;
                sleep(Duration::from_millis(10)).await;
            }
        });
        taken.await.expect("it comes back")
    }

    /// Leases nothing that runs, and sweeps, until the ledger has the task in this state.
    pub(crate) async fn state_in_time(&self, id: &TaskId, state: State) {
        let reached = timeout(PATIENCE, async {
            while self.in_ledger(id).await.map(|record| record.state) != Some(state) {
                assert!(self.lease(1).await.is_empty(), "it does not run");
                self.sweep().await;
                sleep(Duration::from_millis(10)).await;
            }
        });
        reached.await.expect("it gets there");
    }

    /// Waits until nothing is ready in RabbitMQ, because somebody was sent it.
    pub(crate) async fn arrived_somewhere(&self) {
        let arrived = timeout(PATIENCE, async {
            while self.pending().await > 0 {
                sleep(Duration::from_millis(10)).await;
            }
        });
        arrived.await.expect("it is sent");
    }

    pub(crate) async fn settle(&self, lease: &Lease, verdict: Verdict) -> Settled {
        let settlement = Settlement {
            token: lease.token.clone(),
            started_at: Some(self.now()),
            verdict,
        };
        let settled = self.broker().settle(vec![settlement]).await;
        settled.unwrap().remove(0)
    }

    pub(crate) async fn renew(&self, lease: &Lease) -> Renewal {
        let tokens = [lease.token.clone()];
        self.broker().renew(&tokens, TTL).await.unwrap().remove(0)
    }

    pub(crate) async fn report(&self, lease: &Lease, progress: &str) {
        let progress = Payload::bytes(progress.as_bytes());
        let reported = self.inspect().report(&lease.token, &progress).await;
        reported.unwrap();
    }

    pub(crate) async fn sweep(&self) -> Swept {
        self.broker().sweep(100).await.unwrap()
    }

    pub(crate) async fn pending(&self) -> u64 {
        self.stats().await.pending
    }

    pub(crate) async fn stats(&self) -> QueueStats {
        let stats = self.broker().stats(&[queue()]).await.unwrap();
        stats.into_iter().next().unwrap()
    }

    pub(crate) async fn in_ledger(&self, id: &TaskId) -> Option<TaskRecord> {
        self.inspect().get(id).await.unwrap()
    }

    pub(crate) async fn attempts(&self, id: &TaskId) -> Vec<Attempt> {
        self.inspect().attempts(id).await.unwrap()
    }

    pub(crate) async fn change(&self, id: &TaskId, change: &Change) -> Changed {
        self.inspect().change(id, change).await.unwrap()
    }

    pub(crate) async fn dead_letters(&self) -> Vec<TaskRecord> {
        let filter = TaskFilter {
            states: vec![State::Dead],
            ..TaskFilter::default()
        };
        self.inspect().list(&filter, None, 10).await.unwrap().items
    }

    pub(crate) async fn pause(&self) {
        self.inspect().pause(&queue(), None).await.unwrap();
    }

    pub(crate) async fn resume(&self) {
        self.inspect().resume(&queue()).await.unwrap();
    }

    pub(crate) async fn limit(&self, limit: u64) {
        self.inspect()
            .set_limit(&queue(), Some(limit))
            .await
            .unwrap();
    }

    pub(crate) async fn queues(&self) -> Vec<String> {
        let queues = self.inspect().queues().await.unwrap();
        queues.into_iter().map(String::from).collect()
    }

    pub(crate) async fn remove_queue(&self, force: bool) -> Removed {
        self.inspect()
            .remove_queue(&queue(), force, 100)
            .await
            .unwrap()
    }

    fn line(&self) -> String {
        format!("tidemill/{}/line/default", self.namespace)
    }

    async fn raw(&self) -> (Amqp, Channel) {
        let properties = ConnectionProperties::default();
        let connection = Amqp::connect(&rabbit::url(rabbit::NODE), properties)
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        (connection, channel)
    }

    /// A message of somebody who is not of this house.
    pub(crate) async fn publish_garbage(&self, bytes: &[u8]) {
        let (_connection, channel) = self.raw().await;
        let line = self.line();
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let sent =
            channel.basic_publish("".into(), line.as_str().into(), options, bytes, properties);
        sent.await.unwrap().await.unwrap();
        let ready = timeout(PATIENCE, async {
            loop {
                let passive = QueueDeclareOptions::default().passive();
                let line = line.as_str().into();
                let queue = channel.queue_declare(line, passive, FieldTable::default());
                if queue.await.unwrap().message_count() == 2 {
                    break;
                }
                sleep(Duration::from_millis(10)).await;
            }
        });
        ready.await.expect("the message gets there");
    }

    /// Takes a message as somebody else's tools would, and lets go of it.
    pub(crate) async fn look_at_message(&self) -> Delivery {
        let (_connection, channel) = self.raw().await;
        let got = channel.basic_get(self.line().as_str().into(), BasicGetOptions::default());
        got.await.unwrap().expect("it is there").delivery
    }

    /// Has RabbitMQ set a message aside, as its delivery limit would.
    pub(crate) async fn reject_message(&self) {
        let (_connection, channel) = self.raw().await;
        let got = channel.basic_get(self.line().as_str().into(), BasicGetOptions::default());
        let got = got.await.unwrap().expect("it is there");
        let rejected = got.delivery.reject(BasicRejectOptions { requeue: false });
        assert!(rejected.await.unwrap());
    }
}
