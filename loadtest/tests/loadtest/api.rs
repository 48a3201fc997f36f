//! Each part of the load on the HTTP API in its smallest size, with real processes on a real store.

use serde_json::Value;

use crate::program::{errors, last_line, loadtest, redis_server};

/// A run on a fresh store; its line of JSON.
fn run(broker: &str, part: &str, more: &[&str]) -> Value {
    let server = redis_server();
    let to = [
        "api", "--broker", broker, "--server", &server, "--part", part,
    ];
    last_line(&loadtest(&[&to, more].concat()))
}

fn on_each_store(part: &str, more: &[&str], check: impl Fn(&Value)) {
    for broker in ["sqlite?synchronous=normal", "redis"] {
        let found = run(broker, part, more);
        let text = found["broker"].as_str().expect("a store");
        assert!(
            broker.starts_with(text.split(' ').next().unwrap_or("")),
            "{text}"
        );
        assert_eq!(
            (&found["lost"], &found["duplicates"]),
            (&0.into(), &0.into()),
            "{found}"
        );
        check(&found);
    }
}

#[test]
fn each_request_of_a_rate_is_answered_and_its_task_runs_once() {
    let more = ["--rate", "200", "--duration", "500ms", "--connections", "4"];
    on_each_store("enqueue", &more, |found| {
        assert_eq!(found["scenario"], "api-enqueue");
        assert_eq!(found["tasks"], 100);
        assert!(found["latency_ms"]["p99"].as_f64() > Some(0.0), "{found}");
        assert!(found["tasks_per_second"].as_u64() > Some(0), "{found}");
    });
}

#[test]
fn batches_are_taken_in_whole() {
    // Not a multiple of the batch.
    let more = ["--tasks", "1100", "--batch", "500", "--workers", "0"];
    on_each_store("batch", &more, |found| {
        assert_eq!(found["scenario"], "api-batch");
        assert_eq!(found["tasks"], 1_100);
        assert!(found["tasks_per_second"].as_u64() > Some(0), "{found}");
    });
}

/// How long a page takes among few tasks on a busy machine says nothing.
#[test]
fn every_page_is_asked_for_and_timed() {
    let more = ["--tasks", "2000", "--times", "2", "--limit", "1m"];
    on_each_store("pages", &more, |found| {
        assert_eq!(found["scenario"], "api-pages");
        for page in [
            "newest",
            "rare_kind",
            "no_kind",
            "dead",
            "rare_error",
            "statistics",
        ] {
            let spread = &found[format!("{page}_ms")];
            assert!(spread["p50"].as_f64() > Some(0.0), "{page}: {found}");
            assert_eq!(found[format!("{page}_whole")], true, "{page}: {found}");
        }
        assert!(found["rare_kind_pages"].as_u64() > Some(0), "{found}");
    });
}

#[test]
fn a_page_beyond_the_limit_fails_the_run() {
    let to = ["api", "--broker", "sqlite?synchronous=normal"];
    let what = [
        "--part", "pages", "--tasks", "1000", "--times", "1", "--limit", "1us",
    ];
    let said = errors(&loadtest(&[&to[..], &what].concat()), 1);
    assert!(said.contains("a page of newest took"), "{said}");
}
