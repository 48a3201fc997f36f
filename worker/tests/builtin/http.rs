//! `http`.

use std::time::Duration;

use serde_json::json;
use tidemill_shared::{BuryReason, State, Timestamp};

use crate::server::{Server, answer};
use crate::stage::{Stage, failure, result};

#[tokio::test]
async fn a_request_that_succeeds_has_status_and_body_as_its_result() {
    let server = Server::start(|_, _| answer("201 Created", "", "made")).await;
    let stage = Stage::new();
    let payload = json!({
        "method": "POST", "url": format!("{}/orders?x=1", server.url),
        "headers": { "X-Mine": "yes" }, "body": { "n": 18446744073709551615u64 }
    });
    let mut envelope = stage.envelope("http", &payload);
    envelope.headers.insert(
        "traceparent".into(),
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
    );
    let task = stage.run(envelope).await;
    assert_eq!(task.state, State::Completed);
    assert_eq!(result(&task), json!({ "status": 201, "body": "made" }));
    let asked = server.asked().remove(0);
    assert_eq!(asked.line, "POST /orders?x=1 HTTP/1.1");
    assert_eq!(asked.body, r#"{"n":18446744073709551615}"#);
    assert_eq!(asked.headers["content-type"], "application/json");
    assert_eq!(asked.headers["idempotency-key"], "http-1");
    assert_eq!(
        asked.headers["traceparent"],
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    );
    assert_eq!(asked.headers["x-mine"], "yes");
    assert!(asked.headers["user-agent"].starts_with("tidemill/"));
}

#[tokio::test]
async fn a_text_is_sent_as_it_is_and_own_headers_win() {
    let server = Server::start(|_, _| answer("204 No Content", "", "")).await;
    let stage = Stage::new();
    let payload = json!({
        "method": "PUT", "url": server.url, "body": "a=b",
        "headers": { "Content-Type": "application/x-www-form-urlencoded", "Idempotency-Key": "mine" }
    });
    let task = stage.run(stage.envelope("http", &payload)).await;
    assert_eq!(task.state, State::Completed);
    let asked = server.asked().remove(0);
    assert_eq!(asked.body, "a=b");
    assert_eq!(
        asked.headers["content-type"],
        "application/x-www-form-urlencoded"
    );
    assert_eq!(asked.headers["idempotency-key"], "mine");
}

#[tokio::test]
async fn a_server_error_is_retried_with_the_same_idempotency_key() {
    let server = Server::start(|number, _| match number {
        0 => answer("500 Internal Server Error", "", "oops"),
        _ => answer("200 OK", "", "fine"),
    })
    .await;
    let stage = Stage::new();
    let task = stage
        .run(stage.envelope("http", &json!({ "url": server.url })))
        .await;
    assert_eq!((task.state, task.failures), (State::Completed, 1));
    let keys: Vec<_> = server
        .asked()
        .iter()
        .map(|a| a.headers["idempotency-key"].clone())
        .collect();
    assert_eq!(keys, ["http-1", "http-1"]);
    assert_eq!(failure(&task).0, "http_500");
    assert!(
        failure(&task)
            .1
            .ends_with("500 Internal Server Error: oops"),
        "{}",
        failure(&task).1
    );
}

#[tokio::test]
async fn retry_after_is_honoured_in_seconds_and_as_a_date() {
    let date =
        "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:50:07 GMT\r\n";
    for (status, headers, delay) in [
        ("429 Too Many Requests", "retry-after: 120\r\n", 120),
        ("503 Service Unavailable", date, 30),
    ] {
        let server = Server::start(move |_, _| answer(status, headers, "")).await;
        let stage = Stage::new();
        let start: Timestamp = stage.connection.clock.now();
        let task = stage
            .run(stage.envelope("http", &json!({ "url": server.url })))
            .await;
        assert_eq!(task.state, State::Retry, "{status}");
        assert_eq!(
            task.due_at.since(start),
            Duration::from_secs(delay),
            "{status}"
        );
    }
}

#[tokio::test]
async fn any_other_status_is_final() {
    for status in ["404 Not Found", "400 Bad Request", "304 Not Modified"] {
        let server = Server::start(move |_, _| answer(status, "retry-after: 5\r\n", "")).await;
        let stage = Stage::new();
        let task = stage
            .run(stage.envelope("http", &json!({ "url": server.url })))
            .await;
        assert_eq!(task.bury_reason, Some(BuryReason::Rejected), "{status}");
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_tried_again_and_no_secret_is_told() {
    let stage = Stage::new();
    // Port 1 of this machine: nothing listens there.
    let payload = json!({ "url": "http://user:s3cret@127.0.0.1:1/path?token=s3cret" });
    let task = stage.run(stage.envelope("http", &payload)).await;
    assert_eq!(task.bury_reason, Some(BuryReason::AttemptsExhausted));
    assert_eq!(failure(&task).0, "connect");
    assert!(
        failure(&task).1.contains("http://127.0.0.1:1/path"),
        "{}",
        failure(&task).1
    );
    assert!(!failure(&task).1.contains("s3cret"), "{}", failure(&task).1);
}

#[tokio::test]
async fn a_huge_body_is_cut_and_says_so() {
    let server = Server::start(|_, _| answer("200 OK", "", &"x".repeat(1_000_000))).await;
    let stage = Stage::new();
    let task = stage
        .run(stage.envelope("http", &json!({ "url": server.url })))
        .await;
    assert_eq!(result(&task)["body"].as_str().unwrap().len(), 64 * 1024);
    assert_eq!(result(&task)["truncated"], true);
}

#[tokio::test]
async fn redirects_are_followed_five_times_and_only_to_http() {
    let server = Server::start(|number, _| match number {
        0..5 => answer("302 Found", &format!("location: /{number}\r\n"), ""),
        _ => answer("200 OK", "", "there"),
    })
    .await;
    let stage = Stage::new();
    let task = stage
        .run(stage.envelope("http", &json!({ "url": server.url })))
        .await;
    assert_eq!(task.state, State::Completed, "{:?}", task.error);

    for location in ["/again", "ftp://127.0.0.1/x", "file:///etc/passwd"] {
        let headers = format!("location: {location}\r\n");
        let server = Server::start(move |_, _| answer("302 Found", &headers, "")).await;
        let stage = Stage::new();
        let task = stage
            .run(stage.envelope("http", &json!({ "url": server.url })))
            .await;
        assert_eq!(
            task.bury_reason,
            Some(BuryReason::Rejected),
            "{location}: {:?}",
            task.error
        );
    }
}

#[tokio::test]
async fn a_request_has_a_timeout_of_its_own() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let stage = Stage::new();
    let mut envelope = stage.envelope("http", &json!({ "url": url, "timeout": "50ms" }));
    envelope.retry.max_attempts = 1;
    let task = stage.run(envelope).await;
    assert_eq!(failure(&task).0, "http_timeout");
}

#[tokio::test]
async fn what_can_never_be_sent_is_rejected_with_the_reason() {
    for (payload, reason) in [
        (json!({ "url": "file:///etc/passwd" }), "file"),
        (json!({ "url": "redis://127.0.0.1" }), "redis"),
        (json!({ "url": "not a url" }), "url"),
        (
            json!({ "url": "http://127.0.0.1", "method": "TRACE" }),
            "method",
        ),
        (
            json!({ "url": "http://127.0.0.1", "headers": { "a b": "x" } }),
            "a b",
        ),
        (
            json!({ "url": "http://127.0.0.1", "headers": { "a": "x\r\ny: z" } }),
            "value",
        ),
    ] {
        let stage = Stage::new();
        let task = stage.run(stage.envelope("http", &payload)).await;
        assert_eq!(task.bury_reason, Some(BuryReason::Rejected), "{reason}");
        assert!(failure(&task).1.contains(reason), "{}", failure(&task).1);
    }
}
