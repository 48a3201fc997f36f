//! What changes, as it changes.

use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};
use tidemill_control::{Role, Scope, Tokens};
use tidemill_shared::ledger::{LogLine, LogStream, Logs};
use tidemill_shared::{NoteName, TaskId, Timestamp};

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
        Self::as_whom(stage, &stage.admin, path, last).await
    }

    async fn as_whom(stage: &Stage, token: &str, path: &str, last: Option<&str>) -> Self {
        let mut request = stage.request("GET", path).bearer_auth(token);
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

/// Whoever would not be let in any more is told nothing more.
#[tokio::test]
async fn a_stream_ends_with_the_token_that_opened_it() {
    let stage = Stage::new().await;
    let id = stage.enqueue(json!({ "kind": "echo", "in": "1h" })).await;
    let paths = [
        "/api/v1/events".to_owned(),
        format!("/api/v1/tasks/{id}/events"),
        format!("/api/v1/tasks/{id}/logs/events"),
    ];
    let (tokens, now) = (Tokens::new(&stage.connection), stage.connection.clock.now());
    let short = NoteName::new("short").unwrap();
    let end = now + Duration::from_secs(5);
    let short = tokens.issue(short, Role::Viewer, Scope::default(), Some(end), "test");
    let short = short.await.unwrap().text;
    let gone = stage.token("gone", Role::Viewer, &[]).await;
    let mut good = Events::of(&stage, "/api/v1/events", None).await;
    let mut streams = Vec::new();
    for path in &paths {
        streams.push(Events::as_whom(&stage, &short, path, None).await);
        streams.push(Events::as_whom(&stage, &gone, path, None).await);
    }
    tokens
        .revoke(&NoteName::new("gone").unwrap())
        .await
        .unwrap();
    let to_their_ends = async {
        for stream in &mut streams {
            while stream.next().await.is_some() {}
        }
    };
    tokio::time::timeout(PATIENCE, to_their_ends)
        .await
        .expect("the streams end in time");
    // Others go on.
    let later = stage.enqueue(json!({ "kind": "echo" })).await;
    good.until("task", |task| task["id"] == later.as_str())
        .await;
    stage.end().await;
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

/// Whoever was away for a moment goes on behind the last event that was seen.
#[tokio::test]
async fn nothing_is_missed_while_nobody_listens() {
    let stage = Stage::new().await;
    let mut events = Events::of(&stage, "/api/v1/events", None).await;
    let first = stage
        .enqueue(json!({ "kind": "echo", "queue": "mail" }))
        .await;
    let seen = events
        .until("task", |task| task["id"] == first.as_str())
        .await;
    let last = seen.id.unwrap();
    drop(events);
    let mut ids = Vec::new();
    for _ in 0..300 {
        ids.push(
            stage
                .enqueue(json!({ "kind": "echo", "queue": "mail" }))
                .await,
        );
    }
    let schedule = json!({ "kind": "echo", "cron": "0 3 * * *" });
    stage
        .call("PUT", "/api/v1/schedules/nightly", Some(schedule))
        .await
        .is(201);
    let mut events = Events::of(&stage, "/api/v1/events", Some(&last)).await;
    let mut schedules = 0;
    while !ids.is_empty() || schedules == 0 {
        let event = events.next().await.expect("the stream goes on");
        assert_ne!(event.name, "skipped", "{event:?}");
        ids.retain(|id| event.data["id"] != id.as_str());
        schedules += usize::from(event.name == "schedule" && event.data["change"] == "added");
    }
    drop(events);
    let mut events = Events::of(&stage, "/api/v1/events", Some("other.7")).await;
    events
        .until("skipped", |data| data["detail"].is_string())
        .await;
    events
        .until("queue", |queue| queue["enqueued_total"] == 301)
        .await;
    stage.end().await;
}

/// More than a look goes through is said to have been skipped, with the counts that are known.
#[tokio::test]
async fn what_was_skipped_is_said() {
    let stage = Stage::new().await;
    let mut events = Events::of(&stage, "/api/v1/events", None).await;
    let first = stage
        .enqueue(json!({ "kind": "echo", "queue": "mail" }))
        .await;
    events.until("task", |_| true).await;
    let one = json!({ "kind": "echo", "queue": "mail" });
    let tasks = vec![one; 5_000];
    stage
        .post("/api/v1/tasks/batch", json!({ "tasks": tasks }))
        .await
        .is(202);
    let (mut seen, mut skipped) = (0, 0);
    while seen + skipped < 5_000 {
        let event = events.next().await.expect("the stream goes on");
        // What changes while a stream begins may be told twice.
        seen += u64::from(event.name == "task" && event.data["id"] != first.as_str());
        if event.name == "skipped" {
            skipped += event.data["enqueued"].as_u64().unwrap();
        }
    }
    // The first one may be told again as one of those that were skipped.
    let told = seen + skipped;
    assert!((5_000..=5_001).contains(&told), "{told}");
    assert!(seen >= 1_000 && skipped > 0, "{seen} {skipped}");
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

/// S10. Its place is free again for others.
#[tokio::test]
async fn a_reader_that_does_not_read_is_let_go() {
    let stage = Stage::with(|settings| {
        settings.max_streams = 1;
        settings.patience = Duration::from_millis(200);
    })
    .await;
    let id = stage.enqueue(json!({ "kind": "echo" })).await;
    let task = TaskId::new(&id).unwrap();
    // More than the buffers of both sides take.
    for _ in 0..40 {
        let line = |_| LogLine {
            at: Timestamp::from_millis(0),
            attempt: 1,
            stream: LogStream::Stdout,
            text: "x".repeat(2_000),
        };
        let lines = (0..200).map(line).collect();
        Logs::append_log(&*stage.connection.ledger, &task, lines)
            .await
            .unwrap();
    }
    let path = format!("/api/v1/tasks/{id}/logs/events");
    let mut lazy = tokio::net::TcpStream::connect(stage.address).await.unwrap();
    let ask = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\n\r\n",
        stage.admin
    );
    tokio::io::AsyncWriteExt::write_all(&mut lazy, ask.as_bytes())
        .await
        .unwrap();
    // Longer than the 15 s for which a reader may do nothing, also on a busy machine.
    let deadline = tokio::time::Instant::now() + 3 * PATIENCE;
    // At first its place is taken, then it is let go.
    let mut was_taken = false;
    loop {
        let events = format!("/api/v1/tasks/{id}/events");
        let request = stage.request("GET", &events).bearer_auth(&stage.admin);
        let status = request.send().await.unwrap().status().as_u16();
        was_taken |= status == 503;
        if was_taken && status == 200 {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "it keeps its place");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(lazy);
    stage.end().await;
}
