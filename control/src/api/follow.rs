//! Server-sent events: what changes, as it changes.
//!
//! Whoever connects again with `Last-Event-ID` is told what has become different since: of one task, how
//! it is now; of a log, every line after the last that was seen; of everything, each event that is still
//! kept. A reader that does not read is
//! let go, and so is everybody when the service ends, or when they would not be let in any more.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use futures::stream;
use serde::Serialize;
use serde_json::json;
use tidemill_shared::ledger::{Logs, Schedules};
use tidemill_shared::{TaskFilter, TaskId, TaskRecord, TaskView};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::tasks;
use crate::call::{Call, Reply, ReplyBody, read_cursor, show_cursor};
use crate::feed::{Next, Start, TaskChange, mark};
use crate::gate;
use crate::problem::Problem;
use crate::route::Answer;

/// How often it is looked whether something has changed.
const LOOK: Duration = Duration::from_millis(250);
/// After how long a silent stream says that it lives, in looks.
const SIGN_OF_LIFE: u32 = 60;
/// How many events wait for a reader.
const WAITING: usize = 64;
/// How many of the newest tasks a stream of everything begins with.
const NEWEST: usize = 200;

/// The way to one reader.
struct Reader {
    way: Sender<String>,
    /// How long it may take to read.
    patience: Duration,
}

/// The reader has gone, or does not read.
struct Gone;

impl Reader {
    async fn say<T: Serialize>(&self, event: &str, id: Option<&str>, data: &T) -> Result<(), Gone> {
        let data = serde_json::to_string(data).unwrap_or_default();
        self.pass_on(event, id, &data).await
    }

    /// The same with what is JSON already.
    async fn pass_on(&self, event: &str, id: Option<&str>, data: &str) -> Result<(), Gone> {
        let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
        self.send(format!("event: {event}\n{id}data: {data}\n\n"))
            .await
    }

    async fn send(&self, text: String) -> Result<(), Gone> {
        let sent = tokio::time::timeout(self.patience, self.way.send(text)).await;
        sent.map_err(|_| Gone)?.map_err(|_| Gone)
    }

    /// Waits a little, and now and then says that the stream lives.
    async fn rest(&self, pause: Duration, silent: &mut u32) -> Result<(), Gone> {
        tokio::time::sleep(pause).await;
        *silent += 1;
        if *silent >= SIGN_OF_LIFE {
            *silent = 0;
            self.send(": alive\n\n".into()).await?;
        }
        Ok(())
    }
}

/// A reply that streams, if there is room for one more; `tell` ends when it has nothing more to say.
fn stream_of<F, T>(call: Call, tell: F) -> Answer
where
    F: FnOnce(Call, Reader) -> T,
    T: Future<Output = Result<(), Gone>> + Send + 'static,
{
    let permit = call.app.streams.clone().try_acquire_owned().map_err(|_| {
        let title = "Too many streams";
        let detail = "as many event streams are open as this service serves";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "streams", title, detail)
            .header(header::RETRY_AFTER, "10")
    })?;
    let app = call.app.clone();
    let (headers, until) = (call.headers.clone(), call.principal.until);
    let (sender, receiver) = channel(WAITING);
    let reader = Reader {
        way: sender,
        patience: app.settings.patience,
    };
    let telling = tell(call, reader);
    app.work.spawn({
        let app = app.clone();
        async move {
            tokio::select! {
                _ = telling => {}
                () = gate::has_ended(&app, &headers, until) => {}
                () = app.stop.cancelled() => {}
            }
            drop(permit);
        }
    });
    let mut headers = HeaderMap::new();
    let media = HeaderValue::from_static("text/event-stream");
    headers.insert(header::CONTENT_TYPE, media);
    Ok(Reply {
        status: StatusCode::OK,
        headers,
        body: ReplyBody::Stream(body(receiver)),
        subject: None,
        details: None,
    })
}

fn body(receiver: Receiver<String>) -> Body {
    let chunks = stream::unfold(receiver, |mut receiver| async move {
        let chunk = receiver.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(chunk), receiver))
    });
    Body::from_stream(chunks)
}

fn last_seen(call: &Call) -> Option<String> {
    let text = call.headers.get("last-event-id")?.to_str().ok()?;
    Some(text.to_owned())
}

/// What becomes of one task, until it ends.
pub(crate) async fn task(call: Call) -> Answer {
    let first = tasks::task(&call).await?;
    let seen = last_seen(&call);
    stream_of(call, |call, reader| follow_task(call, reader, first, seen))
}

async fn follow_task(
    call: Call,
    reader: Reader,
    first: TaskRecord,
    mut seen: Option<String>,
) -> Result<(), Gone> {
    let id = first.envelope.id.clone();
    let (mut task, mut silent) = (first, 0);
    loop {
        let mark = mark(&task);
        if seen.as_deref() != Some(mark.as_str()) {
            reader
                .say("task", Some(&mark), &TaskView::from(&task))
                .await?;
            seen = Some(mark);
            silent = 0;
        }
        if task.state.is_final() {
            return reader
                .say("end", None, &json!({ "state": task.state }))
                .await;
        }
        reader.rest(LOOK, &mut silent).await?;
        task = match look(&call, &id).await {
            Ok(Some(task)) => task,
            Ok(None) => return reader.say("gone", None, &json!({ "id": id })).await,
            // The store is away; what has changed is told when it is back.
            Err(_) => continue,
        };
    }
}

async fn look(call: &Call, id: &TaskId) -> Result<Option<TaskRecord>, Problem> {
    Ok(call.inspect()?.get(id).await?)
}

/// The lines of a log as they are written, until the task ends.
pub(crate) async fn log(call: Call) -> Answer {
    let task = tasks::task(&call).await?;
    let seen = last_seen(&call);
    let from = seen.as_deref().or(call.query("cursor"));
    let cursor = from.map(read_cursor).transpose()?;
    let id = task.envelope.id;
    stream_of(call, |call, reader| follow_log(call, reader, id, cursor))
}

async fn follow_log(
    call: Call,
    reader: Reader,
    id: TaskId,
    mut cursor: Option<tidemill_shared::Cursor>,
) -> Result<(), Gone> {
    let mut silent = 0;
    loop {
        // Looked at first: lines that are written before the end are read after it.
        let state = look(&call, &id).await;
        // One line at a time has a cursor of its own, with which a reader can go on.
        while let Ok(page) = Logs::read_log(call.ledger(), &id, cursor, 1).await {
            let Some(line) = page.lines.first() else {
                break;
            };
            reader
                .say("line", Some(&show_cursor(page.next)), line)
                .await?;
            cursor = Some(page.next);
            silent = 0;
        }
        match state {
            Ok(Some(task)) if !task.state.is_final() => {}
            Ok(Some(task)) => {
                return reader
                    .say("end", None, &json!({ "state": task.state }))
                    .await;
            }
            Ok(None) => return reader.say("gone", None, &json!({ "id": id })).await,
            Err(_) => {}
        }
        reader.rest(LOOK, &mut silent).await?;
    }
}

/// Queues, the newest tasks and schedules: first as they are, then as they change.
pub(crate) async fn all(call: Call) -> Answer {
    stream_of(call, follow_all)
}

async fn follow_all(call: Call, reader: Reader) -> Result<(), Gone> {
    let app = call.app.clone();
    let last = last_seen(&call);
    let (mut follower, start) =
        app.feed
            .follow(last.as_deref(), &app.connection, &app.work, &app.stop);
    if start == Start::Lost {
        let why = "what was seen last is not known here: how it is now follows";
        reader
            .say("skipped", None, &json!({ "detail": why }))
            .await?;
    }
    if !matches!(start, Start::Behind(_)) {
        loop {
            tokio::select! {
                () = follower.begin_now() => break,
                () = tokio::time::sleep(LOOK * SIGN_OF_LIFE) => {
                    reader.send(": alive\n\n".into()).await?;
                }
            }
        }
        as_it_is(&call, &reader, &follower.id()).await?;
    }
    loop {
        let sign_of_life = tokio::time::sleep(LOOK * SIGN_OF_LIFE);
        let next = tokio::select! {
            next = follower.next() => next,
            () = sign_of_life => {
                reader.send(": alive\n\n".into()).await?;
                continue;
            }
        };
        match next {
            Next::Skipped(events) => {
                let id = follower.id();
                reader
                    .say("skipped", Some(&id), &json!({ "events": events }))
                    .await?;
            }
            Next::Event(event) => {
                let sees = |queue| call.principal.scope.has(queue);
                if event.queue.as_ref().is_none_or(sees) {
                    let id = app.feed.id(event.number);
                    reader.pass_on(event.name, Some(&id), &event.data).await?;
                }
            }
        }
    }
}

/// How it is now. What cannot be looked at now is told when it changes.
async fn as_it_is(call: &Call, reader: &Reader, id: &str) -> Result<(), Gone> {
    let scope = &call.principal.scope;
    for one in call.broker().stats(&[]).await.unwrap_or_default() {
        if scope.has(&one.queue) {
            reader.say("queue", Some(id), &one).await?;
        }
    }
    if let Ok(inspect) = call.inspect()
        && let Ok(page) = inspect.list(&TaskFilter::default(), None, NEWEST).await
    {
        for task in page.items.iter().rev() {
            if scope.has(&task.envelope.queue) {
                reader
                    .say("task", Some(id), &TaskChange::from(task))
                    .await?;
            }
        }
    }
    if let Ok(version) = Schedules::schedules_version(call.ledger()).await {
        let data = json!({ "version": version });
        reader.say("schedules", Some(id), &data).await?;
    }
    Ok(())
}
