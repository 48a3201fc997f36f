//! A server on a store of its own, and a caller.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tidemill_control::{Role, Scope, Server, Settings, Tokens};
use tidemill_embedded::{SqliteOptions, SqliteStore, Synchronous};
use tidemill_rabbitmq::{RabbitOptions, RabbitStore};
use tidemill_redis::{RedisOptions, RedisStore};
use tidemill_shared::{
    BuryReason, Clock, Connection, Demand, FailureRecord, Lease, Namespace, NoteName, QueueDemand,
    QueueName, Settlement, Sleep, Timestamp, Verdict, WorkerId,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The longest that a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        Box::pin(tokio::time::sleep(deadline.since(self.now())))
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        Self {
            status: response.status(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Expects a status, and answers the body.
    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        match self.text.is_empty() {
            true => Value::Null,
            false => self.json(),
        }
    }

    /// Expects a problem with this status, whose words hold this text.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, text: &str) -> Value {
        let problem = self.is(status);
        let media = self.headers["content-type"].to_str().unwrap();
        assert_eq!(media, "application/problem+json");
        assert_eq!(problem["status"], status);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(text), "{text:?} is not in {detail:?}");
        problem
    }
}

pub(crate) struct Stage {
    pub(crate) connection: Connection,
    pub(crate) address: SocketAddr,
    pub(crate) client: Client,
    pub(crate) admin: String,
    pub(crate) stop: CancellationToken,
    served: JoinSet<()>,
    folder: TempDir,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A server that is set up by `set`; it asks for tokens.
    pub(crate) async fn with(set: impl FnOnce(&mut Settings)) -> Self {
        let folder = TempDir::new().unwrap();
        let connection = store(&folder).await;
        let tokens = Tokens::new(&connection);
        let name = NoteName::new("root").unwrap();
        let issued = tokens.issue(name, Role::Admin, Scope::default(), None, "test");
        let admin = issued.await.unwrap().text;
        Self::on(connection, folder, admin, set).await
    }

    pub(crate) async fn on(
        connection: Connection,
        folder: TempDir,
        admin: String,
        set: impl FnOnce(&mut Settings),
    ) -> Self {
        let mut settings = Settings::new(([127, 0, 0, 1], 0).into());
        set(&mut settings);
        let server = Server::new(&connection, Namespace::default(), settings)
            .with_metrics(|| Box::pin(async { "tidemill_up 1\n".to_owned() }))
            .on_reload(|| Box::pin(async { Ok("nothing has changed".to_owned()) }));
        let bound = server.bind().await.unwrap();
        let (address, stop) = (bound.address(), CancellationToken::new());
        let mut served = JoinSet::new();
        let until = stop.clone();
        served.spawn(async move { bound.run(until).await.unwrap() });
        Self {
            connection,
            address,
            client: client(),
            admin,
            stop,
            served,
            folder,
        }
    }

    pub(crate) async fn token(&self, name: &str, role: Role, queues: &[&str]) -> String {
        let queues = queues.iter().map(|name| QueueName::new(name).unwrap());
        let scope = Scope {
            queues: queues.collect(),
        };
        let tokens = Tokens::new(&self.connection);
        let name = NoteName::new(name).unwrap();
        tokens
            .issue(name, role, scope, None, "test")
            .await
            .unwrap()
            .text
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method: Method = method.parse().unwrap();
        self.client.request(method, self.url(path))
    }

    /// A call with every right.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.call_as(&self.admin, method, path, body).await
    }

    pub(crate) async fn call_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let mut request = self.request(method, path).bearer_auth(token);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        Answer::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, Some(body)).await
    }

    /// Puts a task in line and answers its id.
    pub(crate) async fn enqueue(&self, mut body: Value) -> String {
        // What RabbitMQ itself keeps nobody can look at; its ledger keeps what has an id of its own.
        let system = self.connection.broker.capabilities().system;
        if system.contains("rabbitmq") && body["id"].is_null() {
            body["id"] = WorkerId::random().as_str().into();
        }
        let answer = self.post("/api/v1/tasks", body).await.is(202);
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Leases what is ready in a queue.
    pub(crate) async fn lease(&self, queue: &str, max: usize) -> Vec<Lease> {
        let demand = Demand {
            worker: WorkerId::new("w").unwrap(),
            queues: vec![QueueDemand {
                queue: QueueName::new(queue).unwrap(),
                max,
            }],
            max,
            ttl: Duration::from_secs(60),
            wait: Duration::ZERO,
        };
        self.connection.broker.lease(&demand).await.unwrap()
    }

    /// Makes dead letters of what is ready in a queue, with this failure.
    pub(crate) async fn bury(&self, queue: &str, error: &str) -> usize {
        let mut buried = 0;
        loop {
            let leases = self.lease(queue, 500).await;
            if leases.is_empty() {
                return buried;
            }
            buried += leases.len();
            let settlements = leases.iter().map(|lease| Settlement {
                token: lease.token.clone(),
                verdict: Verdict::Bury {
                    reason: BuryReason::Rejected,
                    failure: FailureRecord::new("rejected", error),
                },
                started_at: Some(self.connection.clock.now()),
            });
            let settled = self.connection.broker.settle(settlements.collect()).await;
            settled.unwrap();
        }
    }

    /// Puts so many tasks of a kind into a queue and buries them.
    pub(crate) async fn letters(&self, queue: &str, count: usize) -> usize {
        let tasks: Vec<_> = (0..count)
            .map(|n| json!({ "kind": "echo", "queue": queue, "payload": { "n": n } }))
            .collect();
        for tasks in tasks.chunks(5_000) {
            let answer = self
                .post("/api/v1/tasks/batch", json!({ "tasks": tasks }))
                .await;
            answer.is(202);
        }
        self.bury(queue, "no relay").await
    }

    pub(crate) async fn end(self) {
        drop(self.end_and_keep().await);
    }

    /// The same, for another service on the same store.
    pub(crate) async fn end_and_keep(mut self) -> TempDir {
        self.stop.cancel();
        while let Some(ended) = self.served.join_next().await {
            ended.unwrap();
        }
        self.folder
    }
}

/// The store that is asked for, or a file.
pub(crate) async fn store(folder: &TempDir) -> Connection {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test has no arguments, only an environment"
    )]
    let url = std::env::var("TIDEMILL_TEST_STORE");
    let namespace = || Namespace::new(WorkerId::random().as_str()).unwrap();
    let options = SqliteOptions::default().synchronous(Synchronous::Off);
    let path = folder.path().join("test.db");
    if let Ok(url) = url.as_ref()
        && url.starts_with("amqp")
    {
        // RabbitMQ keeps messages alone; the ledger has the same namespace.
        let (clock, namespace) = (Arc::new(WallClock), namespace());
        let ledger = SqliteStore::open(&path, options, namespace.clone(), clock).unwrap();
        let options = RabbitOptions::parse(url).unwrap();
        let store = RabbitStore::open(options, namespace, ledger.connection()).await;
        return store.unwrap().connection();
    }
    if let Ok(url) = url {
        let options = RedisOptions::parse(&url).unwrap();
        let store = RedisStore::open(options, namespace(), None).await;
        return store.unwrap().connection();
    }
    let store = SqliteStore::open(&path, options, Namespace::default(), Arc::new(WallClock));
    store.unwrap().connection()
}

pub(crate) fn client() -> Client {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap()
}
