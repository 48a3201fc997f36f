//! `tidemill schedule put`: one schedule from the command line.

use clap::Args;
use serde_json::{Map, Value};
use tidemill::ledger::Schedules;
use tidemill::schedule::Schedule;
use tidemill::{Kind, QueueName, ScheduleId};

use super::view::{ScheduleView, rule};
use crate::audit::{self, ReasonArgs};
use crate::context::Context;
use crate::enqueue::payload;
use crate::output::{Format, OutputArgs};
use crate::problem::Problem;

/// The owner of what is put here; a file never removes it.
const SOURCE: &str = "cli";

/// A schedule. What is not given has the default of a `[[schedule]]` entry.
#[derive(Args, Debug)]
pub(crate) struct PutArgs {
    /// The schedule's id
    #[arg(value_name = "ID")]
    id: ScheduleId,
    /// The kind of its tasks
    #[arg(long, value_name = "KIND")]
    kind: Kind,
    /// When it fires: a cron expression of 5, 6 (seconds) or 7 (seconds, year) fields
    #[arg(long, value_name = "EXPR", group = "when")]
    cron: Option<String>,
    /// When it fires: an interval
    #[arg(long, value_name = "DUR", group = "when")]
    every: Option<String>,
    /// When it fires: once, at an instant, RFC 3339 with a zone
    #[arg(long, value_name = "TS", group = "when")]
    at: Option<String>,
    /// The zone of the cron expression [default: UTC]
    #[arg(long, value_name = "ZONE", requires = "cron")]
    time_zone: Option<String>,
    /// The queue of its tasks [default: default]
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    queue: Option<QueueName>,
    /// What they carry: JSON, @FILE with JSON, or - for JSON on standard input [default: null]
    #[arg(long, value_name = "JSON|@FILE|-", allow_negative_numbers = true)]
    payload: Option<String>,
    /// Any other key of a `[[schedule]]` entry, its value JSON or text: overlap=skip, limit=5, retry={"max_attempts":3}; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    set: Vec<(String, Value)>,
    /// Show what it would be, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    reason: ReasonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

fn setting(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text
        .split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .ok_or("expected KEY=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    Ok((key.to_owned(), value))
}

impl PutArgs {
    /// The schedule that the flags describe, checked as an entry of a file is.
    fn schedule(&self) -> Result<Schedule, Problem> {
        let mut form = Map::new();
        let flags = [
            ("id", Some(self.id.as_str())),
            ("kind", Some(self.kind.as_str())),
            ("cron", self.cron.as_deref()),
            ("every", self.every.as_deref()),
            ("at", self.at.as_deref()),
            ("time_zone", self.time_zone.as_deref()),
            ("queue", self.queue.as_ref().map(QueueName::as_str)),
        ];
        for (key, value) in flags {
            if let Some(value) = value {
                form.insert(key.to_owned(), value.into());
            }
        }
        if self.payload.is_some() {
            let payload = payload::read(self.payload.as_deref())?;
            let value = serde_json::from_slice(payload.as_bytes());
            form.insert("payload".to_owned(), value.map_err(wrong)?);
        }
        for (key, value) in &self.set {
            if form.insert(key.clone(), value.clone()).is_some() {
                return Err(Problem::usage(format!("{key} is given twice")));
            }
        }
        serde_json::from_value(Value::Object(form)).map_err(wrong)
    }
}

fn wrong(error: serde_json::Error) -> Problem {
    Problem::usage("this is no schedule")
        .because(error)
        .hint("docs/schedules.md lists the keys of a `[[schedule]]` entry")
}

/// Adds or replaces it.
pub(super) async fn run(args: &PutArgs, context: &mut Context) -> Result<(), Problem> {
    let schedule = args.schedule()?;
    schedule.check(context.broker().capabilities().max_payload)?;
    let found = Schedules::schedule(context.ledger(), &schedule.id).await?;
    if let Some(found) = &found
        && found.source.starts_with("file:")
    {
        let (id, owner) = (&schedule.id, &found.source);
        return Err(Problem::failed(format!("schedule {id} belongs to {owner}"))
            .hint("change it in that file, which would put it back, or give this one another id"));
    }
    let (past, future) = match &found {
        None => ("added", "would be added"),
        Some(found) if found.schedule == schedule => ("unchanged", "would stay as it is"),
        Some(_) => ("changed", "would be changed"),
    };
    if args.dry_run {
        return match args.output.format {
            Format::Json => context.out.json(&schedule),
            Format::Table => {
                let line = format!("schedule {} {future}: {}", schedule.id, rule(&schedule));
                context.out.line(&line)
            }
        };
    }
    let record = Schedules::put_schedule(context.ledger(), SOURCE, schedule).await?;
    if past != "unchanged" {
        let subject = format!("schedule {}", record.schedule.id);
        audit::keep(context, past, &subject, &args.reason).await;
    }
    let now = context.clock().now();
    match args.output.format {
        Format::Json => context.out.json(&ScheduleView::new(&record, now, 1)),
        Format::Table => {
            let next = record.upcoming(now).next();
            let next = next.map_or_else(|| "never".to_owned(), |at| at.to_string());
            context.out.line(&format!(
                "schedule {} {past}: {}, next at {next}",
                record.schedule.id,
                rule(&record.schedule)
            ))
        }
    }
}
