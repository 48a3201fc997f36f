//! The table of everything that is served.

use axum::http::Method;

use crate::api::{
    access, bulk, dead, enqueue, follow, health, processes, queues, replays, schedules, tasks,
};
use crate::route::{Action, Gives, Need, Param, Resource, Route, Takes, Trail};

use Action::{Change, Own, Read};
use Resource::{Access, Processes, Queues, Schedules, Tasks};

const NAME: &str = r##"{"$ref":"#/components/schemas/Name"}"##;
const TEXT: &str = r#"{"type":"string"}"#;
const FLAG: &str = r#"{"type":"boolean"}"#;
const COUNT: &str = r#"{"type":"integer","minimum":0}"#;
const WHEN: &str = r#"{"type":"string","description":"RFC 3339, a date (midnight in UTC), or how long ago, such as 15m"}"#;

const fn param(name: &'static str, schema: &'static str, what: &'static str) -> Param {
    Param { name, schema, what }
}

const LIMIT: Param = param(
    "limit",
    r#"{"type":"integer","minimum":1,"maximum":1000,"default":100}"#,
    "how many",
);
const CURSOR: Param = param(
    "cursor",
    TEXT,
    "where to go on: next_cursor of the page before",
);
const PAGE: &[Param] = &[LIMIT, CURSOR];
const CONFIRM: Param = param(
    "confirm",
    COUNT,
    "the count that is removed, which the answer 428 names",
);

const FULL: Param = param(
    "full",
    FLAG,
    "with the record of the task, its envelope as it travels: for programs of Tidemill",
);

const TASK_FILTER: &[Param] = &[
    LIMIT,
    CURSOR,
    FULL,
    param("state", TEXT, "in one of these states, separated by commas"),
    param("queue", NAME, "in this queue"),
    param("kind", NAME, "of this kind"),
    param("key", TEXT, "with this uniqueness key"),
    param("schedule", NAME, "of this schedule"),
    param("since", WHEN, "enqueued at or after"),
    param("until", WHEN, "enqueued before"),
    param("ended_since", WHEN, "ended at or after"),
    param("ended_until", WHEN, "ended before"),
    param(
        "error",
        TEXT,
        "whose last failure, as it is shown, matches this regular expression; case does not count",
    ),
    param("buried_for", TEXT, "buried for this reason"),
];

/// What every route has unless it says otherwise.
macro_rules! route {
    ($method:ident $path:literal $name:literal $what:literal, $need:expr, $handler:path, $gives:expr $(, $field:ident: $value:expr)* $(,)?) => {
        Route {
            $($field: $value,)*
            ..Route {
                method: &Method::$method,
                path: $path,
                name: $name,
                what: $what,
                need: $need,
                trail: Trail::None,
                query: &[],
                takes: Takes::Nothing,
                gives: $gives,
                refuses: &[],
                max_body: None,
                run: |call| Box::pin($handler(call)),
            }
        }
    };
}

const fn may(resource: Resource, action: Action) -> Need {
    Need::Permission(resource, action)
}

const fn json(schema: &'static str) -> Gives {
    Gives::Json(200, schema)
}

/// Every route.
pub static ROUTES: &[Route] = &[
    // Health.
    route!(GET "/healthz" "healthz" "Whether the service lives.", Need::Open, health::live, json("Status")),
    route!(GET "/readyz" "readyz" "Whether the service can serve: the store answers.", Need::Open, health::ready, json("Status")),
    route!(GET "/metrics" "metrics" "What Prometheus scrapes.", may(Processes, Read), health::metrics, Gives::Text),
    route!(GET "/api/v1/openapi.json" "openapi" "This document.", may(Processes, Read), health::openapi, json("Document")),
    // Tasks.
    route!(POST "/api/v1/tasks" "enqueue" "Puts a task in line.", may(Tasks, Change), enqueue::one, Gives::Json(202, "Admission"),
        trail: Trail::Log, takes: Takes::Json("Enqueue")),
    route!(POST "/api/v1/tasks/batch" "enqueue_many" "Puts up to 10,000 tasks in line; one that is wrong does not harm the others.", may(Tasks, Change), enqueue::many, Gives::Json(202, "Admissions"),
        trail: Trail::Log, takes: Takes::Json("EnqueueMany"), max_body: Some(16 << 20)),
    route!(GET "/api/v1/tasks" "list_tasks" "Tasks, newest enqueued first.", may(Tasks, Read), tasks::list, json("Tasks"),
        query: TASK_FILTER),
    route!(POST "/api/v1/tasks/bulk" "change_many" "Changes the tasks that a filter means, for up to 5 seconds; next_cursor goes on.", may(Tasks, Change), bulk::change, json("BulkAnswer"),
        trail: Trail::Ledger, takes: Takes::Json("Bulk"), query: &[CONFIRM]),
    route!(GET "/api/v1/tasks/{id}" "get_task" "One task with every attempt.", may(Tasks, Read), tasks::get, json("Task"),
        query: &[FULL]),
    route!(DELETE "/api/v1/tasks/{id}" "delete_task" "Removes every trace of a task that does not run.", may(Tasks, Own), tasks::delete, Gives::Nothing,
        trail: Trail::Ledger),
    route!(GET "/api/v1/tasks/{id}/attempts" "list_attempts" "The attempts of a task that have ended, oldest first.", may(Tasks, Read), tasks::attempts, json("Attempts"),
        query: &[FULL]),
    route!(GET "/api/v1/tasks/{id}/logs" "read_log" "The output of the runs of a task; the cursor goes on when more is written.", may(Tasks, Read), tasks::logs, json("Log"),
        query: PAGE),
    route!(GET "/api/v1/tasks/{id}/why" "explain_task" "Why a task is where it is.", may(Tasks, Read), tasks::explain, json("Why")),
    route!(POST "/api/v1/tasks/{id}/action" "act_on_task" "Retries, skips, cancels, runs now, reschedules, buries or replays a task.", may(Tasks, Change), tasks::act, json("Status"),
        trail: Trail::Ledger, takes: Takes::Json("Action")),
    route!(GET "/api/v1/tasks/{id}/events" "follow_task" "What becomes of a task, as server-sent events, until it ends.", may(Tasks, Read), follow::task, Gives::Events),
    route!(GET "/api/v1/tasks/{id}/logs/events" "follow_log" "The lines of a log as they are written; Last-Event-ID goes on after the last that was seen.", may(Tasks, Read), follow::log, Gives::Events,
        query: &[CURSOR]),
    route!(GET "/api/v1/events" "follow_all" "Queues, the newest tasks and schedules: as they are, then as they change.", may(Tasks, Read), follow::all, Gives::Events),
    // Dead letters.
    route!(GET "/api/v1/dead" "list_dead" "Dead letters, newest enqueued first.", may(Tasks, Read), dead::list, json("Tasks"),
        query: TASK_FILTER),
    route!(GET "/api/v1/dead/{id}" "get_dead" "One dead letter with its failures.", may(Tasks, Read), dead::get, json("Task"),
        query: &[FULL], refuses: &[409]),
    route!(POST "/api/v1/dead/{id}/replay" "replay_dead" "Puts a dead letter back in line.", may(Tasks, Change), dead::replay, json("Status"),
        trail: Trail::Ledger, takes: Takes::Optional("ReplayOne")),
    route!(POST "/api/v1/dead/purge" "purge_dead" "Removes dead letters for good, once their count is confirmed.", may(Tasks, Own), dead::purge, json("Purged"),
        trail: Trail::Ledger, takes: Takes::Optional("Purge"), query: &[CONFIRM]),
    route!(POST "/api/v1/replays" "start_replay" "Puts dead letters back in line by filter, at a rate; or shows what it would do.", may(Tasks, Change), replays::start, Gives::Json(202, "Replay"),
        trail: Trail::Ledger, takes: Takes::Json("ReplayMany")),
    route!(GET "/api/v1/replays" "list_replays" "Replays by filter, newest first.", may(Tasks, Read), replays::list, json("Replays"),
        query: &[LIMIT]),
    route!(GET "/api/v1/replays/{id}" "get_replay" "How far a replay has come.", may(Tasks, Read), replays::get, json("Replay")),
    route!(POST "/api/v1/replays/{id}/resume" "resume_replay" "Goes on with a replay that was cut off or stopped.", may(Tasks, Change), replays::resume, Gives::Json(202, "Replay"),
        trail: Trail::Ledger),
    route!(POST "/api/v1/replays/{id}/stop" "stop_replay" "Stops a replay after the part in hand; it can be resumed or undone.", may(Tasks, Change), replays::stop, json("Replay"),
        trail: Trail::Ledger),
    route!(POST "/api/v1/replays/{id}/undo" "undo_replay" "Makes dead letters again of those that have not run since.", may(Tasks, Change), replays::undo, json("Undone"),
        trail: Trail::Ledger),
    // Queues.
    route!(GET "/api/v1/queues" "list_queues" "Queues with what they hold and have done.", may(Queues, Read), queues::list, json("Queues"),
        query: PAGE),
    route!(GET "/api/v1/queues/{name}" "get_queue" "One queue.", may(Queues, Read), queues::get, json("Queue")),
    route!(GET "/api/v1/queues/{name}/history" "queue_history" "What a queue did in each minute, for 24 hours.", may(Queues, Read), queues::history, json("Minutes"),
        query: &[param("since", WHEN, "from this instant; an hour ago unless given")]),
    route!(POST "/api/v1/queues/{name}/pause" "pause_queue" "Stops a queue from yielding tasks; enqueuing goes on.", may(Queues, Change), queues::pause, json("Queue"),
        trail: Trail::Ledger, takes: Takes::Optional("Reason")),
    route!(POST "/api/v1/queues/{name}/resume" "resume_queue" "Ends a pause or a drain.", may(Queues, Change), queues::resume, json("Queue"),
        trail: Trail::Ledger, takes: Takes::Optional("Reason")),
    route!(POST "/api/v1/queues/{name}/drain" "drain_queue" "Takes nothing new in, while what is there runs out.", may(Queues, Change), queues::drain, json("Queue"),
        trail: Trail::Ledger, takes: Takes::Optional("Reason")),
    route!(PUT "/api/v1/queues/{name}/limit" "limit_queue" "Limits how many tasks may wait; null lifts the limit.", may(Queues, Change), queues::limit, json("Queue"),
        trail: Trail::Ledger, takes: Takes::Json("QueueLimit")),
    route!(DELETE "/api/v1/queues/{name}" "remove_queue" "Removes an empty queue; by force, with its tasks, once their count is confirmed.", may(Queues, Own), queues::remove, Gives::Nothing,
        trail: Trail::Ledger, query: &[param("force", FLAG, "also when it holds tasks"), CONFIRM]),
    // Schedules.
    route!(GET "/api/v1/schedules" "list_schedules" "Schedules.", may(Schedules, Read), schedules::list, json("Schedules"),
        query: PAGE),
    route!(POST "/api/v1/schedules/plan" "plan_schedule" "What a definition would do; changes nothing.", may(Schedules, Change), schedules::plan, json("SchedulePlan"),
        trail: Trail::Log, takes: Takes::Json("ScheduleForm")),
    route!(POST "/api/v1/schedules/apply" "apply_schedules" "Makes the schedules of a source be exactly these, all or nothing.", may(Schedules, Own), schedules::apply, json("Applied"),
        trail: Trail::Ledger, takes: Takes::Json("ScheduleSet"), max_body: Some(16 << 20)),
    route!(GET "/api/v1/schedules/{id}" "get_schedule" "One schedule.", may(Schedules, Read), schedules::get, json("Schedule")),
    route!(PUT "/api/v1/schedules/{id}" "put_schedule" "Adds or replaces a schedule; If-Match holds it to the version that was read.", may(Schedules, Change), schedules::put, json("Schedule"),
        trail: Trail::Ledger, takes: Takes::Json("ScheduleForm"), refuses: &[412]),
    route!(DELETE "/api/v1/schedules/{id}" "delete_schedule" "Removes a schedule, and takes back what was put ahead.", may(Schedules, Own), schedules::delete, Gives::Nothing,
        trail: Trail::Ledger, refuses: &[412]),
    route!(POST "/api/v1/schedules/{id}/pause" "pause_schedule" "Holds the calendar back.", may(Schedules, Change), schedules::pause, json("Schedule"),
        trail: Trail::Ledger, takes: Takes::Optional("Reason"), refuses: &[412]),
    route!(POST "/api/v1/schedules/{id}/resume" "resume_schedule" "Lets the calendar go on from now.", may(Schedules, Change), schedules::resume, json("Schedule"),
        trail: Trail::Ledger, takes: Takes::Optional("Reason"), refuses: &[412]),
    route!(POST "/api/v1/schedules/{id}/trigger" "trigger_schedule" "Fires a schedule now; its calendar goes on as if nothing had been.", may(Schedules, Change), schedules::trigger, Gives::Json(202, "Triggered"),
        trail: Trail::Ledger, takes: Takes::Optional("Reason")),
    route!(POST "/api/v1/schedules/{id}/backfill" "backfill_schedule" "Enqueues the fires of a past range that are not on record.", may(Schedules, Change), schedules::backfill, json("Backfilled"),
        trail: Trail::Ledger, takes: Takes::Json("Backfill")),
    route!(GET "/api/v1/schedules/{id}/fires" "list_fires" "What became of each instant, newest first.", may(Schedules, Read), schedules::fires, json("Fires"),
        query: &[LIMIT, CURSOR, param("ahead", FLAG, "also those whose instant is still to come")]),
    // Processes.
    route!(GET "/api/v1/workers" "list_workers" "The workers that are alive.", may(Processes, Read), processes::workers, json("Processes"),
        query: PAGE),
    route!(GET "/api/v1/producers" "list_producers" "The producers that are alive.", may(Processes, Read), processes::producers, json("Processes"),
        query: PAGE),
    route!(GET "/api/v1/leader" "list_leaders" "The producers that lead.", may(Processes, Read), processes::leader, json("Processes"),
        query: PAGE),
    route!(POST "/api/v1/reload" "reload" "Reads the schedule files again.", may(Processes, Own), processes::reload, json("Status"),
        trail: Trail::Ledger),
    // Access.
    route!(GET "/api/v1/tokens" "list_tokens" "Tokens, without their secrets.", may(Access, Read), access::tokens, json("Tokens"),
        query: PAGE),
    route!(POST "/api/v1/tokens" "issue_token" "Makes a token; its text is shown this once.", may(Access, Own), access::issue, Gives::Json(201, "Issued"),
        trail: Trail::Ledger, takes: Takes::Json("TokenForm")),
    route!(DELETE "/api/v1/tokens/{name}" "revoke_token" "Ends a token.", may(Access, Own), access::revoke, Gives::Nothing,
        trail: Trail::Ledger),
    route!(GET "/api/v1/audit" "list_audit" "Who changed what, newest first; kept for 90 days.", may(Access, Read), access::audit, json("Audits"),
        query: PAGE),
];
