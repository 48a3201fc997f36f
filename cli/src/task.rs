//! `tidemill task`: looking at tasks and changing them.

mod change;
mod describe;
mod list;
mod logs;
mod why;

use clap::{Args, Subcommand};
use tidemill::{Change, Replay, State, TaskId, Timestamp};

pub(crate) use change::{ChangeIds, change_ids, queue_full};
pub(crate) use describe::{describe, facts};
pub(crate) use list::{PageArgs, failed};

use crate::audit::ReasonArgs;
use crate::context::{Context, Missing};
use crate::output::OutputArgs;
use crate::problem::Problem;
use crate::selection::{BulkArgs, BulkChange, FilterArgs, IdArgs, confirm, count, require_choice};
use crate::settings::Settings;
use crate::values;

/// What can be done with tasks.
#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// List tasks, newest first
    List(list::ListArgs),
    /// Show everything about one task, with every attempt
    Get {
        /// The task's id
        #[arg(value_name = "ID")]
        id: TaskId,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Run tasks now that are scheduled or wait for a retry, and put finished ones back in line
    Retry(SelectArgs),
    /// Cancel tasks: at once where they wait, by request where they run. Final
    Cancel {
        #[command(flatten)]
        select: SelectArgs,
        /// Do not ask before a bulk change
        #[arg(long)]
        yes: bool,
    },
    /// Give tasks up that are not needed any more. Final
    Skip {
        #[command(flatten)]
        select: SelectArgs,
        /// Also tasks that run: they are asked to stop
        #[arg(long)]
        force: bool,
        /// Do not ask before a bulk change
        #[arg(long)]
        yes: bool,
    },
    /// Say why a task is where it is: why it does not run, why it ran twice, why it is dead
    Why {
        /// The task's id
        #[arg(value_name = "ID")]
        id: TaskId,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Remove every trace of tasks that do not run
    Delete {
        #[command(flatten)]
        select: SelectArgs,
        /// Do not ask before a bulk change
        #[arg(long)]
        yes: bool,
    },
    /// Make dead letters of tasks that wait
    Bury(SelectArgs),
    /// Move the due time of tasks that wait
    Reschedule {
        #[command(flatten)]
        select: SelectArgs,
        #[command(flatten)]
        when: DueArgs,
    },
    /// Show the output of a task's runs
    Logs(logs::LogsArgs),
}

/// Which tasks a change is for: ids, or filters.
#[derive(Args, Debug)]
pub(crate) struct SelectArgs {
    #[command(flatten)]
    ids: IdArgs,
    /// In one of these states
    #[arg(
        long,
        value_name = "STATE",
        value_delimiter = ',',
        help_heading = "Filters"
    )]
    state: Vec<State>,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    bulk: BulkArgs,
    #[command(flatten)]
    reason: ReasonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// The new due time.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct DueArgs {
    /// Due at this instant
    #[arg(long, value_name = "TS", allow_hyphen_values = true)]
    at: Option<Timestamp>,
    /// Due this long from now
    #[arg(long = "in", value_name = "DUR", value_parser = values::duration, allow_hyphen_values = true)]
    delay: Option<std::time::Duration>,
}

/// Whether a bulk change is asked about first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    Never,
    Unless { yes: bool },
}

/// Does it.
pub(crate) async fn run(command: TaskCommand, settings: Settings) -> Result<(), Problem> {
    let mut context = Context::open(settings, Missing::Refuse).await?;
    let context = &mut context;
    match command {
        TaskCommand::List(args) => list::run(&args, context).await,
        TaskCommand::Get { id, output } => describe::get(&id, output.format, context).await,
        TaskCommand::Logs(args) => logs::run(&args, context).await,
        TaskCommand::Retry(select) => retry(&select, context).await,
        TaskCommand::Cancel { select, yes } => {
            let how = ("cancel", "cancelled", Ask::Unless { yes });
            change(&select, Change::Cancel, how, context).await
        }
        TaskCommand::Skip { select, force, yes } => skip(&select, force, yes, context).await,
        TaskCommand::Why { id, output } => why::run(&id, output.format, context).await,
        TaskCommand::Delete { select, yes } => {
            let how = ("delete", "deleted", Ask::Unless { yes });
            change(&select, Change::Delete, how, context).await
        }
        TaskCommand::Bury(select) => {
            change(
                &select,
                Change::Bury,
                ("bury", "buried", Ask::Never),
                context,
            )
            .await
        }
        TaskCommand::Reschedule { select, when } => {
            let now = context.clock().now();
            let at = when.at.unwrap_or(now + when.delay.unwrap_or_default());
            let how = ("reschedule", "rescheduled", Ask::Never);
            change(&select, Change::Reschedule(at), how, context).await
        }
    }
}

async fn retry(select: &SelectArgs, context: &mut Context) -> Result<(), Problem> {
    if select.ids.ids.is_empty() {
        let waiting = |state: &State| matches!(state, State::Retry | State::Scheduled);
        if select.state.is_empty() || !select.state.iter().all(waiting) {
            return Err(Problem::usage(
                "a retry by filter needs --state retry or --state scheduled",
            )
            .hint(
                "dead letters are put back by `tidemill dead replay`; other tasks by their ids",
            ));
        }
    }
    change(
        select,
        Change::RunNow,
        ("retry", "retried", Ask::Never),
        context,
    )
    .await
}

async fn skip(
    select: &SelectArgs,
    force: bool,
    yes: bool,
    context: &mut Context,
) -> Result<(), Problem> {
    let hint = "add --force: they are asked to stop, and then skipped";
    if !force && select.ids.ids.is_empty() {
        let runs = select.state.is_empty() || select.state.contains(&State::Active);
        if runs {
            return Err(
                Problem::usage("a skip by filter needs --state, without active").hint(hint),
            );
        }
    }
    for id in select.ids.ids.iter().filter(|_| !force) {
        let task = context.inspect()?.get(id).await?;
        if task.is_some_and(|task| task.state == State::Active) {
            return Err(Problem::failed(format!("task {id} runs; nothing has changed")).hint(hint));
        }
    }
    let how = ("skip", "skipped", Ask::Unless { yes });
    change(select, Change::Cancel, how, context).await
}

async fn change(
    select: &SelectArgs,
    change: Change,
    (verb, past, ask): (&'static str, &'static str, Ask),
    context: &mut Context,
) -> Result<(), Problem> {
    let format = select.output.format;
    let narrowed = select.filter.narrows() || !select.state.is_empty();
    if !select.ids.ids.is_empty() {
        if narrowed || select.bulk.all {
            return Err(
                Problem::usage("ids and filters are given at once").hint("give one of them")
            );
        }
        let ids = ChangeIds {
            ids: &select.ids.ids,
            past,
            dry_run: select.bulk.dry_run,
            reason: &select.reason,
            format,
        };
        // What has ended is not run "now" but put back in line; to the user both are a retry.
        return change_ids(&ids, context, |task| match change {
            Change::RunNow if task.state.is_final() => Change::Replay(Replay::default()),
            _ => change.clone(),
        })
        .await;
    }
    require_choice(narrowed, &select.bulk)?;
    let bulk = BulkChange {
        filter: select.filter.filter(context, select.state.clone(), None),
        change,
        past,
        args: &select.bulk,
        reason: &select.reason,
        format,
    };
    if let (Ask::Unless { yes }, false) = (ask, select.bulk.dry_run) {
        confirm(verb, count(context, &bulk.filter).await?, yes)?;
    }
    bulk.run(context).await
}
