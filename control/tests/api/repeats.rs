//! Requests that are sent again, and many at once.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::stage::{Answer, Stage};

async fn enqueue(stage: &Stage, key: &str, body: &Value) -> Answer {
    let request = stage
        .request("POST", "/api/v1/tasks")
        .bearer_auth(&stage.admin)
        .header("idempotency-key", key)
        .header("content-type", "application/json")
        .body(body.to_string());
    Answer::of(request.send().await.unwrap()).await
}

async fn count(stage: &Stage) -> usize {
    let list = stage.get("/api/v1/tasks").await.is(200);
    list["items"].as_array().unwrap().len()
}

/// S30.
#[tokio::test]
async fn the_same_request_has_the_same_answer() {
    let stage = Stage::new().await;
    let body = json!({ "kind": "echo", "payload": 1 });
    let first = enqueue(&stage, "order-7", &body).await.is(202);
    let again = enqueue(&stage, "order-7", &body).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.is(202), first);
    let other = json!({ "kind": "echo", "payload": 2 });
    enqueue(&stage, "order-7", &other)
        .await
        .refused(422, "another body");
    assert_ne!(enqueue(&stage, "order-8", &body).await.is(202), first);
    assert_eq!(count(&stage).await, 2);
    // One that was refused may be tried again.
    let wrong = json!({ "kind": "a:b" });
    enqueue(&stage, "order-9", &wrong)
        .await
        .refused(400, "kind");
    enqueue(&stage, "order-9", &body).await.is(202);
    stage.end().await;
}

#[tokio::test]
async fn the_same_request_at_once_makes_one_task() {
    let stage = Stage::new().await;
    let body = json!({ "kind": "echo" });
    let calls = (0..20).map(|_| enqueue(&stage, "once", &body));
    for answer in join_all(calls).await {
        assert!([202, 409].contains(&answer.status.as_u16()), "{answer:?}");
    }
    assert_eq!(count(&stage).await, 1);
    stage.end().await;
}

/// Behaviour 13. The answer was lost before it could be kept: the task is the same all the same.
#[tokio::test]
async fn a_key_makes_one_task_even_if_its_answer_was_never_kept() {
    use tidemill_shared::ledger::{Book, NoteOrder};
    let stage = Stage::new().await;
    let body = json!({ "kind": "echo" });
    let first = enqueue(&stage, "k", &body).await.is(202);
    let ledger = &stage.connection.ledger;
    let kept = ledger
        .notes(Book::Answers, NoteOrder::Forward, None, 10)
        .await
        .unwrap();
    for note in &kept {
        assert!(ledger.forget_note(Book::Answers, &note.name).await.unwrap());
    }
    assert_eq!(kept.len(), 1);
    assert_eq!(enqueue(&stage, "k", &body).await.is(202), first);
    assert_eq!(count(&stage).await, 1);
    stage.end().await;
}

/// S31.
#[tokio::test]
async fn of_many_changes_at_once_one_is_made() {
    let stage = Stage::new().await;
    for action in ["retry", "cancel", "bury"] {
        let id = stage.enqueue(json!({ "kind": "echo", "in": "1h" })).await;
        let path = format!("/api/v1/tasks/{id}/action");
        let calls = (0..50).map(|_| stage.post(&path, json!({ "action": action })));
        let statuses: Vec<_> = join_all(calls)
            .await
            .iter()
            .map(|a| a.status.as_u16())
            .collect();
        let good = statuses.iter().filter(|status| **status == 200).count();
        assert_eq!(good, 1, "{action}: {statuses:?}");
        assert!(
            statuses.iter().all(|status| [200, 409].contains(status)),
            "{statuses:?}"
        );
    }
    let id = stage.enqueue(json!({ "kind": "echo", "in": "1h" })).await;
    let path = format!("/api/v1/tasks/{id}");
    let calls = (0..50).map(|_| stage.call("DELETE", &path, None));
    let statuses: Vec<_> = join_all(calls)
        .await
        .iter()
        .map(|a| a.status.as_u16())
        .collect();
    assert_eq!(statuses.iter().filter(|status| **status == 204).count(), 1);
    assert!(
        statuses.iter().all(|status| [204, 404].contains(status)),
        "{statuses:?}"
    );
    stage.end().await;
}
