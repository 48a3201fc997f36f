//! `tidemill schedule backfill`.

use clap::Args;
use serde::Serialize;
use tidemill::ledger::{FireOutcome, Schedules};
use tidemill::schedule::{Overlap, Schedule};
use tidemill::{Backfill, ErrorKind, ScheduleId, TaskId, Timestamp};
use tidemill_control::{BackfillRange, Remote};

use super::view::local;
use crate::audit::{self, ReasonArgs};
use crate::context::Context;
use crate::output::{self, Format, OutputArgs, Rows, counted, or_dash};
use crate::problem::Problem;
use crate::values::When;

const COLUMNS: [&str; 3] = ["SCHEDULED", "OUTCOME", "TASK"];

/// Which schedule and which range of its past.
#[derive(Args, Debug)]
pub(crate) struct BackfillArgs {
    /// The schedule's id
    #[arg(value_name = "ID")]
    id: ScheduleId,
    /// The first instant of the range, or how long ago it begins (6h)
    #[arg(long, value_name = "TS", value_parser = When::read, allow_hyphen_values = true)]
    from: When,
    /// The end of the range, itself not in it, or how long ago that was
    #[arg(long, value_name = "TS", value_parser = When::read, allow_hyphen_values = true)]
    until: When,
    /// The earliest so many; without it, more than 10,000 are refused
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000), allow_hyphen_values = true)]
    limit: Option<u32>,
    /// Also instants of more than 7 days ago, whose fires are not kept: what ran then runs again
    #[arg(long)]
    beyond_record: bool,
    /// List the instants, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    reason: ReasonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct FireLine<'a> {
    schedule_id: &'a ScheduleId,
    scheduled_at: Timestamp,
    /// `planned` in a dry run.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<TaskId>,
}

impl BackfillArgs {
    fn backfill(&self, context: &Context) -> Backfill {
        let instant = |when: When| when.instant(context.clock());
        let (from, until) = (instant(self.from), instant(self.until));
        let mut backfill = Backfill::new(self.id.clone(), from, until);
        if let Some(limit) = self.limit {
            backfill = backfill.limit(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        match self.beyond_record {
            true => backfill.beyond_record(),
            false => backfill,
        }
    }
}

pub(super) async fn run(args: &BackfillArgs, context: &mut Context) -> Result<(), Problem> {
    let Some(record) = Schedules::schedule(context.ledger(), &args.id).await? else {
        return Err(super::unknown(&args.id));
    };
    let backfill = args.backfill(context);
    let lines = match (&context.remote, args.dry_run) {
        (Some(remote), _) => through(remote, args, context).await?,
        (None, true) => planned(args, &backfill, context).await?,
        (None, false) => recorded(args, &backfill, context).await?,
    };
    if lines.len() > 1 && record.schedule.overlap != Overlap::Allow {
        output::warn(
            "the overlap policy of the schedule is not `allow`: of fires that are due together it skips those that it does not let run or wait",
        );
    }
    show(&record.schedule, &lines, args, context)?;
    context.out.flush()
}

/// Through an API, which records what it does itself.
async fn through<'a>(
    remote: &Remote,
    args: &'a BackfillArgs,
    context: &Context,
) -> Result<Vec<FireLine<'a>>, Problem> {
    let instant = |when: When| when.instant(context.clock());
    let range = BackfillRange {
        from: instant(args.from),
        until: instant(args.until),
        limit: args.limit,
        beyond_record: args.beyond_record,
        dry_run: args.dry_run,
    };
    let fires = remote.backfill(&args.id, &range).await.map_err(hinted)?;
    let lines = fires.into_iter().map(|fire| FireLine {
        schedule_id: &args.id,
        scheduled_at: fire.scheduled_at,
        outcome: fire.outcome.map_or("planned", FireOutcome::as_str),
        task_id: fire.task_id,
    });
    Ok(lines.collect())
}

async fn planned<'a>(
    args: &'a BackfillArgs,
    backfill: &Backfill,
    context: &Context,
) -> Result<Vec<FireLine<'a>>, Problem> {
    let missing = backfill
        .missing(&context.connection)
        .await
        .map_err(hinted)?;
    let lines = missing.into_iter().map(|scheduled_at| FireLine {
        schedule_id: &args.id,
        scheduled_at,
        outcome: "planned",
        task_id: None,
    });
    Ok(lines.collect())
}

async fn recorded<'a>(
    args: &'a BackfillArgs,
    backfill: &Backfill,
    context: &Context,
) -> Result<Vec<FireLine<'a>>, Problem> {
    let done = backfill.run(&context.connection).await;
    // A failure on the way leaves what was enqueued before it.
    if !matches!(&done, Err(error) if error.kind() == ErrorKind::Invalid) {
        let subject = format!("schedule {}", args.id);
        audit::keep(context, "backfilled", &subject, &args.reason).await;
    }
    let fires = done.map_err(hinted)?;
    for task in fires.iter().filter_map(|fire| fire.task.as_ref()) {
        let noted = audit::note(context, task, 0, "backfilled", &args.reason).await;
        noted.map_err(|problem| {
            problem.during("the fires were enqueued, but the reason could not be noted")
        })?;
    }
    let lines = fires.into_iter().map(|fire| FireLine {
        schedule_id: &args.id,
        scheduled_at: fire.scheduled_at,
        outcome: fire.outcome.as_str(),
        task_id: fire.task,
    });
    Ok(lines.collect())
}

/// What to do about a range that is refused, or a failure half-way.
fn hinted(error: tidemill::Error) -> Problem {
    let is_wrong = error.kind() == ErrorKind::Invalid;
    let beyond = error.to_string().contains("beyond the record");
    let problem = Problem::from(error);
    match (is_wrong, beyond) {
        (true, true) => problem.hint("--beyond-record allows it; see its --help first"),
        (true, false) => problem
            .hint("--dry-run lists what a range would enqueue; --limit takes the earliest of it"),
        (false, _) => problem.hint("repeat it: what is on record is not enqueued twice"),
    }
}

fn show(
    schedule: &Schedule,
    lines: &[FireLine<'_>],
    args: &BackfillArgs,
    context: &mut Context,
) -> Result<(), Problem> {
    if args.output.format == Format::Json {
        return lines.iter().try_for_each(|line| context.out.json(line));
    }
    let mut rows = Rows::new(&COLUMNS);
    for line in lines {
        let at = local(schedule, line.scheduled_at);
        let task = or_dash(line.task_id.as_ref());
        rows.add([at, line.outcome.to_owned(), task]);
    }
    if !rows.is_empty() {
        context.out.table(&rows)?;
    }
    let enqueued = FireOutcome::Enqueued.as_str();
    let enqueued = lines.iter().filter(|line| line.outcome == enqueued).count();
    context.out.line(&match args.dry_run {
        true => format!("{} to enqueue", counted(lines.len(), "fire")),
        false => format!(
            "{} enqueued, {} not",
            counted(enqueued, "fire"),
            lines.len() - enqueued
        ),
    })
}
