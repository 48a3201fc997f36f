//! A store in memory, a client, a worker, and the spans that they leave.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::Value;
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tidemill_memory::MemoryStore;
use tidemill_producer::Client;
use tidemill_shared::{
    Change, Connection, ManualClock, Payload, Replay, ScheduleId, TaskId, Timestamp,
};
use tidemill_telemetry::{Metrics, Traces};
use tidemill_worker::{DelayedTrace, Failure, Run, Worker, builtin};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Keeps what it is given.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

pub(crate) struct Chain {
    pub(crate) connection: Connection,
    pub(crate) untraced: Connection,
    pub(crate) clock: Arc<ManualClock>,
    traces: Traces,
    kept: Kept,
}

pub(crate) struct Spans(pub(crate) Vec<SpanData>);

impl Chain {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000)));
        let untraced = MemoryStore::new(Arc::clone(&clock) as _).connection();
        let kept = Kept::default();
        let traces = Traces::to(kept.clone(), "test");
        Self {
            connection: traces.watch(&untraced),
            untraced,
            clock,
            traces,
            kept,
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.connection)
    }

    /// Runs what is due.
    pub(crate) async fn run(&self, how: DelayedTrace) -> usize {
        let client = self.client();
        let relay = move |_: Payload, _: Run<()>| {
            let client = client.clone();
            async move {
                let next = client.enqueue_raw("echo", Payload::json(&()).unwrap());
                next.await.map_err(Failure::from_error)?;
                Ok(())
            }
        };
        let worker = builtin::register(Worker::new(&self.connection))
            .handle_raw("relay", relay)
            .delayed_trace(how)
            .build()
            .unwrap();
        worker.drain().await.unwrap()
    }

    /// Runs what is due, watched by these metrics.
    pub(crate) async fn run_watched(&self, metrics: &Metrics) {
        let worker = builtin::register(Worker::new(&self.connection))
            .on_event(metrics.worker_observer())
            .build()
            .unwrap();
        assert_eq!(worker.drain().await.unwrap(), 1);
    }

    pub(crate) async fn replay(&self, id: &TaskId) {
        let inspect = self.connection.broker.inspect().unwrap();
        let change = Change::Replay(Replay::default());
        inspect.change(id, &change).await.unwrap();
    }

    pub(crate) async fn schedule(&self, id: &str, cron: &str) -> ScheduleId {
        let form = serde_json::json!({ "id": id, "cron": cron, "kind": "echo" });
        let schedule = serde_json::from_value(form).unwrap();
        let ledger = &self.connection.ledger;
        ledger
            .apply_schedules("test", vec![schedule])
            .await
            .unwrap();
        ScheduleId::new(id).unwrap()
    }

    /// Every span so far. Ends the sending of them.
    pub(crate) fn spans(&self) -> Spans {
        self.traces.shut_down(Duration::from_secs(10));
        Spans(self.kept.0.lock().unwrap().clone())
    }
}

impl Spans {
    /// In the order in which they began.
    pub(crate) fn all(&self, name: &str) -> Vec<&SpanData> {
        let mut found: Vec<_> = self.0.iter().filter(|span| span.name == name).collect();
        found.sort_by_key(|span| span.start_time);
        found
    }

    pub(crate) fn one(&self, name: &str) -> &SpanData {
        let found = self.all(name);
        let names = || self.0.iter().map(|span| &span.name).collect::<Vec<_>>();
        assert_eq!(found.len(), 1, "{name} among {:?}", names());
        found[0]
    }
}

pub(crate) fn id(span: &SpanData) -> (TraceId, SpanId) {
    (span.span_context.trace_id(), span.span_context.span_id())
}

pub(crate) fn links(span: &SpanData) -> Vec<(TraceId, SpanId)> {
    let contexts = span.links.iter().map(|link| &link.span_context);
    contexts
        .map(|context| (context.trace_id(), context.span_id()))
        .collect()
}

pub(crate) fn attribute(span: &SpanData, name: &str) -> Option<String> {
    let found = span
        .attributes
        .iter()
        .find(|one| one.key.as_str() == name)?;
    Some(match &found.value {
        Value::String(text) => text.to_string(),
        other => other.to_string(),
    })
}

/// Answers one request with 200, and tells what it was.
pub(crate) async fn http_server() -> (String, oneshot::Receiver<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (tell, told) = oneshot::channel();
    let mut served = JoinSet::new();
    served.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        tell.send(String::from_utf8(request).unwrap()).unwrap();
    });
    served.detach_all();
    (url, told)
}
