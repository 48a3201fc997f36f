//! Looking at schedules and changing them.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use tidemill_producer::{Backfill, preview, run_now};
use tidemill_shared::ledger::{Fires, ScheduleRecord, Schedules};
use tidemill_shared::schedule::Schedule;
use tidemill_shared::{FireView, ScheduleId, Timestamp};

use crate::call::{Call, PageView, Reply};
use crate::problem::Problem;
use crate::route::Answer;

/// Who owns the schedules that are put here.
const SOURCE: &str = "api";
/// How many coming instants are shown.
const NEXT: usize = 5;

async fn find(call: &Call) -> Result<ScheduleRecord, Problem> {
    let id: ScheduleId = call.param("id").map_err(|_| Problem::not_found())?;
    let found = Schedules::schedule(call.ledger(), &id).await?;
    let record = found.ok_or_else(Problem::not_found)?;
    call.must_see(&record.schedule.queue)?;
    Ok(record)
}

/// A schedule as it is shown: its definition, with what the ledger knows about it.
fn view(record: &ScheduleRecord, now: Timestamp) -> Value {
    let mut view = serde_json::to_value(&record.schedule).unwrap_or_default();
    let next: Vec<_> = record.upcoming(now).take(NEXT).collect();
    let known = json!({
        "revision": record.revision,
        "source": record.source,
        "paused": record.paused,
        "updated_at": record.updated_at,
        "planned_until": record.planned_until,
        "fire_count": record.fire_count,
        "spent": !record.paused && next.is_empty(),
        "next": next,
    });
    if let (Value::Object(view), Value::Object(known)) = (&mut view, known) {
        view.extend(known);
        if let Some(reason) = &record.pause_reason {
            view.insert("pause_reason".into(), reason.as_str().into());
        }
    }
    view
}

fn tag(record: &ScheduleRecord) -> String {
    format!("\"{}\"", record.revision)
}

fn tagged(mut reply: Reply, record: &ScheduleRecord) -> Reply {
    if let Ok(tag) = HeaderValue::from_str(&tag(record)) {
        reply.headers.insert(header::ETAG, tag);
    }
    reply
}

fn shown(call: &Call, record: &ScheduleRecord) -> Reply {
    tagged(Reply::ok(&view(record, call.now())), record)
}

/// Refuses a change of something that has changed since it was read.
fn check_match(call: &Call, found: Option<&ScheduleRecord>) -> Result<(), Problem> {
    let text = |name| call.headers.get(name).and_then(|value| value.to_str().ok());
    let failed = || {
        let title = "It has changed";
        let detail = "the schedule is not the one that was read; read it again";
        Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "precondition",
            title,
            detail,
        )
    };
    if let Some(wanted) = text(header::IF_MATCH) {
        let tags = wanted.split(',').map(str::trim);
        let good = found.is_some_and(|record| {
            let tag = tag(record);
            tags.into_iter().any(|one| one == "*" || one == tag)
        });
        if !good {
            return Err(failed());
        }
    }
    if text(header::IF_NONE_MATCH) == Some("*") && found.is_some() {
        return Err(failed());
    }
    Ok(())
}

/// Every schedule.
pub(crate) async fn list(call: Call) -> Answer {
    let (cursor, limit) = (call.cursor()?, call.limit()?);
    let page = Schedules::schedules(call.ledger(), cursor, limit).await?;
    let now = call.now();
    let seen = page.items.iter();
    let seen = seen.filter(|record| call.principal.scope.has(&record.schedule.queue));
    let items: Vec<_> = seen.map(|record| view(record, now)).collect();
    Ok(Reply::ok(&PageView::new(items, page.next)))
}

/// One schedule.
pub(crate) async fn get(call: Call) -> Answer {
    let record = find(&call).await?;
    let known = call.headers.get(header::IF_NONE_MATCH);
    if known.is_some_and(|known| known.as_bytes() == tag(&record).as_bytes()) {
        let mut reply = Reply::no_content();
        reply.status = StatusCode::NOT_MODIFIED;
        return Ok(tagged(reply, &record));
    }
    Ok(shown(&call, &record))
}

/// The definition in a body, under this id.
fn definition(call: &Call, id: Option<&ScheduleId>) -> Result<Schedule, Problem> {
    let mut form: Value = call.json()?;
    let fields = form
        .as_object_mut()
        .ok_or_else(|| Problem::invalid("expected an object"))?;
    if let Some(id) = id {
        let given = fields.entry("id").or_insert_with(|| id.as_str().into());
        if given.as_str() != Some(id.as_str()) {
            return Err(Problem::invalid("id: it is not the one of the path"));
        }
    }
    if !matches!(
        fields.remove("reason"),
        None | Some(Value::Null | Value::String(_))
    ) {
        return Err(Problem::invalid("reason: expected text"));
    }
    let schedule: Schedule =
        serde_json::from_value(form).map_err(|e| Problem::invalid(e.to_string()))?;
    call.must_see(&schedule.queue)?;
    schedule.check(call.app.connection.broker.capabilities().max_payload)?;
    Ok(schedule)
}

/// Adds or replaces a schedule.
pub(crate) async fn put(call: Call) -> Answer {
    let id: ScheduleId = call.param("id")?;
    let schedule = definition(&call, Some(&id))?;
    let found = Schedules::schedule(call.ledger(), &id).await?;
    if let Some(found) = &found {
        call.must_see(&found.schedule.queue)?;
        if found.source.starts_with("file:") && found.source != SOURCE {
            return Err(Problem::conflict(format!(
                "the schedule belongs to {}, which would put it back; change it there",
                found.source
            )));
        }
    }
    check_match(&call, found.as_ref())?;
    let record = Schedules::put_schedule(call.ledger(), SOURCE, schedule).await?;
    let mut reply = shown(&call, &record);
    if found.is_none() {
        reply.status = StatusCode::CREATED;
    }
    Ok(reply)
}

/// Removes a schedule and takes back what was put ahead.
pub(crate) async fn delete(call: Call) -> Answer {
    let record = find(&call).await?;
    check_match(&call, Some(&record))?;
    Schedules::delete_schedule(call.ledger(), &record.schedule.id).await?;
    Ok(Reply::no_content())
}

/// Makes the definitions of a source be exactly these, all or nothing.
pub(crate) async fn apply(call: Call) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Form {
        source: String,
        schedules: Vec<Schedule>,
        #[serde(default, rename = "reason")]
        _reason: Option<String>,
    }
    let form: Form = call.json()?;
    if !(1..=200).contains(&form.source.len()) || form.source.chars().any(char::is_control) {
        return Err(Problem::invalid("source: expected 1 to 200 bytes of text"));
    }
    // What is not named is removed, wherever it stands.
    if !call.principal.scope.is_whole() {
        return Err(Problem::forbidden(
            "this takes a token for all queues: what the source does not name is removed",
        ));
    }
    let max_payload = call.app.connection.broker.capabilities().max_payload;
    for schedule in &form.schedules {
        schedule.check(max_payload)?;
    }
    let source = form.source;
    let applied = Schedules::apply_schedules(call.ledger(), &source, form.schedules).await?;
    Ok(Reply::ok(&applied).about(source))
}

/// What a definition would do; changes nothing.
pub(crate) async fn plan(call: Call) -> Answer {
    let schedule = definition(&call, None)?;
    let found = Schedules::schedule(call.ledger(), &schedule.id).await?;
    let change = match &found {
        None => "added",
        Some(record) if record.schedule == schedule => "unchanged",
        Some(_) => "changed",
    };
    let fires = preview(&schedule, call.now(), NEXT);
    let next: Vec<_> = fires.iter().map(|(instant, _)| instant).collect();
    let body = json!({ "id": schedule.id, "change": change, "next": next });
    Ok(Reply::ok(&body))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ReasonForm {
    reason: Option<String>,
}

/// Holds the calendar back.
pub(crate) async fn pause(call: Call) -> Answer {
    let form: ReasonForm = call.json_or_default()?;
    let record = find(&call).await?;
    check_match(&call, Some(&record))?;
    let reason = form.reason.or_else(|| call.reason());
    let id = &record.schedule.id;
    Schedules::pause_schedule(call.ledger(), id, reason.as_deref()).await?;
    Ok(shown(&call, &find(&call).await?))
}

/// Lets the calendar go on from now.
pub(crate) async fn resume(call: Call) -> Answer {
    let _: ReasonForm = call.json_or_default()?;
    let record = find(&call).await?;
    check_match(&call, Some(&record))?;
    Schedules::resume_schedule(call.ledger(), &record.schedule.id).await?;
    Ok(shown(&call, &find(&call).await?))
}

/// Fires a schedule now; the calendar goes on as if nothing had been.
pub(crate) async fn trigger(call: Call) -> Answer {
    let _: ReasonForm = call.json_or_default()?;
    let record = find(&call).await?;
    let task = run_now(&call.app.connection, &record.schedule.id).await?;
    let subject = format!("{} as {task}", record.schedule.id);
    let body = json!({ "task_id": task, "url": format!("/api/v1/tasks/{task}") });
    Ok(Reply::json(StatusCode::ACCEPTED, &body).about(subject))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BackfillForm {
    from: Timestamp,
    until: Timestamp,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    beyond_record: bool,
    #[serde(default)]
    dry_run: bool,
    #[serde(default, rename = "reason")]
    _reason: Option<String>,
}

/// Enqueues the fires of a past range that are not on record.
pub(crate) async fn backfill(call: Call) -> Answer {
    let form: BackfillForm = call.json()?;
    let record = find(&call).await?;
    let mut backfill = Backfill::new(record.schedule.id, form.from, form.until);
    if let Some(limit) = form.limit {
        backfill = backfill.limit(limit);
    }
    if form.beyond_record {
        backfill = backfill.beyond_record();
    }
    if form.dry_run {
        let missing = backfill.missing(&call.app.connection).await?;
        let fires: Vec<_> = missing
            .iter()
            .map(|at| json!({ "scheduled_at": at }))
            .collect();
        return Ok(Reply::ok(&json!({ "dry_run": true, "fires": fires })));
    }
    let fires = backfill.run(&call.app.connection).await?;
    let fires: Vec<_> = fires
        .iter()
        .map(|fire| {
            json!({
                "scheduled_at": fire.scheduled_at,
                "outcome": fire.outcome.as_str(),
                "task_id": fire.task,
            })
        })
        .collect();
    Ok(Reply::ok(&json!({ "dry_run": false, "fires": fires })))
}

/// What became of each instant, newest first. Those that were put ahead and whose instant is still to
/// come are left out unless `ahead` is asked for.
pub(crate) async fn fires(call: Call) -> Answer {
    let record = find(&call).await?;
    let (cursor, limit) = (call.cursor()?, call.limit()?);
    let page = Fires::fires(call.ledger(), &record.schedule.id, cursor, limit).await?;
    let ahead = call.flag("ahead")?;
    let latest = call.now() + Duration::from_millis(1);
    let shown = page
        .items
        .iter()
        .filter(|fire| ahead || fire.scheduled_at < latest);
    let items: Vec<_> = shown.map(FireView::from).collect();
    Ok(Reply::ok(&PageView::new(items, page.next)))
}
