//! Dead letters that come back, many at once.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tidemill_shared::{ReleaseCause, Settlement, Verdict};

use crate::stage::{PATIENCE, Stage};

async fn ended(stage: &Stage, id: &str) -> Value {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let replay = stage.get(&format!("/api/v1/replays/{id}")).await.is(200);
        if replay["status"] != "running" {
            return replay;
        }
        assert!(tokio::time::Instant::now() < deadline, "{replay}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn start(stage: &Stage, body: Value) -> String {
    let replay = stage.post("/api/v1/replays", body).await.is(202);
    replay["id"].as_str().unwrap().to_owned()
}

async fn count(stage: &Stage, queue: &str, state: &str) -> u64 {
    let queue = stage.get(&format!("/api/v1/queues/{queue}")).await.is(200);
    queue[state].as_u64().unwrap()
}

/// Behaviour 78.
#[tokio::test]
async fn a_replay_is_tried_dry_and_then_run() {
    let stage = Stage::new().await;
    stage.letters("mail", 600).await;
    stage.letters("other", 5).await;
    let meant = json!({ "queue": "mail", "error": "no relay", "buried_for": "rejected" });
    let dry = json!({ "filter": meant, "dry_run": true, "limit": 400 });
    let plan = stage.post("/api/v1/replays", dry).await.is(200);
    assert_eq!(plan["plan"]["count"], 400);
    assert_eq!(plan["plan"]["kinds"]["echo"], 400);
    assert_eq!(plan["plan"]["sample"].as_array().unwrap().len(), 10);
    assert_eq!(count(&stage, "mail", "dead").await, 600);
    let how = json!({ "to_queue": "repair", "reset_attempts": true, "edit": { "fixed": true } });
    let id = start(
        &stage,
        json!({ "filter": meant, "how": how, "reason": "relay is back" }),
    )
    .await;
    let done = ended(&stage, &id).await;
    assert_eq!(
        (&done["status"], &done["replayed"]),
        (&json!("done"), &json!(600))
    );
    assert_eq!(count(&stage, "repair", "pending").await, 600);
    assert_eq!(count(&stage, "other", "dead").await, 5);
    let tasks = stage
        .get("/api/v1/tasks?queue=repair&limit=1")
        .await
        .is(200);
    let task = &tasks["items"][0];
    assert_eq!(task["payload"]["fixed"], true);
    let log = stage
        .get(&format!(
            "/api/v1/tasks/{}/logs",
            task["id"].as_str().unwrap()
        ))
        .await;
    assert!(
        log.is(200)["lines"][0]["text"]
            .as_str()
            .unwrap()
            .contains("relay is back")
    );
    let audit = stage.get("/api/v1/audit").await.is(200);
    assert_eq!(audit["items"][0]["action"], "start_replay");
    assert_eq!(audit["items"][0]["subject"], id);
    let details = &audit["items"][0]["details"];
    assert_eq!(details["filter"]["queue"], "mail");
    assert_eq!(details["how"]["to_queue"], "repair");
    assert_eq!(details["how"]["edit"], json!({ "fixed": true }));
    stage
        .post("/api/v1/replays", json!({}))
        .await
        .refused(400, "filter");
    stage.end().await;
}

#[tokio::test]
async fn a_rate_is_kept_and_a_limit_too() {
    let stage = Stage::new().await;
    stage.letters("mail", 60).await;
    let began = tokio::time::Instant::now();
    let id = start(&stage, json!({ "all": true, "rate": 50, "limit": 40 })).await;
    let done = ended(&stage, &id).await;
    assert_eq!(done["replayed"], 40);
    // Eight parts of five, a tenth of a second each, the last without a pause behind it.
    assert!(
        began.elapsed() >= Duration::from_millis(690),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(count(&stage, "mail", "dead").await, 20);
    stage.end().await;
}

#[tokio::test]
async fn what_has_not_run_can_be_taken_back() {
    let stage = Stage::new().await;
    stage.letters("mail", 10).await;
    let letters = dead(&stage).await;
    let how = json!({ "reset_attempts": true });
    let id = start(&stage, json!({ "all": true, "how": how })).await;
    ended(&stage, &id).await;
    let running = stage.lease("mail", 3).await;
    assert_eq!(running.len(), 3);
    let path = format!("/api/v1/replays/{id}/undo");
    let undone = stage.call("POST", &path, None).await.is(200);
    assert_eq!(undone, json!({ "taken_back": 7, "left": 3, "already": 0 }));
    assert_eq!(count(&stage, "mail", "dead").await, 7);
    assert_eq!(ended(&stage, &id).await["status"], "undone");
    let again = stage.call("POST", &path, None).await.is(200);
    assert_eq!(again, json!({ "taken_back": 0, "left": 0, "already": 7 }));
    // Each is the letter that it was.
    for (id, letter) in dead(&stage).await {
        assert_eq!(letter, letters[&id]);
        assert_eq!(letter["reason"], "rejected");
        assert_eq!(letter["failures"].as_array().unwrap().len(), 1);
    }
    stage.end().await;
}

/// Every dead letter by its id, with its failures.
async fn dead(stage: &Stage) -> BTreeMap<String, Value> {
    let mut letters = BTreeMap::new();
    let page = stage.get("/api/v1/dead").await.is(200);
    for letter in page["items"].as_array().unwrap() {
        let id = letter["id"].as_str().unwrap();
        let letter = stage.get(&format!("/api/v1/dead/{id}")).await.is(200);
        letters.insert(id.to_owned(), letter);
    }
    letters
}

/// What ran and was put off has run.
#[tokio::test]
async fn what_ran_and_waits_again_is_not_taken_back() {
    let stage = Stage::new().await;
    stage.letters("mail", 2).await;
    let how = json!({ "reset_attempts": true });
    let id = start(&stage, json!({ "all": true, "how": how })).await;
    ended(&stage, &id).await;
    let lease = stage.lease("mail", 1).await.remove(0);
    let now = stage.connection.clock.now();
    let snoozed = Settlement {
        token: lease.token,
        verdict: Verdict::Release {
            at: Some(now + Duration::from_secs(600)),
            cause: ReleaseCause::Snooze,
        },
        started_at: Some(now),
    };
    stage.connection.broker.settle(vec![snoozed]).await.unwrap();
    let path = format!("/api/v1/replays/{id}/undo");
    let undone = stage.call("POST", &path, None).await.is(200);
    assert_eq!(undone, json!({ "taken_back": 1, "left": 1, "already": 0 }));
    stage.end().await;
}

/// Behaviour 15. A replay is held to the limit of a queue, as every enqueue is.
#[tokio::test]
async fn a_replay_waits_while_its_queue_is_full() {
    let stage = Stage::new().await;
    stage.letters("mail", 25).await;
    let limit = json!({ "limit": 10 });
    stage
        .call("PUT", "/api/v1/queues/mail/limit", Some(limit))
        .await
        .is(200);
    let id = start(&stage, json!({ "all": true })).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let replay = stage.get(&format!("/api/v1/replays/{id}")).await.is(200);
        if let Some(waiting) = replay["waiting"].as_str() {
            assert!(waiting.contains("the queue mail is full: 10"), "{waiting}");
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{replay}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(count(&stage, "mail", "pending").await, 10);
    assert_eq!(count(&stage, "mail", "dead").await, 15);
    // One alone is refused like an enqueue.
    let letters = dead(&stage).await;
    let one = letters.keys().next().unwrap();
    let path = format!("/api/v1/dead/{one}/replay");
    stage.call("POST", &path, None).await.refused(429, "full");
    while stage.get(&format!("/api/v1/replays/{id}")).await.is(200)["status"] == "running" {
        assert!(count(&stage, "mail", "pending").await <= 10);
        stage.lease("mail", 5).await;
        assert!(tokio::time::Instant::now() < deadline);
    }
    let done = ended(&stage, &id).await;
    assert_eq!(
        (&done["replayed"], &done["refused"]),
        (&json!(25), &json!(0))
    );
    assert!(done["waiting"].is_null(), "{done}");
    stage.end().await;
}

/// Nothing is to come into a queue that is drained, and nobody knows for how long.
#[tokio::test]
async fn a_replay_leaves_the_letters_of_a_drained_queue() {
    let stage = Stage::new().await;
    stage.letters("mail", 5).await;
    stage.letters("other", 5).await;
    let drain = "/api/v1/queues/mail/drain";
    stage.call("POST", drain, None).await.is(200);
    let id = start(&stage, json!({ "all": true })).await;
    let done = ended(&stage, &id).await;
    assert_eq!(
        (&done["replayed"], &done["refused"]),
        (&json!(5), &json!(5))
    );
    assert_eq!(done["refusals"], json!({ "queue_drained": 5 }));
    assert_eq!(count(&stage, "mail", "dead").await, 5);
    // They had never come back, so that there is nothing to take back of them.
    let path = format!("/api/v1/replays/{id}/undo");
    let undone = stage.call("POST", &path, None).await.is(200);
    assert_eq!(undone, json!({ "taken_back": 5, "left": 0, "already": 5 }));
    stage.end().await;
}

/// A letter that is replayed and dies again is not replayed twice by the same replay.
#[tokio::test]
async fn a_letter_that_dies_again_stays_dead() {
    let stage = Stage::new().await;
    stage.letters("mail", 30).await;
    let id = start(&stage, json!({ "all": true, "rate": 100 })).await;
    let mut again = 0;
    while stage.get(&format!("/api/v1/replays/{id}")).await.is(200)["status"] == "running" {
        again += stage.bury("mail", "still no relay").await;
    }
    again += stage.bury("mail", "still no relay").await;
    assert_eq!(again, 30);
    assert_eq!(ended(&stage, &id).await["replayed"], 30);
    assert_eq!(count(&stage, "mail", "dead").await, 30);
    stage.end().await;
}

#[tokio::test]
async fn one_letter_comes_back_under_its_own_id() {
    let stage = Stage::new().await;
    stage.letters("mail", 1).await;
    let dead = stage.get("/api/v1/dead").await.is(200);
    let id = dead["items"][0]["id"].as_str().unwrap();
    let shown = stage.get(&format!("/api/v1/dead/{id}")).await.is(200);
    assert_eq!(shown["failures"][0]["error"], "rejected: no relay");
    let path = format!("/api/v1/dead/{id}/replay");
    let wrong = json!({ "how": { "to_queue": "a:b" } });
    stage.post(&path, wrong).await.refused(400, "");
    stage.call("POST", &path, None).await.is(200);
    stage
        .call("POST", &path, None)
        .await
        .refused(409, "pending");
    stage
        .get(&format!("/api/v1/dead/{id}"))
        .await
        .refused(409, "");
    stage.end().await;
}

/// Whatever was cut off goes on when a service starts, each replay by itself.
#[tokio::test]
async fn a_replay_that_waits_holds_up_no_other() {
    let stage = Stage::new().await;
    stage.letters("other", 30).await;
    stage.letters("mail", 5).await;
    let limit = json!({ "limit": 1 });
    let path = "/api/v1/queues/mail/limit";
    stage.call("PUT", path, Some(limit)).await.is(200);
    let slow = json!({ "filter": { "queue": "other" }, "rate": 10 });
    let other = start(&stage, slow).await;
    let mail = start(&stage, json!({ "filter": { "queue": "mail" } })).await;
    let (connection, admin) = (stage.connection.clone(), stage.admin.clone());
    let folder = stage.end_and_keep().await;
    let stage = Stage::on(connection, folder, admin, |_| {}).await;
    let done = ended(&stage, &other).await;
    assert_eq!(
        (&done["status"], &done["replayed"]),
        (&json!("done"), &json!(30))
    );
    let waits = stage.get(&format!("/api/v1/replays/{mail}")).await.is(200);
    assert_eq!(waits["status"], "running");
    stage
        .call("POST", &format!("/api/v1/replays/{mail}/stop"), None)
        .await
        .is(200);
    stage.end().await;
}
