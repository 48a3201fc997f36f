//! Requests of a service of one's own that become tasks.

use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::routing::post;
use axum::{Router, response::Response};
use tidemill_control::{Caller, Offload, OffloadedRequest, offload};
use tidemill_producer::Client;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::stage::{Answer, Stage};

async fn known(mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(Caller("ada".into()));
    next.run(request).await
}

#[tokio::test]
async fn a_marked_request_becomes_a_task_and_any_other_goes_its_way() {
    let stage = Stage::new().await;
    let how = Offload::new(Client::new(&stage.connection), "report.build").queue("reports");
    let service = Router::new()
        .route("/reports", post(async || "built while you waited"))
        .layer(middleware::from_fn_with_state(how, offload))
        .layer(middleware::from_fn(known));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut served = JoinSet::new();
    served.spawn(async move { axum::serve(listener, service).await.unwrap() });
    let ask = |mark: Option<&'static str>, key: &'static str| {
        let mut request = stage
            .client
            .post(format!("http://{address}/reports?year=2026"));
        request = request
            .header("authorization", "Bearer s3cret")
            .header("idempotency-key", key);
        if let Some(mark) = mark {
            request = request.header("x-task-type", mark);
        }
        async move { Answer::of(request.body("figures").send().await.unwrap()).await }
    };
    let plain = ask(None, "k").await;
    assert_eq!(
        (plain.status.as_u16(), plain.text.as_str()),
        (200, "built while you waited")
    );
    let first = ask(Some("async"), "k").await;
    let task = first.is(202);
    assert_eq!(task["status"], "accepted");
    assert_eq!(first.headers["location"], task["url"].as_str().unwrap());
    assert_eq!(ask(Some("ASYNC"), "k").await.is(202), task);
    assert_ne!(ask(Some("async"), "other").await.is(202), task);

    let leases = stage.lease("reports", 9).await;
    assert_eq!(leases.len(), 2);
    let payload = leases[0].envelope.payload.as_bytes();
    let request: OffloadedRequest = serde_json::from_slice(payload).unwrap();
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/reports?year=2026")
    );
    assert_eq!(request.body.as_deref(), Some("figures"));
    assert_eq!(request.caller.as_deref(), Some("ada"));
    assert!(!request.headers.contains_key("authorization"));
    stage.get(task["url"].as_str().unwrap()).await.is(200);
    served.abort_all();
    stage.end().await;
}
