//! Changes of many tasks by filter, and pages among many.

use serde_json::{Value, json};
use tidemill_control::Role;

use crate::stage::Stage;

async fn states(stage: &Stage, query: &str) -> Vec<String> {
    let page = stage
        .get(&format!("/api/v1/tasks?limit=1000&{query}"))
        .await
        .is(200);
    let items = page["items"].as_array().unwrap().clone();
    let state = |task: &Value| task["state"].as_str().unwrap().to_owned();
    items.iter().map(state).collect()
}

async fn many(stage: &Stage, queue: &str, count: usize) {
    let tasks: Vec<_> = (0..count)
        .map(|n| json!({ "kind": "echo", "queue": queue, "id": format!("{queue}{n}") }))
        .collect();
    let body = json!({ "tasks": tasks });
    stage.post("/api/v1/tasks/batch", body).await.is(202);
}

const BULK: &str = "/api/v1/tasks/bulk";

/// Behaviour 74.
#[tokio::test]
async fn a_change_of_many_counts_is_bounded_and_goes_on() {
    let stage = Stage::new().await;
    many(&stage, "mail", 7).await;
    many(&stage, "other", 2).await;
    let order = json!({
        "action": "cancel", "state": ["pending"], "filter": { "queue": "mail" }, "limit": 4,
    });
    let mut dry = order.clone();
    dry["dry_run"] = true.into();
    let shown = stage.post(BULK, dry).await.is(200);
    assert_eq!((&shown["meant"], &shown["changed"]), (&4.into(), &0.into()));
    assert_eq!(shown["sample"][0]["id"], "mail6");
    let first = stage.post(BULK, order.clone()).await.is(200);
    assert_eq!(
        (&first["changed"], &first["refused"]),
        (&4.into(), &0.into())
    );
    let mut rest = order;
    rest["cursor"] = first["next_cursor"].clone();
    rest["reason"] = "the relay is away".into();
    let second = stage.post(BULK, rest).await.is(200);
    assert_eq!(second["changed"], 3);
    assert_eq!(second["next_cursor"], Value::Null);
    assert_eq!(states(&stage, "queue=mail").await, ["cancelled"; 7]);
    assert_eq!(states(&stage, "queue=other").await, ["pending"; 2]);
    let log = |id: &str| format!("/api/v1/tasks/{id}/logs");
    let told = stage.get(&log("mail0")).await.is(200);
    assert_eq!(
        told["lines"][0]["text"],
        "cancelled by root: the relay is away"
    );
    let told = stage.get(&log("mail6")).await.is(200);
    assert_eq!(told["lines"], json!([]));
    let audit = stage.get("/api/v1/audit").await.is(200);
    assert_eq!(audit["items"][0]["subject"], "3 tasks cancelled");
    assert_eq!(audit["items"][0]["reason"], "the relay is away");
    stage.end().await;
}

/// Behaviour 74.
#[tokio::test]
async fn each_change_of_many_is_that_of_one() {
    let stage = Stage::new().await;
    many(&stage, "q", 2).await;
    for (change, state) in [
        (json!({ "action": "reschedule", "in": "1h" }), "scheduled"),
        (json!({ "action": "run_now" }), "pending"),
        (json!({ "action": "bury" }), "dead"),
        (
            json!({ "action": "replay", "how": { "to_queue": "else" } }),
            "pending",
        ),
        (json!({ "action": "cancel" }), "cancelled"),
    ] {
        let mut order = change.clone();
        order["all"] = true.into();
        let answer = stage.post(BULK, order).await.is(200);
        assert_eq!(answer["changed"], 2, "{change}");
        assert_eq!(states(&stage, "").await, [state; 2], "{change}");
    }
    assert_eq!(states(&stage, "queue=else").await.len(), 2);
    let refused = json!({ "action": "bury", "all": true });
    let answer = stage.post(BULK, refused).await.is(200);
    assert_eq!(
        (&answer["changed"], &answer["refused"]),
        (&0.into(), &2.into())
    );
    stage.end().await;
}

/// S29.
#[tokio::test]
async fn many_are_removed_by_admins_alone_once_their_count_is_named() {
    let stage = Stage::new().await;
    many(&stage, "q", 3).await;
    let delete = json!({ "action": "delete", "filter": { "queue": "q" } });
    let operator = stage.token("op", Role::Operator, &[]).await;
    stage
        .call_as(&operator, "POST", BULK, Some(delete.clone()))
        .await
        .refused(403, "role");
    let asked = stage
        .post(BULK, delete.clone())
        .await
        .refused(428, "confirm=3");
    assert_eq!(asked["count"], 3);
    let path = format!("{BULK}?confirm=3");
    assert_eq!(stage.post(&path, delete).await.is(200)["changed"], 3);
    for (order, why) in [
        (json!({ "action": "cancel" }), "all"),
        (
            json!({ "action": "cancel", "all": true, "at": "2030-01-01T00:00:00Z" }),
            "reschedule",
        ),
        (
            json!({ "action": "reschedule", "all": true }),
            "one of at and in",
        ),
        (
            json!({ "action": "cancel", "all": true, "how": {} }),
            "replay",
        ),
        (
            json!({ "action": "cancel", "all": true, "cursor": "made up" }),
            "cursor",
        ),
        (
            json!({ "action": "cancel", "filter": { "min_failures": 1 } }),
            "replays",
        ),
    ] {
        stage.post(BULK, order).await.refused(400, why);
    }
    stage.end().await;
}

/// Behaviour 72.
#[tokio::test]
async fn what_is_rare_is_found_page_by_page() {
    let stage = Stage::new().await;
    stage.enqueue(json!({ "kind": "rare", "id": "rare" })).await;
    for part in 0..3 {
        many(&stage, &format!("q{part}-"), 7_000).await;
    }
    let (mut found, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = stage.get(&format!("/api/v1/tasks?kind=rare{cursor}")).await;
        let page = page.is(200);
        found.extend(page["items"].as_array().unwrap().clone());
        pages += 1;
        let Some(next) = page["next_cursor"].as_str() else {
            assert_eq!(page["partial"], Value::Null);
            break;
        };
        assert_eq!(page["partial"], true, "a page that is not full says so");
        cursor = format!("&cursor={next}");
    }
    assert_eq!(found.len(), 1, "in {pages} pages");
    assert_eq!(found[0]["id"], "rare");
    stage.end().await;
}
