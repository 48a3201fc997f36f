//! The chain of spans from a fire or an enqueue to what a run calls.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod chain;
mod refusal;

use std::time::Duration;

use chain::{Chain, http_server};
use opentelemetry::trace::{SpanKind, Status};
use serde_json::json;
use tidemill_shared::{Payload, TraceContext};
use tidemill_worker::DelayedTrace;

fn payload(value: &serde_json::Value) -> Payload {
    Payload::json(value).unwrap()
}

#[tokio::test]
async fn a_task_that_runs_at_once_is_one_trace_from_enqueue_to_the_call_of_its_handler() {
    let chain = Chain::new();
    let (url, request) = http_server().await;
    let body = payload(&json!({ "url": url }));
    let enqueued = chain.client().enqueue_raw("http", body).await.unwrap();
    assert_eq!(chain.run(DelayedTrace::Link).await, 1);

    let request = request.await.unwrap();
    let spans = chain.spans();
    let (send, process) = (spans.one("send default"), spans.one("process default"));
    let (call, settle) = (spans.one("GET"), spans.one("settle default"));
    assert_eq!(
        [send, process, call, settle].map(|span| span.span_kind.clone()),
        [
            SpanKind::Producer,
            SpanKind::Consumer,
            SpanKind::Client,
            SpanKind::Client
        ]
    );
    for (child, parent) in [(process, send), (call, process), (settle, process)] {
        assert_eq!(child.parent_span_id, parent.span_context.span_id());
        assert_eq!(
            child.span_context.trace_id(),
            parent.span_context.trace_id()
        );
    }
    assert!(process.parent_span_is_remote && !call.parent_span_is_remote);
    let expected = format!(
        "traceparent: 00-{}-{}-01",
        call.span_context.trace_id(),
        call.span_context.span_id()
    );
    assert!(request.contains(&expected), "{request}");
    for (span, name, value) in [
        (send, "messaging.operation.type", "send"),
        (process, "messaging.operation.type", "process"),
        (settle, "messaging.operation.type", "settle"),
        (process, "messaging.system", "tidemill.memory"),
        (process, "messaging.destination.name", "default"),
        (process, "messaging.message.id", enqueued.id.as_str()),
        (process, "tidemill.task.attempt", "1"),
        (call, "http.response.status_code", "200"),
    ] {
        assert_eq!(chain::attribute(span, name).as_deref(), Some(value));
    }
}

#[tokio::test]
async fn what_runs_later_begins_a_trace_that_links_to_the_enqueue_unless_told_otherwise() {
    for how in [DelayedTrace::Link, DelayedTrace::Child] {
        let chain = Chain::new();
        let later = Duration::from_secs(60);
        let body = payload(&json!("hello"));
        chain
            .client()
            .enqueue_raw("echo", body)
            .after(later)
            .await
            .unwrap();
        chain.clock.advance(later);
        assert_eq!(chain.run(how).await, 1);
        let spans = chain.spans();
        let (send, process) = (spans.one("send default"), spans.one("process default"));
        let parent = process.parent_span_id;
        match how {
            DelayedTrace::Child => assert_eq!(parent, send.span_context.span_id()),
            DelayedTrace::Link => assert_eq!(chain::links(process), [chain::id(send)]),
        }
        let same = send.span_context.trace_id() == process.span_context.trace_id();
        assert_eq!(same, how == DelayedTrace::Child);
    }
}

/// Also the run that follows a replay of the dead letter.
#[tokio::test]
async fn every_attempt_has_its_span_and_links_to_the_enqueue() {
    let chain = Chain::new();
    let body = payload(&json!({}));
    let client = chain.client();
    let failing = client.enqueue_raw("fail", body).max_attempts(2);
    let id = failing.await.unwrap().id;
    for _ in 0..2 {
        assert_eq!(chain.run(DelayedTrace::Link).await, 1);
        chain.clock.advance(Duration::from_secs(3_600));
    }
    chain.replay(&id).await;
    assert_eq!(chain.run(DelayedTrace::Link).await, 1);

    let spans = chain.spans();
    let send = spans.one("send default");
    let runs = spans.all("process default");
    let [first, retried, replayed] = runs.as_slice() else {
        panic!("{runs:?}");
    };
    assert_eq!(first.parent_span_id, send.span_context.span_id());
    for later in [retried, replayed] {
        assert_eq!(chain::links(later), [chain::id(send)]);
    }
    let attempts = runs
        .iter()
        .map(|run| chain::attribute(run, "tidemill.task.attempt").unwrap());
    assert_eq!(attempts.collect::<Vec<_>>()[..2], ["1", "2"]);
    for (run, outcome) in [(first, "retry"), (retried, "dead")] {
        assert_eq!(
            chain::attribute(run, "tidemill.outcome").as_deref(),
            Some(outcome)
        );
        assert!(chain::attribute(run, "error.type").is_some());
        assert!(matches!(run.status, Status::Error { .. }));
    }
}

#[tokio::test]
async fn a_fire_begins_a_trace_that_its_task_belongs_to() {
    let chain = Chain::new();
    let id = chain.schedule("nightly", "0 3 * * *").await;
    tidemill_producer::run_now(&chain.connection, &id)
        .await
        .unwrap();
    assert_eq!(chain.run(DelayedTrace::Link).await, 1);
    let spans = chain.spans();
    let fire = spans.one("schedule.fire nightly");
    let (send, process) = (spans.one("send default"), spans.one("process default"));
    assert_eq!(fire.parent_span_id, opentelemetry::trace::SpanId::INVALID);
    assert_eq!(send.parent_span_id, fire.span_context.span_id());
    assert_eq!(process.parent_span_id, send.span_context.span_id());
    for (name, value) in [("faas.trigger", "timer"), ("faas.cron", "0 3 * * *")] {
        assert_eq!(chain::attribute(fire, name).as_deref(), Some(value));
    }
}

#[tokio::test]
async fn a_batch_has_a_span_for_each_task_and_one_that_links_to_them() {
    let chain = Chain::new();
    let client = chain.client();
    let batch: Vec<_> = (0..3)
        .map(|n| client.enqueue_raw("echo", payload(&json!(n))))
        .collect();
    assert!(client.enqueue_many(batch).await.iter().all(Result::is_ok));
    assert_eq!(chain.run(DelayedTrace::Link).await, 3);
    let spans = chain.spans();
    let (created, sent) = (spans.all("create default"), spans.one("send default"));
    assert_eq!(created.len(), 3);
    let ids: Vec<_> = created.iter().map(|span| chain::id(span)).collect();
    assert_eq!(chain::links(sent), ids);
    for run in spans.all("process default") {
        let sender = created
            .iter()
            .find(|span| span.span_context.span_id() == run.parent_span_id);
        assert!(sender.is_some(), "{run:?}");
    }
}

/// An enqueue within a run is a part of that run.
#[tokio::test]
async fn what_a_handler_enqueues_is_in_the_trace_of_its_run() {
    let chain = Chain::new();
    let body = payload(&json!(null));
    chain.client().enqueue_raw("relay", body).await.unwrap();
    assert_eq!(chain.run(DelayedTrace::Link).await, 2);
    let spans = chain.spans();
    let sends = spans.all("send default");
    let relay = spans
        .all("process default")
        .into_iter()
        .find(|run| chain::attribute(run, "tidemill.task.kind").as_deref() == Some("relay"))
        .unwrap();
    let inner = sends
        .iter()
        .find(|send| send.parent_span_id == relay.span_context.span_id());
    assert!(inner.is_some(), "{sends:?}");
}

#[tokio::test]
async fn a_trace_that_is_not_recorded_stays_so_and_travels_on_as_such() {
    let chain = Chain::new();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let body = payload(&json!("hello"));
    let enqueued = chain
        .client()
        .enqueue_raw("echo", body)
        .header("traceparent", parent)
        .retention(Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(chain.run(DelayedTrace::Link).await, 1);
    assert!(chain.spans().0.is_empty());
    let task = chain.client().task(&enqueued.id).await.unwrap().unwrap();
    let context = TraceContext::of(&task.envelope.headers).unwrap();
    assert!(!context.sampled);
    assert_eq!(context.trace_hex(), "0af7651916cd43dd8448eb211c80319c");
}

#[tokio::test]
async fn without_a_tracer_no_header_is_added() {
    let chain = Chain::new();
    let client = tidemill_producer::Client::new(&chain.untraced);
    let body = payload(&json!("hello"));
    let enqueued = client.enqueue_raw("echo", body).await.unwrap();
    let task = client.task(&enqueued.id).await.unwrap().unwrap();
    assert!(task.envelope.headers.is_empty());
}

/// The histograms of durations and of the time in the queue lead to the trace.
#[tokio::test]
async fn an_observation_leads_to_the_trace_of_its_run() {
    let chain = Chain::new();
    let body = payload(&json!("hello"));
    chain.client().enqueue_raw("echo", body).await.unwrap();
    let metrics = tidemill_telemetry::Metrics::new("test");
    chain.run_watched(&metrics).await;
    let page = metrics
        .render(tidemill_telemetry::Format::OpenMetrics)
        .await;
    let spans = chain.spans();
    let process = spans.one("process default");
    let exemplar = format!("# {{trace_id=\"{}\"}}", process.span_context.trace_id());
    for name in [
        "job_duration_seconds_bucket",
        "task_duration_seconds_bucket",
        "tidemill_queue_latency_seconds_bucket",
    ] {
        let found = page
            .lines()
            .any(|line| line.starts_with(name) && line.contains(&exemplar));
        assert!(found, "{name} has no exemplar {exemplar} in {page}");
    }
}
