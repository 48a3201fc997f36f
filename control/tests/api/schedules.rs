//! Schedules over HTTP.

use serde_json::{Value, json};

use crate::stage::{Answer, Stage};

async fn put(stage: &Stage, tag: Option<(&str, &str)>, body: &Value) -> Answer {
    let mut request = stage
        .request("PUT", "/api/v1/schedules/nightly")
        .bearer_auth(&stage.admin)
        .header("content-type", "application/json");
    if let Some((name, value)) = tag {
        request = request.header(name, value);
    }
    Answer::of(request.body(body.to_string()).send().await.unwrap()).await
}

#[tokio::test]
async fn a_change_of_what_has_changed_is_refused() {
    let stage = Stage::new().await;
    let body = json!({ "kind": "echo", "cron": "0 3 * * *" });
    put(&stage, Some(("if-match", "\"1\"")), &body)
        .await
        .refused(412, "read it again");
    let made = put(&stage, Some(("if-none-match", "*")), &body).await;
    made.is(201);
    let tag = made.headers["etag"].to_str().unwrap().to_owned();
    put(&stage, Some(("if-none-match", "*")), &body)
        .await
        .refused(412, "");
    let later = json!({ "kind": "echo", "cron": "0 4 * * *" });
    let changed = put(&stage, Some(("if-match", &tag)), &later).await;
    changed.is(200);
    put(&stage, Some(("if-match", &tag)), &body)
        .await
        .refused(412, "");
    let read = stage
        .request("GET", "/api/v1/schedules/nightly")
        .bearer_auth(&stage.admin)
        .header("if-none-match", changed.headers["etag"].clone());
    assert_eq!(read.send().await.unwrap().status(), 304);
    let other = json!({ "id": "other", "kind": "echo", "cron": "0 4 * * *" });
    put(&stage, None, &other).await.refused(400, "path");
    stage.end().await;
}

/// Behaviour 66.
#[tokio::test]
async fn a_schedule_is_planned_triggered_paused_and_removed() {
    let stage = Stage::new().await;
    let form = json!({ "id": "nightly", "kind": "echo", "cron": "0 3 * * *", "time_zone": "Europe/Madrid" });
    let plan = stage
        .post("/api/v1/schedules/plan", form.clone())
        .await
        .is(200);
    assert_eq!(plan["change"], "added");
    assert_eq!(plan["next"].as_array().unwrap().len(), 5);
    stage
        .get("/api/v1/schedules/nightly")
        .await
        .refused(404, "");
    put(&stage, None, &form).await.is(201);
    let plan = stage.post("/api/v1/schedules/plan", form).await.is(200);
    assert_eq!(plan["change"], "unchanged");
    let path = |what: &str| format!("/api/v1/schedules/nightly{what}");
    let fired = stage.call("POST", &path("/trigger"), None).await.is(202);
    let task = fired["task_id"].as_str().unwrap();
    assert_eq!(
        stage.get(&format!("/api/v1/tasks/{task}")).await.is(200)["schedule_id"],
        "nightly"
    );
    let fires = stage.get(&path("/fires")).await.is(200);
    assert_eq!(fires["items"][0]["task_id"], task);
    assert_eq!(fires["items"][0]["manual"], true);
    let paused = stage
        .post(&path("/pause"), json!({ "reason": "holiday" }))
        .await
        .is(200);
    assert_eq!(
        (&paused["paused"], &paused["pause_reason"]),
        (&json!(true), &json!("holiday"))
    );
    assert_eq!(paused["next"], json!([]));
    let resumed = stage.call("POST", &path("/resume"), None).await.is(200);
    assert_eq!(resumed["paused"], false);
    stage.call("DELETE", &path(""), None).await.is(204);
    stage.call("DELETE", &path(""), None).await.refused(404, "");
    stage.end().await;
}

#[tokio::test]
async fn a_reload_says_what_came_of_it() {
    let stage = Stage::new().await;
    let done = stage.call("POST", "/api/v1/reload", None).await.is(200);
    assert_eq!(done["status"], "success");
    stage.end().await;
}
