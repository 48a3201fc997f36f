//! `tidemill schedule`: schedules and their fires.

mod apply;
mod backfill;
mod doubts;
mod fires;
mod list;
mod parts;
mod plan;
mod put;
mod view;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tidemill::ScheduleId;
use tidemill::ledger::Schedules;

use crate::audit::{self, ReasonArgs};
use crate::context::{Context, Missing};
use crate::output::{self, Format, OutputArgs};
use crate::problem::Problem;
use crate::settings::Settings;

pub(crate) use apply::{apply_sources, check_sources};
pub(crate) use doubts::{spent, unserved};
pub(crate) use view::{is_spent, rule};

/// What can be done with schedules.
#[derive(Debug, Subcommand)]
pub(crate) enum ScheduleCommand {
    /// List schedules with their next fires
    List(OutputArgs),
    /// Show one schedule with its next five fires
    Show {
        /// The schedule's id
        #[arg(value_name = "ID")]
        id: ScheduleId,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Make the schedules of a file be exactly those that it holds
    Apply {
        #[command(flatten)]
        file: FileArgs,
        /// Show what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        reason: ReasonArgs,
    },
    /// Show what `apply` would change: the next five fires of what is new or changed, the fires gained
    /// and lost, changes of the clock, and the minutes in which most fires fall together
    Plan {
        #[command(flatten)]
        file: FileArgs,
        /// How many days to look ahead, 1 to 366
        #[arg(long, value_name = "N", default_value_t = plan::DAYS, value_parser = clap::value_parser!(u16).range(1..=366), allow_hyphen_values = true)]
        days: u16,
        /// How many of the fires gained and lost are shown of each schedule
        #[arg(long, value_name = "N", default_value_t = plan::FIRES, allow_hyphen_values = true)]
        fires: usize,
    },
    /// Add or replace one schedule, which no file owns
    Put(put::PutArgs),
    /// Stop a schedule from firing, and take back what it has put ahead
    Pause(OneSchedule),
    /// End a pause; the calendar goes on from now
    Resume(OneSchedule),
    /// Fire a schedule once now and print the task's id; the calendar stays as it is
    RunNow {
        #[command(flatten)]
        schedule: OneSchedule,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Enqueue the fires of a past range that are not on record, each once however often it is repeated
    Backfill(backfill::BackfillArgs),
    /// Remove a schedule, and take back what it has put ahead; its fires stay on record
    Delete(OneSchedule),
    /// List the fires of a schedule, newest first: what became of each, and how late it was
    Fires(fires::FiresArgs),
}

/// A file with schedules.
#[derive(Args, Debug)]
pub(crate) struct FileArgs {
    /// A file with `[[schedule]]` entries; files that it names under `schedules` count too
    #[arg(value_name = "FILE")]
    path: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

/// A schedule that is changed.
#[derive(Args, Debug)]
pub(crate) struct OneSchedule {
    /// The schedule's id
    #[arg(value_name = "ID")]
    id: ScheduleId,
    #[command(flatten)]
    reason: ReasonArgs,
}

/// Does it.
pub(crate) async fn run(command: ScheduleCommand, settings: Settings) -> Result<(), Problem> {
    let missing = match command {
        ScheduleCommand::Apply { .. } | ScheduleCommand::Plan { .. } | ScheduleCommand::Put(_) => {
            Missing::Create
        }
        _ => Missing::Refuse,
    };
    // A file that is wrong is told before any store is opened, and so made.
    let sources = match &command {
        ScheduleCommand::Apply { file, .. } | ScheduleCommand::Plan { file, .. } => {
            crate::settings::read_sources(&file.path)?
        }
        _ => Vec::new(),
    };
    let mut context = Context::open(settings, missing).await?;
    let context = &mut context;
    check_sources(context.broker().capabilities().max_payload, &sources)?;
    for doubt in spent(&sources, context.clock().now()) {
        output::warn(&doubt);
    }
    match command {
        ScheduleCommand::List(output) => list::list(output.format, context).await?,
        ScheduleCommand::Show { id, output } => list::show(&id, output.format, context).await?,
        ScheduleCommand::Plan { file, days, fires } => {
            let extent = plan::Extent { days, fires };
            plan::plan(&sources, extent, file.output.format, context).await?;
        }
        ScheduleCommand::Apply {
            file,
            dry_run: true,
            ..
        } => plan::plan(&sources, plan::Extent::USUAL, file.output.format, context).await?,
        ScheduleCommand::Apply {
            file,
            dry_run: false,
            reason,
        } => apply::apply(&sources, &reason, file.output.format, context).await?,
        ScheduleCommand::Put(args) => put::run(&args, context).await?,
        ScheduleCommand::Pause(one) => {
            let reason = one.reason.text();
            let there = Schedules::pause_schedule(context.ledger(), &one.id, reason).await?;
            done(there, &one, "paused", context).await?;
        }
        ScheduleCommand::Resume(one) => {
            let there = Schedules::resume_schedule(context.ledger(), &one.id).await?;
            done(there, &one, "resumed", context).await?;
        }
        ScheduleCommand::Delete(one) => {
            let known = Schedules::schedule(context.ledger(), &one.id).await?;
            if let Some(known) = known.filter(|known| known.source.starts_with("file:")) {
                let owner = known.source;
                output::warn(&format!(
                    "it belongs to {owner}, which puts it back whenever it is applied"
                ));
            }
            let there = Schedules::delete_schedule(context.ledger(), &one.id).await?;
            done(there, &one, "deleted", context).await?;
        }
        ScheduleCommand::RunNow { schedule, output } => {
            run_now(&schedule, output.format, context).await?;
        }
        ScheduleCommand::Backfill(args) => backfill::run(&args, context).await?,
        ScheduleCommand::Fires(args) => fires::run(&args, context).await?,
    }
    context.out.flush()
}

async fn done(
    there: bool,
    one: &OneSchedule,
    past: &str,
    context: &mut Context,
) -> Result<(), Problem> {
    if !there {
        return Err(unknown(&one.id));
    }
    let subject = format!("schedule {}", one.id);
    audit::keep(context, past, &subject, &one.reason).await;
    context.out.line(&format!("schedule {} {past}", one.id))
}

fn unknown(id: &ScheduleId) -> Problem {
    Problem::failed(format!("there is no schedule {id}"))
        .hint("`tidemill schedule list` shows what is there")
}

async fn run_now(one: &OneSchedule, format: Format, context: &mut Context) -> Result<(), Problem> {
    if Schedules::schedule(context.ledger(), &one.id)
        .await?
        .is_none()
    {
        return Err(unknown(&one.id));
    }
    let task = context.fire(&one.id).await?;
    let subject = format!("schedule {}", one.id);
    audit::keep(context, "fired", &subject, &one.reason).await;
    let tell = async {
        audit::note(context, &task, 0, "fired", &one.reason).await?;
        match format {
            Format::Json => context.out.json(&serde_json::json!({ "id": task }))?,
            Format::Table => context.out.line(task.as_str())?,
        }
        context.out.flush()
    };
    // From here on the task is there, whatever becomes of the answer.
    tell.await.map_err(|problem: Problem| {
        problem.during(format!(
            "the task was stored as {task}, but what followed failed"
        ))
    })
}
