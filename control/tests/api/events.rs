//! What changes, as it changes.

use reqwest::Response;
use serde_json::{Value, json};
use tidemill_shared::ledger::{LogLine, LogStream, Logs};
use tidemill_shared::{TaskId, Timestamp};

use crate::stage::{Answer, PATIENCE, Stage};

/// One event.
#[derive(Debug)]
struct Event {
    name: String,
    id: Option<String>,
    data: Value,
}

struct Events {
    response: Response,
    text: String,
}

impl Events {
    async fn of(stage: &Stage, path: &str, last: Option<&str>) -> Self {
        let mut request = stage.request("GET", path).bearer_auth(&stage.admin);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            text: String::new(),
        }
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let mut lines = event.lines();
                    lines
                        .find_map(|line| line.strip_prefix(name))
                        .map(str::to_owned)
                };
                let found = field("event: ").map(|name| Event {
                    name,
                    id: field("id: "),
                    data: serde_json::from_str(&field("data: ").unwrap()).unwrap(),
                });
                self.text = rest.to_owned();
                if found.is_some() {
                    return found;
                }
                continue;
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk());
            let chunk = chunk.await.expect("something comes in time").unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event of this name for which it holds.
    async fn until(&mut self, name: &str, holds: impl Fn(&Value) -> bool) -> Event {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.name == name && holds(&event.data) {
                return event;
            }
        }
    }
}

#[tokio::test]
async fn a_task_is_followed_to_its_end() {
    let stage = Stage::new().await;
    let id = stage.enqueue(json!({ "kind": "echo" })).await;
    let path = format!("/api/v1/tasks/{id}/events");
    let mut events = Events::of(&stage, &path, None).await;
    let first = events.next().await.unwrap();
    assert_eq!(
        (first.name.as_str(), &first.data["state"]),
        ("task", &json!("pending"))
    );
    stage.lease("default", 1).await;
    events.until("task", |task| task["state"] == "active").await;
    // Whoever comes back hears of what has changed alone.
    let mut again = Events::of(&stage, &path, first.id.as_deref()).await;
    assert_eq!(again.next().await.unwrap().data["state"], "active");
    let act = json!({ "action": "cancel" });
    stage
        .post(&format!("/api/v1/tasks/{id}/action"), act)
        .await
        .is(200);
    let asked = events
        .until("task", |task| task["cancel_requested"] == true)
        .await;
    assert_eq!(asked.data["state"], "active");
    stage.end().await;
}

#[tokio::test]
async fn a_log_goes_on_after_the_last_line_that_was_seen() {
    let stage = Stage::new().await;
    let id = stage.enqueue(json!({ "kind": "echo", "in": "1h" })).await;
    let task = TaskId::new(&id).unwrap();
    let write = async |texts: &[&str]| {
        let lines = texts.iter().map(|text| LogLine {
            at: Timestamp::from_millis(0),
            attempt: 1,
            stream: LogStream::Stdout,
            text: (*text).to_owned(),
        });
        let ledger = &*stage.connection.ledger;
        Logs::append_log(ledger, &task, lines.collect())
            .await
            .unwrap();
    };
    write(&["one", "two"]).await;
    let path = format!("/api/v1/tasks/{id}/logs/events");
    let mut events = Events::of(&stage, &path, None).await;
    let first = events.next().await.unwrap();
    assert_eq!(first.data["text"], "one");
    assert_eq!(events.next().await.unwrap().data["text"], "two");
    write(&["three"]).await;
    assert_eq!(events.next().await.unwrap().data["text"], "three");
    let mut again = Events::of(&stage, &path, first.id.as_deref()).await;
    assert_eq!(again.next().await.unwrap().data["text"], "two");
    let act = json!({ "action": "cancel" });
    stage
        .post(&format!("/api/v1/tasks/{id}/action"), act)
        .await
        .is(200);
    // It ends with its task: cancelled, or gone where it is not kept.
    loop {
        match events.next().await {
            Some(event) if event.name == "line" => {}
            Some(event) => assert!(["end", "gone"].contains(&event.name.as_str()), "{event:?}"),
            None => break,
        }
    }
    stage.end().await;
}

#[tokio::test]
async fn everything_is_seen_as_it_changes() {
    let stage = Stage::new().await;
    let mut events = Events::of(&stage, "/api/v1/events", None).await;
    let id = stage
        .enqueue(json!({ "kind": "echo", "queue": "mail" }))
        .await;
    events.until("task", |task| task["id"] == id.as_str()).await;
    stage
        .call("POST", "/api/v1/queues/mail/pause", None)
        .await
        .is(200);
    events.until("queue", |queue| queue["paused"] == true).await;
    let schedule = json!({ "kind": "echo", "cron": "0 3 * * *" });
    stage
        .call("PUT", "/api/v1/schedules/nightly", Some(schedule))
        .await
        .is(201);
    events.until("schedules", |_| true).await;
    stage.end().await;
}

/// S10.
#[tokio::test]
async fn streams_are_counted_and_end_with_the_service() {
    let stage = Stage::with(|settings| settings.max_streams = 2).await;
    let first = Events::of(&stage, "/api/v1/events", None).await;
    let _second = Events::of(&stage, "/api/v1/events", None).await;
    let third = stage.get("/api/v1/events").await;
    third.refused(503, "streams");
    let anonymous = stage.request("GET", "/api/v1/events").send().await.unwrap();
    Answer::of(anonymous).await.refused(401, "");
    drop(first);
    stage.stop.cancel();
    stage.end().await;
}
