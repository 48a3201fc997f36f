//! Looking at queues and tasks, and changing them.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use tidemill_control::{ApiSettings, Remote, Role};
use tidemill_shared::WorkerId;
use tidemill_shared::ledger::{PresenceRecord, Role as LedgerRole};

use crate::stage::Stage;

/// Behaviour 71.
#[tokio::test]
async fn a_queue_tells_what_it_holds_and_has_done() {
    let stage = Stage::new().await;
    stage.letters("mail", 2).await;
    stage
        .enqueue(json!({ "kind": "echo", "queue": "mail" }))
        .await;
    stage
        .enqueue(json!({ "kind": "echo", "queue": "mail", "in": "1h" }))
        .await;
    let queue = stage.get("/api/v1/queues/mail").await.is(200);
    let counts = ["dead", "pending", "scheduled", "active"].map(|state| queue[state].as_u64());
    assert_eq!(counts, [Some(2), Some(1), Some(1), Some(0)]);
    assert!(queue["oldest_pending_at"].is_string());
    let history = stage.get("/api/v1/queues/mail/history").await.is(200);
    let minutes = history["items"].as_array().unwrap();
    let sum = |what: &str| minutes.iter().filter_map(|m| m[what].as_u64()).sum::<u64>();
    assert_eq!((sum("enqueued"), sum("failed")), (4, 2));
    stage.get("/api/v1/queues/nobody").await.refused(404, "");
    stage.end().await;
}

/// Behaviour 72.
#[tokio::test]
async fn pages_hold_everything_once_while_tasks_come() {
    let stage = Stage::new().await;
    let tasks: Vec<_> = (0..25)
        .map(|n| json!({ "kind": "echo", "id": format!("t{n}") }))
        .collect();
    stage
        .post("/api/v1/tasks/batch", json!({ "tasks": tasks }))
        .await
        .is(202);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = stage
            .get(&format!("/api/v1/tasks?limit=10{cursor}"))
            .await
            .is(200);
        let items = page["items"].as_array().unwrap();
        seen.extend(
            items
                .iter()
                .map(|task| task["id"].as_str().unwrap().to_owned()),
        );
        stage.enqueue(json!({ "kind": "echo" })).await;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expected: Vec<_> = (0..25).rev().map(|n| format!("t{n}")).collect();
    assert_eq!(seen, expected);
    stage.end().await;
}

/// Behaviour 73.
#[tokio::test]
async fn an_action_is_right_from_each_state_or_refused() {
    let stage = Stage::new().await;
    let act = async |id: &str, body| {
        stage
            .post(&format!("/api/v1/tasks/{id}/action"), body)
            .await
    };
    let later = || json!({ "kind": "echo", "in": "1h" });

    let id = stage.enqueue(later()).await;
    let moved = json!({ "action": "reschedule", "at": "2199-01-01T00:00:00Z" });
    act(&id, moved).await.is(200);
    let task = stage.get(&format!("/api/v1/tasks/{id}")).await.is(200);
    assert!(task["due_at"].as_str().unwrap().starts_with("2199-01-01"));
    act(&id, json!({ "action": "reschedule" }))
        .await
        .refused(400, "one of at and in");
    let done = act(&id, json!({ "action": "run_now" })).await.is(200);
    assert_eq!(done["status"], "done");
    assert!(
        done["detail"]
            .as_str()
            .unwrap()
            .contains("from scheduled to pending")
    );
    act(&id, json!({ "action": "run_now" }))
        .await
        .refused(409, "pending");
    act(&id, json!({ "action": "bury" })).await.is(200);
    act(&id, json!({ "action": "cancel" }))
        .await
        .refused(409, "dead");
    act(&id, json!({ "action": "retry", "reason": "network flake" }))
        .await
        .is(200);
    let log = stage.get(&format!("/api/v1/tasks/{id}/logs")).await.is(200);
    let lines = log["lines"].as_array().unwrap().iter();
    let lines: Vec<_> = lines.map(|line| line["text"].as_str().unwrap()).collect();
    assert_eq!(
        lines.last(),
        Some(&"retried by root: network flake"),
        "{lines:?}"
    );
    assert!(lines.contains(&"buried by root"), "{lines:?}");

    stage.lease("default", 1).await;
    act(&id, json!({ "action": "skip" }))
        .await
        .refused(409, "force");
    let asked = act(&id, json!({ "action": "skip", "force": true }))
        .await
        .is(200);
    assert!(asked["detail"].as_str().unwrap().contains("asked to stop"));

    let id = stage.enqueue(later()).await;
    act(&id, json!({ "action": "skip" })).await.is(200);
    act("nobody", json!({ "action": "cancel" }))
        .await
        .refused(404, "");
    act("a:b", json!({ "action": "cancel" }))
        .await
        .refused(404, "");
    stage.end().await;
}

/// Behaviour 74.
#[tokio::test]
async fn a_batch_answers_for_each_of_its_items() {
    let stage = Stage::new().await;
    let tasks = json!([
        { "kind": "echo", "id": "one" },
        { "kind": "a:b" },
        { "kind": "echo", "id": "one" },
        { "kind": "echo", "key": "k" },
        { "kind": "echo", "key": "k" },
        7,
    ]);
    let done = stage
        .post("/api/v1/tasks/batch", json!({ "tasks": tasks }))
        .await
        .is(202);
    let results = done["results"].as_array().unwrap();
    let words: Vec<_> = results
        .iter()
        .map(|item| {
            item["admission"]
                .as_str()
                .or(item["error"].as_str())
                .unwrap()
        })
        .collect();
    assert_eq!(
        words,
        [
            "admitted",
            "invalid",
            "conflict",
            "admitted",
            "duplicate",
            "invalid"
        ]
    );
    assert_eq!(results[4]["id"], results[3]["id"]);
    stage.end().await;
}

/// Behaviour 75.
#[tokio::test]
async fn a_queue_that_holds_tasks_goes_by_force_alone() {
    let stage = Stage::new().await;
    stage
        .enqueue(json!({ "kind": "echo", "queue": "old", "key": "k" }))
        .await;
    stage
        .enqueue(json!({ "kind": "echo", "queue": "old" }))
        .await;
    let remove = async |query: &str| {
        stage
            .call("DELETE", &format!("/api/v1/queues/old{query}"), None)
            .await
    };
    remove("").await.refused(409, "2 tasks");
    remove("?force=true").await.refused(428, "confirm=2");
    remove("?force=true&confirm=2").await.is(204);
    remove("").await.refused(404, "");
    // The key went with it.
    let again = json!({ "kind": "echo", "queue": "old", "key": "k" });
    let again = stage.post("/api/v1/tasks", again).await.is(202);
    assert_eq!(again["admission"], "admitted");
    stage.end().await;
}

/// Behaviour 15.
#[tokio::test]
async fn a_queue_that_drains_takes_nothing_new() {
    let stage = Stage::new().await;
    stage.enqueue(json!({ "kind": "echo", "queue": "q" })).await;
    stage
        .call("POST", "/api/v1/queues/q/drain", None)
        .await
        .is(200);
    let more = json!({ "kind": "echo", "queue": "q" });
    let refused = stage.post("/api/v1/tasks", more.clone()).await;
    refused.refused(429, "full");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(stage.lease("q", 5).await.len(), 1);
    stage
        .call("POST", "/api/v1/queues/q/resume", None)
        .await
        .is(200);
    stage.post("/api/v1/tasks", more).await.is(202);
    stage.end().await;
}

#[tokio::test]
async fn a_task_tells_why_it_does_not_run() {
    let stage = Stage::new().await;
    let why = async |id: &str| {
        let why = stage.get(&format!("/api/v1/tasks/{id}/why")).await.is(200);
        let findings = why["findings"].as_array().unwrap();
        findings
            .iter()
            .map(|f| f["code"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let id = stage.enqueue(json!({ "kind": "echo", "in": "1h" })).await;
    assert_eq!(why(&id).await, ["not_due"]);
    let id = stage.enqueue(json!({ "kind": "echo" })).await;
    assert_eq!(why(&id).await, ["no_worker", "ready"]);
    stage
        .call("POST", "/api/v1/queues/default/pause", None)
        .await
        .is(200);
    assert_eq!(why(&id).await, ["queue_paused", "no_worker", "ready"]);
    stage
        .call("POST", "/api/v1/queues/default/resume", None)
        .await
        .is(200);
    stage.lease("default", 1).await;
    assert_eq!(why(&id).await, ["worker_lost"]);
    stage.letters("mail", 1).await;
    let dead = stage.get("/api/v1/dead").await.is(200);
    let dead = dead["items"][0]["id"].as_str().unwrap();
    assert_eq!(why(dead).await, ["rejected", "buried"]);
    stage.end().await;
}

#[tokio::test]
async fn callers_at_once_are_all_served() {
    let stage = Stage::new().await;
    let calls =
        (0..200).map(|n| stage.post("/api/v1/tasks", json!({ "kind": "echo", "payload": n })));
    for answer in join_all(calls).await {
        answer.is(202);
    }
    assert_eq!(stage.lease("default", 500).await.len(), 200);
    stage.end().await;
}

/// Behaviour 72.
#[tokio::test]
async fn queues_processes_and_tokens_come_page_by_page() {
    let stage = Stage::new().await;
    for n in 0..7 {
        let queue = format!("q{n}");
        stage
            .enqueue(json!({ "kind": "echo", "queue": queue }))
            .await;
        stage.token(&format!("token{n}"), Role::Viewer, &[]).await;
        let started_at = stage.connection.clock.now();
        let process = PresenceRecord {
            id: WorkerId::new(format!("w{n}")).unwrap(),
            role: LedgerRole::Worker,
            host: "here".into(),
            pid: n,
            version: "0".into(),
            started_at,
            last_seen: started_at,
            queues: Vec::new(),
            kinds: None,
            slots: 1,
            busy: 0,
            draining: false,
            leader: false,
            epoch: None,
            shards: 1,
            held: Vec::new(),
        };
        let ledger = &stage.connection.ledger;
        ledger
            .announce(&process, Duration::from_secs(60))
            .await
            .unwrap();
    }
    for (path, name, count) in [
        ("/api/v1/queues", "queue", 7),
        ("/api/v1/workers", "id", 7),
        // And the one that asks.
        ("/api/v1/tokens", "name", 8),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = stage.get(&format!("{path}?limit=3{cursor}")).await.is(200);
            let items = page["items"].as_array().unwrap();
            assert!((1..=3).contains(&items.len()), "{page}");
            seen.extend(items.iter().map(|one| one[name].to_string()));
            let Some(next) = page["next_cursor"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen.len(), count, "{path}: {seen:?}");
        let sorted: BTreeSet<_> = seen.iter().collect();
        assert_eq!(sorted.len(), count, "{path}: {seen:?}");
        stage
            .get(&format!("{path}?cursor=%00"))
            .await
            .refused(400, "cursor");
    }
    let remote = Remote::new(
        &ApiSettings {
            url: format!("http://{}", stage.address),
            token: Some(stage.admin.clone()),
            reason: None,
        },
        stage.connection.clock.clone(),
    );
    assert_eq!(remote.unwrap().tokens().await.unwrap().len(), 8);
    stage.end().await;
}
