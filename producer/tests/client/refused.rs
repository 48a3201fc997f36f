//! What is refused before any I/O.

use std::sync::Arc;
use std::time::Duration;

use tidemill_producer::{Client, Enqueue};
use tidemill_shared::{ContentType, ErrorKind, KeyFate, Payload, RetryPolicy};

use crate::probe::Probe;
use crate::stores::{memory, note};

async fn refused(build: impl Fn(&Client) -> Enqueue + Send, part: &str) {
    let store = memory();
    let (connection, probe) = Probe::before(&store.connection);
    let client = Client::new(&connection);
    let error = build(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains(part), "{part}: {error}");
    assert!(probe.batches().is_empty(), "{part}: no call was due");
}

/// Behaviour 2.
#[tokio::test]
async fn a_malformed_queue_kind_or_id_is_refused_before_any_io() {
    let long = Arc::new("x".repeat(129));
    for bad in ["", " ", "a b", "a:b", "-a", "é", "a\n", "../x", &long] {
        let own = |what: &'static str| {
            move |e: Enqueue| {
                if what == "queue" {
                    e.queue(bad)
                } else {
                    e.id(bad)
                }
            }
        };
        refused(|c| own("queue")(c.enqueue(note("a"))), "queue").await;
        refused(|c| own("id")(c.enqueue(note("a"))), "task id").await;
        refused(|c| c.enqueue_raw(bad, Payload::default()), "kind").await;
    }
    for bad in ["", "a\u{7}", &"x".repeat(513)] {
        refused(|c| c.enqueue(note("a")).key(bad), "key").await;
    }
}

/// Behaviour 5. What cannot be negative by its type has no text form but durations, and those are
/// refused by the one parser of durations.
#[tokio::test]
async fn negative_and_meaningless_numbers_are_refused() {
    refused(|c| c.enqueue(note("a")).priority(-1), "priority -1").await;
    refused(|c| c.enqueue(note("a")).priority(10), "0 (last) to 9").await;
    refused(|c| c.enqueue(note("a")).priority(i64::MIN), "priority").await;
    refused(|c| c.enqueue(note("a")).max_attempts(0), "max_attempts").await;
    refused(|c| c.enqueue(note("a")).timeout(Duration::ZERO), "timeout").await;
    refused(
        |c| c.enqueue(note("a")).enqueue_timeout(Duration::ZERO),
        "enqueue timeout",
    )
    .await;
    refused(
        |c| c.enqueue(note("a")).key("k").key_ttl(Duration::ZERO),
        "time to live",
    )
    .await;
    refused(
        |c| c.enqueue(note("a")).key("k").key_ttl(Duration::MAX),
        "100 years",
    )
    .await;
    let endless = RetryPolicy {
        max: Duration::MAX,
        ..RetryPolicy::default()
    };
    refused(|c| c.enqueue(note("a")).retry(endless.clone()), "100 years").await;
    assert!(tidemill_shared::parse_duration("-5s").is_err());
}

#[tokio::test]
async fn a_setting_for_a_key_without_a_key_is_refused() {
    refused(
        |c| c.enqueue(note("a")).key_ttl(Duration::from_secs(1)),
        "no key",
    )
    .await;
    refused(
        |c| c.enqueue(note("a")).key_on_failure(KeyFate::Keep),
        "no key",
    )
    .await;
}

#[tokio::test]
async fn a_payload_that_claims_to_be_json_must_be_json() {
    for bad in ["", "{", "nul", "1 2", r#"{"a":1,"a":2}"#] {
        let payload = Payload::new(ContentType::json(), bad.as_bytes());
        refused(|c| c.enqueue_raw("raw", payload.clone()), "not valid JSON").await;
    }
}

#[tokio::test]
async fn malformed_headers_are_refused() {
    refused(|c| c.enqueue(note("a")).header("", "v"), "header name").await;
    refused(|c| c.enqueue(note("a")).header("a b", "v"), "header name").await;
    refused(
        |c| c.enqueue(note("a")).header("a", "x".repeat(8_193)),
        "8192",
    )
    .await;
    let many =
        |c: &Client| (0..65).fold(c.enqueue(note("a")), |e, n| e.header(format!("h{n}"), ""));
    refused(many, "limit is 64").await;
}

/// Behaviour 14.
#[tokio::test]
async fn an_over_large_payload_is_refused_with_the_limit_named() {
    let limit = memory().connection.broker.capabilities().max_payload;
    refused(
        |c| c.enqueue_raw("raw", Payload::bytes(vec![0; limit + 1])),
        &format!("the limit is {limit}"),
    )
    .await;
    refused(|c| c.enqueue(note(&"x".repeat(limit))), &limit.to_string()).await;
    for store in [crate::stores::fresh().await, crate::stores::sqlite()] {
        let client = Client::new(&store.connection);
        let fits = client.enqueue_raw("raw", Payload::bytes(vec![7; limit]));
        fits.await.unwrap();
        let leases = store.lease("default", 1).await;
        assert_eq!(leases[0].envelope.payload.as_bytes().len(), limit);
    }
}
