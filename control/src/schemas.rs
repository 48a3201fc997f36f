//! The shapes of bodies, as JSON Schema 2020-12. A test holds them against what the server answers.

use serde_json::{Value, json};

/// Every schema of the document, by name.
pub(crate) fn all() -> Value {
    json!({
        "Problem": {
            "type": "object",
            "required": ["type", "title", "status", "detail"],
            "properties": {
                "type": { "type": "string" },
                "title": { "type": "string" },
                "status": { "type": "integer" },
                "detail": { "type": "string" },
            },
        },
        "Status": {
            "type": "object",
            "required": ["status"],
            "properties": { "status": { "type": "string" }, "detail": { "type": "string" } },
        },
        "Document": { "type": "object", "required": ["openapi", "info", "paths"] },
        "Name": { "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$" },
        "Instant": { "type": "string", "format": "date-time" },
        "Duration": { "type": "string", "examples": ["30s", "5m", "1h 30m"] },
        "State": { "enum": ["scheduled", "pending", "active", "retry", "completed", "dead", "cancelled"] },
        "Role": { "enum": ["viewer", "operator", "admin"] },
        "Enqueue": enqueue(),
        "EnqueueMany": object(&["tasks"], json!({
            "tasks": { "type": "array", "minItems": 1, "maxItems": 10_000, "items": reference("Enqueue") },
        })),
        "Admission": object(&["id", "admission", "url"], json!({
            "id": reference("Name"),
            "admission": { "enum": ["admitted", "duplicate"] },
            "url": { "type": "string" },
        })),
        "Admissions": object(&["results"], json!({
            "results": { "type": "array", "items": { "oneOf": [
                reference("Admission"),
                object(&["error", "detail"], json!({
                    "error": { "type": "string" }, "detail": { "type": "string" },
                })),
            ] } },
        })),
        "Task": task(),
        "Tasks": partial_page("Task"),
        "Attempt": open_object(&["attempt", "worker_id", "finished_at", "outcome"]),
        "Attempts": page("Attempt"),
        "Log": object(&["lines", "next_cursor"], json!({
            "lines": { "type": "array", "items": open_object(&["at", "attempt", "stream", "text"]) },
            "next_cursor": { "type": "string" },
        })),
        "Why": object(&["id", "state", "findings"], json!({
            "id": reference("Name"),
            "state": reference("State"),
            "findings": { "type": "array", "minItems": 1, "items": open_object(&["code", "text"]) },
        })),
        "Action": object(&["action"], json!({
            "action": { "enum": ["retry", "skip", "cancel", "run_now", "reschedule", "bury", "replay"] },
            "reason": text(),
            "at": reference("Instant"),
            "in": reference("Duration"),
            "reset_attempts": { "type": "boolean" },
            "force": { "type": "boolean" },
            "how": reference("How"),
        })),
        "Bulk": object(&["action"], json!({
            "action": { "enum": ["cancel", "run_now", "reschedule", "bury", "replay", "delete"] },
            "state": { "type": "array", "items": reference("State") },
            "filter": reference("Choice"),
            "all": { "type": "boolean" },
            "at": reference("Instant"),
            "in": reference("Duration"),
            "how": reference("How"),
            "limit": { "type": "integer", "minimum": 1 },
            "cursor": text(),
            "dry_run": { "type": "boolean" },
            "reason": text(),
        })),
        "BulkAnswer": open_object(&["changed", "refused"]),
        "Reason": object(&[], json!({ "reason": text() })),
        "Choice": choice(),
        "How": how(),
        "ReplayOne": object(&[], json!({ "how": reference("How"), "reason": text() })),
        "ReplayMany": object(&[], json!({
            "filter": reference("Choice"),
            "all": { "type": "boolean" },
            "how": reference("How"),
            "rate": { "type": "integer", "minimum": 1, "maximum": 4_294_967_295_u32 },
            "limit": { "type": "integer", "minimum": 1 },
            "dry_run": { "type": "boolean" },
            "reason": text(),
        })),
        "Replay": open_object(&["id", "order", "status", "started_at", "replayed", "refused"]),
        "ReplayPlan": object(&["dry_run", "plan"], json!({
            "dry_run": { "const": true },
            "plan": open_object(&["count", "kinds", "sample"]),
        })),
        "ReplayAnswer": { "oneOf": [reference("Replay"), reference("ReplayPlan")] },
        "Replays": page("Replay"),
        "Undone": open_object(&["taken_back", "left", "already"]),
        "Purge": object(&[], json!({
            "filter": reference("Choice"), "all": { "type": "boolean" }, "reason": text(),
        })),
        "Purged": open_object(&["removed"]),
        "Queue": open_object(&["queue", "scheduled", "pending", "active", "retry", "completed", "dead", "cancelled", "paused"]),
        "Queues": page("Queue"),
        "Minute": open_object(&["minute", "enqueued", "succeeded", "failed"]),
        "Minutes": page("Minute"),
        "QueueLimit": object(&["limit"], json!({
            "limit": { "type": ["integer", "null"], "minimum": 1 }, "reason": text(),
        })),
        "ScheduleForm": schedule(),
        "ScheduleSet": object(&["source", "schedules"], json!({
            "source": { "type": "string", "minLength": 1, "maxLength": 200 },
            "schedules": { "type": "array", "items": reference("ScheduleForm") },
            "reason": text(),
        })),
        "Applied": open_object(&["added", "changed", "removed", "unchanged", "revoked"]),
        "Schedule": open_object(&["id", "kind", "queue", "revision", "source", "paused", "next"]),
        "Schedules": page("Schedule"),
        "SchedulePlan": open_object(&["id", "change", "next"]),
        "Triggered": open_object(&["task_id", "url"]),
        "Backfill": object(&["from", "until"], json!({
            "from": reference("Instant"), "until": reference("Instant"),
            "limit": { "type": "integer", "minimum": 1, "maximum": 1_000_000 },
            "beyond_record": { "type": "boolean" },
            "dry_run": { "type": "boolean" }, "reason": text(),
        })),
        "Backfilled": open_object(&["dry_run", "fires"]),
        "Fire": open_object(&["schedule_id", "scheduled_at", "outcome", "revision"]),
        "Fires": page("Fire"),
        "Process": open_object(&["id", "role", "host", "pid", "version", "started_at", "last_seen"]),
        "Processes": page("Process"),
        "TokenForm": object(&["name", "role"], json!({
            "name": reference("Name"), "role": reference("Role"),
            "queues": { "type": "array", "items": reference("Name") },
            "expires_at": reference("Instant"), "expires_in": reference("Duration"), "reason": text(),
        })),
        "Token": open_object(&["name", "role", "queues", "created_at", "created_by"]),
        "Tokens": page("Token"),
        "Issued": object(&["token", "record"], json!({ "token": text(), "record": reference("Token") })),
        "Audit": open_object(&["at", "actor", "action", "subject", "outcome"]),
        "Audits": page("Audit"),
    })
}

pub(crate) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn text() -> Value {
    json!({ "type": "string" })
}

/// An object that has these members and no others.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a literal reads better at the call"
)]
fn object(required: &[&str], properties: Value) -> Value {
    json!({
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": false,
    })
}

/// An object that has at least these members.
fn open_object(required: &[&str]) -> Value {
    json!({ "type": "object", "required": required })
}

fn page(of: &str) -> Value {
    object(
        &["items"],
        json!({
            "items": { "type": "array", "items": reference(of) },
            "next_cursor": { "type": "string" },
        }),
    )
}

/// The same, of what is looked for.
fn partial_page(of: &str) -> Value {
    let mut page = page(of);
    page["properties"]["partial"] = json!({
        "type": "boolean",
        "description": "it ended before it was full; next_cursor goes on",
    });
    page
}

fn enqueue() -> Value {
    object(
        &["kind"],
        json!({
            "kind": reference("Name"),
            "queue": reference("Name"),
            "payload": {},
            "payload_base64": { "type": "string", "contentEncoding": "base64", "description": "a payload that is not JSON, in place of payload" },
            "content_type": { "type": "string", "minLength": 3, "maxLength": 128, "description": "of payload_base64; application/octet-stream unless given" },
            "id": reference("Name"),
            "in": reference("Duration"),
            "at": reference("Instant"),
            "key": { "type": "string", "minLength": 1, "maxLength": 512 },
            "key_ttl": reference("Duration"),
            "key_on_success": { "enum": ["free", "keep"] },
            "key_on_failure": { "enum": ["free", "keep"] },
            "priority": { "type": "integer", "minimum": 0, "maximum": 9 },
            "max_attempts": { "type": "integer", "minimum": 1, "maximum": 1_000_000 },
            "retry": retry(),
            "timeout": reference("Duration"),
            "deadline": reference("Instant"),
            "retention": reference("Duration"),
            "headers": { "type": "object", "additionalProperties": { "type": "string" } },
        }),
    )
}

fn retry() -> Value {
    object(
        &[],
        json!({
            "max_attempts": { "type": "integer", "minimum": 1, "maximum": 1_000_000 },
            "initial": reference("Duration"), "max": reference("Duration"),
            "multiplier": { "type": "number", "minimum": 1, "maximum": 1_000 },
            "jitter": { "enum": ["full", "equal", "none"] },
            "max_elapsed": reference("Duration"),
            "non_retryable": { "type": "array", "items": text() },
            "crash_limit": { "type": "integer", "minimum": 1, "maximum": 4_294_967_295_u32 },
        }),
    )
}

fn task() -> Value {
    json!({
        "type": "object",
        "required": ["id", "kind", "queue", "state", "priority", "attempt", "max_attempts", "payload", "enqueued_at", "due_at"],
        "properties": {
            "id": reference("Name"), "kind": reference("Name"), "queue": reference("Name"),
            "state": reference("State"),
            "priority": { "type": "integer", "minimum": 0, "maximum": 9 },
            "attempt": { "type": "integer", "minimum": 0 },
            "max_attempts": { "type": "integer", "minimum": 1 },
            "payload": {},
            "enqueued_at": reference("Instant"), "due_at": reference("Instant"),
        },
    })
}

fn choice() -> Value {
    object(
        &[],
        json!({
            "queue": reference("Name"), "kind": reference("Name"), "key": text(),
            "schedule": reference("Name"),
            "since": reference("Instant"), "until": reference("Instant"),
            "ended_since": reference("Instant"), "ended_until": reference("Instant"),
            "error": { "type": "string", "maxLength": 1_000, "description": "a regular expression of the last failure; case does not count" }, "buried_for": text(),
            "min_failures": { "type": "integer", "minimum": 0 },
        }),
    )
}

fn how() -> Value {
    object(
        &[],
        json!({
            "to_queue": reference("Name"),
            "reset_attempts": { "type": "boolean" },
            "edit": { "description": "a JSON merge patch (RFC 7396) of the payload" },
            "at": reference("Instant"),
        }),
    )
}

fn schedule() -> Value {
    json!({
        "type": "object",
        "description": "as in a schedule file; one of cron, every and at",
        "required": ["kind"],
        "properties": {
            "id": reference("Name"), "kind": reference("Name"), "queue": reference("Name"),
            "cron": text(), "every": reference("Duration"), "at": reference("Instant"),
            "time_zone": text(), "payload": {}, "reason": text(),
            "misfire": { "enum": ["skip", "fire_once", "fire_all"] },
            "overlap": { "enum": ["allow", "skip", "queue_one", "cancel_previous"] },
        },
    })
}
