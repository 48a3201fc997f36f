//! `tidemill repair`: what failed in a range of time, once what was wrong is mended.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use serde::Serialize;
use tidemill::{BuryReason, Change, Kind, QueueName, Replay, State, TaskFilter, TaskRecord};

use crate::audit::{self, ReasonArgs};
use crate::context::{Context, Missing};
use crate::output::{Format, OutputArgs, Rows, counted, instant};
use crate::problem::Problem;
use crate::settings::Settings;
use crate::values::{When, rate};

/// How many tasks are looked at in one step.
const PAGE: usize = 500;
/// How many are shown.
const SAMPLE: usize = 20;

/// What is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Strategy {
    /// Show what `auto` would do
    DryRun,
    /// Put dead letters back in line with fresh attempts, and run now what waits for a retry; what was rejected, passed its deadline or was buried by an operator is left alone
    Auto,
}

/// Which failures.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tidemill repair --failed-after 2026-06-01T00:00:00Z
  tidemill repair --failed-after 2h --kind email.welcome --strategy auto --reason 'relay is back'")]
pub(crate) struct RepairArgs {
    /// Failed at or after this instant or date (midnight in UTC), or at most this long ago (2h)
    #[arg(long, value_name = "TS", value_parser = When::read, allow_hyphen_values = true)]
    failed_after: When,
    /// Failed before this instant or date, or longer ago than this [default: now]
    #[arg(long, value_name = "TS", value_parser = When::read, allow_hyphen_values = true)]
    failed_before: Option<When>,
    /// Of this kind
    #[arg(long, value_name = "KIND", allow_hyphen_values = true)]
    kind: Option<Kind>,
    /// In this queue
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    queue: Option<QueueName>,
    /// What is done about it
    #[arg(long, value_name = "STRATEGY", default_value = "dry-run")]
    strategy: Strategy,
    /// Repair at most this many in a second, such as 50/s
    #[arg(long, value_name = "N/s", value_parser = rate, allow_hyphen_values = true)]
    rate: Option<u32>,
    #[command(flatten)]
    reason: ReasonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What is done about one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Remedy {
    Replay,
    RunNow,
    Leave,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    dry_run: bool,
    replay: usize,
    run_now: usize,
    leave: usize,
    /// By kind, how many are repaired.
    kinds: BTreeMap<String, usize>,
    /// How many could not be: they changed meanwhile, or their key is held.
    refused: usize,
}

fn remedy(task: &TaskRecord) -> Remedy {
    match (task.state, task.bury_reason) {
        (State::Retry, _) => Remedy::RunNow,
        (
            State::Dead,
            Some(
                BuryReason::Rejected
                | BuryReason::DeadlineExceeded
                | BuryReason::Operator
                | BuryReason::Undecodable,
            ),
        ) => Remedy::Leave,
        _ => Remedy::Replay,
    }
}

/// Does it.
pub(crate) async fn run(args: RepairArgs, settings: Settings) -> Result<(), Problem> {
    let mut context = Context::open(settings, Missing::Refuse).await?;
    let now = context.clock().now();
    let after = args.failed_after.instant(context.clock());
    let before = args
        .failed_before
        .map_or(now, |when| when.instant(context.clock()));
    if after >= before {
        return Err(Problem::usage(
            "the range is empty: --failed-after is not before --failed-before",
        ));
    }
    let mut report = Report {
        dry_run: args.strategy == Strategy::DryRun,
        ..Report::default()
    };
    let mut rows = Rows::new(&["ID", "KIND", "QUEUE", "STATE", "REMEDY", "FAILED", "ERROR"]);
    for state in [State::Dead, State::Retry] {
        let filter = TaskFilter {
            states: vec![state],
            kind: args.kind.clone(),
            queue: args.queue.clone(),
            ..TaskFilter::default()
        };
        let mut cursor = None;
        loop {
            let page = context.inspect()?.list(&filter, cursor, PAGE).await?;
            for task in page.items {
                let Some(at) = failed_at(&task, &context).await? else {
                    continue;
                };
                if at < after || at >= before {
                    continue;
                }
                if rows.len() < SAMPLE {
                    rows.add(row(&task, at));
                }
                repair(&task, &args, &mut report, &context).await?;
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    let repaired = report.replay + report.run_now;
    if !report.dry_run {
        let subject = counted(repaired, "task");
        audit::keep(&context, "repair", &subject, &args.reason).await;
    }
    tell(&report, &rows, args.output.format, &mut context)
}

/// When a task failed last.
async fn failed_at(
    task: &TaskRecord,
    context: &Context,
) -> Result<Option<tidemill::Timestamp>, Problem> {
    if task.state == State::Dead {
        return Ok(task.finished_at);
    }
    let attempts = context.inspect()?.attempts(&task.envelope.id).await?;
    let mut failed = attempts
        .iter()
        .rev()
        .filter(|attempt| attempt.failure.is_some());
    Ok(failed.next().map(|attempt| attempt.finished_at))
}

async fn repair(
    task: &TaskRecord,
    args: &RepairArgs,
    report: &mut Report,
    context: &Context,
) -> Result<(), Problem> {
    let change = match remedy(task) {
        Remedy::Leave => {
            report.leave += 1;
            return Ok(());
        }
        Remedy::RunNow => Change::RunNow,
        Remedy::Replay => Change::Replay(Replay {
            reset_attempts: true,
            ..Replay::default()
        }),
    };
    let id = &task.envelope.id;
    if !report.dry_run {
        if !matches!(
            context.inspect()?.change(id, &change).await?,
            tidemill::Changed::Done { .. }
        ) {
            report.refused += 1;
            return Ok(());
        }
        audit::note_change(context, id, task.attempt, "repaired", &args.reason).await?;
        if let Some(rate) = args.rate {
            let until = context.clock().now() + std::time::Duration::from_secs(1) / rate;
            context.clock().sleep_until(until).await;
        }
    }
    match change {
        Change::RunNow => report.run_now += 1,
        _ => report.replay += 1,
    }
    *report
        .kinds
        .entry(task.envelope.kind.to_string())
        .or_default() += 1;
    Ok(())
}

fn row(task: &TaskRecord, at: tidemill::Timestamp) -> [String; 7] {
    [
        task.envelope.id.to_string(),
        task.envelope.kind.to_string(),
        task.envelope.queue.to_string(),
        task.state.to_string(),
        match remedy(task) {
            Remedy::Replay => "replay".into(),
            Remedy::RunNow => "run now".into(),
            Remedy::Leave => "leave".into(),
        },
        instant(at),
        task.error
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
    ]
}

fn tell(
    report: &Report,
    rows: &Rows,
    format: Format,
    context: &mut Context,
) -> Result<(), Problem> {
    if format == Format::Json {
        context.out.json(report)?;
        return context.out.flush();
    }
    if !rows.is_empty() {
        context.out.table(rows)?;
    }
    for (kind, count) in &report.kinds {
        context.out.line(&format!("{count} of kind {kind}"))?;
    }
    let (would, dry) = match report.dry_run {
        true => ("would be ", " (dry run)"),
        false => ("", ""),
    };
    let mut line = format!(
        "{} {would}replayed, {} {would}run now, {} left alone",
        counted(report.replay, "task"),
        report.run_now,
        report.leave
    );
    if report.refused > 0 {
        line.push_str(&format!(", {} could not be", report.refused));
    }
    context.out.line(&format!("{line}{dry}"))?;
    context.out.flush()
}
