//! `echo`, `sleep` and `fail`.

use serde_json::json;
use tidemill_shared::{BuryReason, State};

use crate::stage::{Stage, failure, result};

#[tokio::test]
async fn echo_returns_its_payload() {
    let stage = Stage::new();
    let payload = json!({ "a": [1, null, "é"] });
    let task = stage.run(stage.envelope("echo", &payload)).await;
    assert_eq!(task.state, State::Completed);
    assert_eq!(result(&task), payload);
}

#[tokio::test]
async fn sleep_ends_by_itself_or_at_its_timeout() {
    let stage = Stage::new();
    let task = stage
        .run(stage.envelope("sleep", &json!({ "for": "1ms" })))
        .await;
    assert_eq!(task.state, State::Completed);

    let stage = Stage::new();
    let mut long = stage.envelope("sleep", &json!({ "for": "1h" }));
    long.timeout = std::time::Duration::from_millis(20);
    long.retry.max_attempts = 1;
    let task = stage.run(long).await;
    assert_eq!(task.state, State::Dead);
    assert_eq!(failure(&task).0, "timeout");
}

#[tokio::test]
async fn fail_fails_as_asked() {
    let stage = Stage::new();
    let payload = json!({ "message": "no luck", "class": "weather", "succeed_on_attempt": 3 });
    let task = stage.run(stage.envelope("fail", &payload)).await;
    assert_eq!((task.state, task.failures), (State::Completed, 2));

    let stage = Stage::new();
    let task = stage
        .run(stage.envelope("fail", &json!({ "reject": true })))
        .await;
    assert_eq!(task.bury_reason, Some(BuryReason::Rejected));

    let stage = Stage::new();
    let payload = json!({ "panic": true, "message": "aargh" });
    let task = stage.run(stage.envelope("fail", &payload)).await;
    assert_eq!(task.bury_reason, Some(BuryReason::AttemptsExhausted));
    assert_eq!(failure(&task).0, "panic");
    assert!(failure(&task).1.contains("aargh"), "{}", failure(&task).1);
}

#[tokio::test]
async fn an_unknown_field_is_a_dead_letter_that_names_it() {
    for (kind, payload) in [
        ("sleep", json!({ "for": "1s", "fro": 1 })),
        ("fail", json!({ "fro": 1 })),
        ("command", json!({ "argv": ["true"], "fro": 1 })),
        ("http", json!({ "url": "http://localhost", "fro": 1 })),
    ] {
        let stage = Stage::new();
        let task = stage.run(stage.envelope(kind, &payload)).await;
        assert_eq!(task.bury_reason, Some(BuryReason::Rejected), "{kind}");
        assert!(
            failure(&task).1.contains("`fro`"),
            "{kind}: {}",
            failure(&task).1
        );
    }
}
