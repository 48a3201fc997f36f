//! `tidemill enqueue`.

mod delivery;
pub(crate) mod payload;

use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, ValueEnum};
use tidemill::{
    Admission, Envelope, Key, KeyClaim, KeyFate, Kind, Priority, QueueName, SendSpan, TaskId,
    Timestamp,
};

use crate::audit::{self, ReasonArgs};
use crate::context::{Context, Missing};
use crate::output::{Format, OutputArgs};
use crate::problem::Problem;
use crate::settings::Settings;
use crate::values;

/// A task.
#[derive(Args, Debug)]
pub(crate) struct EnqueueArgs {
    /// The kind: a built-in handler (command, http, echo, sleep, fail) or one that your workers handle
    #[arg(value_name = "KIND")]
    kind: Kind,
    /// Where it waits
    #[arg(
        long,
        value_name = "NAME",
        default_value = "default",
        allow_hyphen_values = true
    )]
    queue: QueueName,
    /// What it carries: JSON, @FILE with JSON, or - for JSON on standard input [default: null]
    #[arg(long, value_name = "JSON|@FILE|-", allow_negative_numbers = true)]
    payload: Option<String>,
    /// Due this long from now
    #[arg(long = "in", value_name = "DUR", value_parser = values::duration, conflicts_with = "at", allow_hyphen_values = true)]
    delay: Option<Duration>,
    /// Due at this instant, RFC 3339 with a zone; one that has passed means now
    #[arg(long, value_name = "TS", allow_hyphen_values = true)]
    at: Option<Timestamp>,
    /// Its id, unique in the namespace [default: a new UUID version 7]
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    id: Option<TaskId>,
    /// Uniqueness key: while it is live, a second task of this queue and kind with it is a duplicate
    #[arg(long, value_name = "KEY", value_parser = values::key)]
    key: Option<Key>,
    /// How long the key stays taken, from the due time [default: 24h]
    #[arg(long, value_name = "DUR", value_parser = values::positive_duration, requires = "key", allow_hyphen_values = true)]
    key_ttl: Option<Duration>,
    /// What success does to the key
    #[arg(long, value_name = "FATE", requires = "key", default_value = "free")]
    key_on_success: Fate,
    /// What the task's burial does to the key
    #[arg(long, value_name = "FATE", requires = "key", default_value = "free")]
    key_on_failure: Fate,
    /// 0 (last) to 9 (first)
    #[arg(long, value_name = "N", default_value = "5", value_parser = priority, allow_hyphen_values = true)]
    priority: Priority,
    /// Runs in all, the first included [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000), allow_hyphen_values = true)]
    max_attempts: Option<u32>,
    /// The longest that one run may take [default: 30m]
    #[arg(long, value_name = "DUR", value_parser = values::positive_duration, allow_hyphen_values = true)]
    timeout: Option<Duration>,
    /// No run starts and none goes on after this instant
    #[arg(long, value_name = "TS", allow_hyphen_values = true)]
    deadline: Option<Timestamp>,
    /// How long it is kept with result and logs once it has completed
    #[arg(long, value_name = "DUR", default_value = "24h", value_parser = values::duration, allow_hyphen_values = true)]
    retention: Duration,
    /// A header; may be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = values::header)]
    headers: Vec<(String, String)>,
    #[command(flatten)]
    reason: ReasonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What becomes of a key when its task ends.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Fate {
    /// It is free at once.
    Free,
    /// It stays taken until its time to live has passed.
    Keep,
}

impl From<Fate> for KeyFate {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Free => Self::Free,
            Fate::Keep => Self::Keep,
        }
    }
}

fn priority(text: &str) -> tidemill::Result<Priority> {
    let level = text.parse::<i64>().map_err(|_| {
        tidemill::Error::invalid("priority", "expected a number from 0 (last) to 9 (first)")
    })?;
    Priority::new(level)
}

/// Puts the task in line.
pub(crate) async fn run(args: EnqueueArgs, settings: Settings) -> Result<(), Problem> {
    let payload = payload::read(args.payload.as_deref())?;
    let mut context = Context::open(settings, Missing::Create).await?;
    let now = context.clock().now();
    let id = args.id.clone().unwrap_or_else(|| TaskId::generate(now));
    let mut envelope = Envelope::new(id, args.kind.clone(), payload, now);
    fill(&mut envelope, &args, now)?;
    envelope.check(context.broker().capabilities().max_payload)?;
    let id = envelope.id.clone();
    let mut span = SendSpan::begin(&context.connection, &mut envelope);
    let delivered = delivery::deliver(&context, envelope).await;
    if let Err(problem) = &delivered {
        span.fail("enqueue", problem.in_one_line());
    }
    drop(span);
    let (id, admission) = match delivered? {
        Admission::Admitted => (id, "admitted"),
        Admission::Duplicate(first) => {
            let note = format!("duplicate of {first}: the key is taken; nothing was added\n");
            io::stderr().write_all(note.as_bytes()).ok();
            (first, "duplicate")
        }
        Admission::IdConflict => {
            return Err(Problem::failed(format!(
                "the id {id} is taken; the first task stays as it is"
            ))
            .hint("a call whose answer was lost may have added it: `tidemill task get ID` shows whether it is yours; for a new task leave --id out"));
        }
        Admission::QueueFull { limit } => {
            return Err(Problem::failed(format!(
                "queue {} is full: its limit is {limit} waiting tasks",
                args.queue
            ))
            .hint("try again later, or see `tidemill queue limit`"));
        }
    };
    let said = answer_with(&id, admission, &args, &mut context).await;
    // The task is there, whatever becomes of the answer.
    said.map_err(|problem| match admission {
        "admitted" => problem
            .during(format!(
                "the task was stored as {id}, but what followed failed"
            ))
            .hint("do not enqueue it again; `tidemill task get` shows it"),
        _ => problem.during(format!("nothing was added: the key is taken by task {id}")),
    })
}

async fn answer_with(
    id: &TaskId,
    admission: &'static str,
    args: &EnqueueArgs,
    context: &mut Context,
) -> Result<(), Problem> {
    if admission == "admitted" {
        audit::log(context, "enqueued", id.as_str(), &args.reason);
        audit::note(context, id, 0, "enqueued", &args.reason).await?;
    }
    match args.output.format {
        Format::Json => {
            let answer = serde_json::json!({ "id": id, "admission": admission });
            context.out.json(&answer)?;
        }
        Format::Table => context.out.line(id.as_str())?,
    }
    context.out.flush()
}

fn fill(envelope: &mut Envelope, args: &EnqueueArgs, now: Timestamp) -> Result<(), Problem> {
    envelope.queue = args.queue.clone();
    envelope.due_at = args.at.unwrap_or(now + args.delay.unwrap_or_default());
    envelope.priority = args.priority;
    envelope.deadline = args.deadline;
    envelope.retention = args.retention;
    envelope.headers.extend(args.headers.iter().cloned());
    if let Some(attempts) = args.max_attempts {
        envelope.retry.max_attempts = attempts;
    }
    if let Some(timeout) = args.timeout {
        envelope.timeout = timeout;
    }
    envelope.key = args.key.clone().map(|key| {
        let mut claim = KeyClaim::new(key);
        claim.ttl = args.key_ttl.unwrap_or(claim.ttl);
        claim.on_success = args.key_on_success.into();
        claim.on_failure = args.key_on_failure.into();
        claim
    });
    match args.deadline {
        Some(deadline) if deadline <= envelope.due_at.max(now) => Err(Problem::usage(format!(
            "the deadline {deadline} is not after the due time, {}; expected a later one",
            envelope.due_at.max(now)
        ))
        .hint("the task could never run; give a later --deadline or an earlier due time")),
        _ => Ok(()),
    }
}
