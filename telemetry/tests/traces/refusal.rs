//! A collector that refuses some of what it takes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use tidemill_memory::MemoryStore;
use tidemill_producer::Client;
use tidemill_shared::{ManualClock, Payload, Timestamp};
use tidemill_telemetry::{Format, Metrics, Traces};
use tokio::net::TcpListener;
use tokio::task::{JoinSet, spawn_blocking};

/// Takes each batch but for two of its spans: `partial_success { rejected_spans: 2 error_message: "stale" }`.
async fn fussy() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = async |_: Bytes| &b"\x0a\x09\x08\x02\x12\x05stale"[..];
    let routes = Router::new().fallback(answer);
    let mut served = JoinSet::new();
    served.spawn(async move { axum::serve(listener, routes).await });
    served.detach_all();
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_that_are_refused_of_a_batch_are_told_apart() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(0)));
    let traces = Traces::to_collector(&fussy().await, "test").unwrap();
    let connection = traces.watch(&MemoryStore::new(clock).connection());
    let client = Client::new(&connection);
    for number in 0..5 {
        let payload = Payload::json(&number).unwrap();
        client.enqueue_raw("echo", payload).await.unwrap();
    }
    let metrics = Metrics::new("worker");
    metrics.watch_traces(&traces);
    let sending = traces.clone();
    spawn_blocking(move || sending.shut_down(Duration::from_secs(20)))
        .await
        .unwrap();
    let counts = traces.counts();
    assert_eq!((counts.exported, counts.rejected), (3, 2), "{counts:?}");
    let page = metrics.render(Format::Text).await;
    for line in [
        r#"tidemill_spans_total{result="exported"} 3"#,
        r#"tidemill_spans_total{result="rejected"} 2"#,
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
}
