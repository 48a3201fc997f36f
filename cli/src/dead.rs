//! `tidemill dead`: dead letters, and how they come back.

mod desk;
mod files;
mod list;
mod replay;
mod retain;

use clap::{Args, Subcommand};
use tidemill::{BuryReason, Change, NoteName, State, TaskFilter, TaskId, TaskRecord};
use tidemill_control::Choice;

pub(crate) use files::letter_line;

use crate::audit::ReasonArgs;
use crate::context::{Context, Missing};
use crate::output::OutputArgs;
use crate::problem::Problem;
use crate::selection::{BulkArgs, BulkChange, FilterArgs, IdArgs, confirm, count, require_choice};
use crate::settings::Settings;
use crate::task::{ChangeIds, change_ids};

/// What can be done with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadCommand {
    /// List dead letters, newest enqueued first
    List(list::ListArgs),
    /// Show one dead letter with its failures
    Show {
        /// The task's id
        #[arg(value_name = "ID")]
        id: TaskId,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Put dead letters back in line under their own ids
    Replay(replay::ReplayArgs),
    /// List replays by filter, newest first
    Replays(OutputArgs),
    /// Go on with a replay that was cut off or stopped; nothing comes back twice
    Resume {
        /// The replay's id
        #[arg(value_name = "ID")]
        id: NoteName,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Stop a replay that runs, here or in a service, after the part in hand
    Stop(replay::OneArgs),
    /// Make dead letters again of those that a replay brought back and that have not run, within an hour
    Undo(replay::OneArgs),
    /// Write dead letters as JSON Lines, from which `dead import` reads them back
    Export(files::ExportArgs),
    /// Put the letters of a file back in line, under their old ids
    Import(files::ImportArgs),
    /// Hold dead letters within bounds of age, count and bytes
    Retain(retain::RetainArgs),
    /// Remove dead letters for good
    Purge {
        #[command(flatten)]
        select: DeadSelectArgs,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Which dead letters are meant: ids, or filters.
#[derive(Args, Debug)]
pub(crate) struct DeadSelectArgs {
    #[command(flatten)]
    ids: IdArgs,
    #[command(flatten)]
    filter: DeadFilterArgs,
    #[command(flatten)]
    bulk: BulkArgs,
    #[command(flatten)]
    reason: ReasonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Filters over dead letters.
#[derive(Args, Debug)]
pub(crate) struct DeadFilterArgs {
    /// Buried for this reason: attempts_exhausted, rejected, deadline_exceeded, crash_loop,
    /// unknown_kind, undecodable or operator
    #[arg(long, value_name = "REASON", value_parser = bury_reason, help_heading = "Filters")]
    buried_for: Option<BuryReason>,
    /// Which failed at least so often
    #[arg(
        long,
        value_name = "N",
        help_heading = "Filters",
        allow_hyphen_values = true
    )]
    min_failures: Option<u32>,
    #[command(flatten)]
    filter: FilterArgs,
}

impl DeadFilterArgs {
    fn filter(&self, context: &Context) -> TaskFilter {
        self.filter
            .filter(context, vec![State::Dead], self.buried_for)
    }

    /// The same, as a replay keeps it.
    fn choice(&self, context: &Context) -> Choice {
        Choice {
            min_failures: self.min_failures,
            ..Choice::of(&self.filter(context))
        }
    }

    /// Whether a letter that matches the filter has failed often enough.
    fn is_meant(&self, task: &TaskRecord) -> bool {
        self.min_failures.is_none_or(|least| task.failures >= least)
    }

    fn narrows(&self) -> bool {
        self.buried_for.is_some() || self.min_failures.is_some() || self.filter.narrows()
    }
}

fn bury_reason(text: &str) -> tidemill::Result<BuryReason> {
    let mut all = BuryReason::ALL.into_iter();
    all.find(|reason| reason.as_str() == text).ok_or_else(|| {
        let names: Vec<_> = BuryReason::ALL
            .iter()
            .map(|reason| reason.as_str())
            .collect();
        tidemill::Error::invalid("reason", format!("expected one of {}", names.join(", ")))
    })
}

/// Does it.
pub(crate) async fn run(command: DeadCommand, settings: Settings) -> Result<(), Problem> {
    let mut context = Context::open(settings, Missing::Refuse).await?;
    let context = &mut context;
    match command {
        DeadCommand::List(args) => list::run(&args, context).await,
        DeadCommand::Show { id, output } => list::show(&id, output.format, context).await,
        DeadCommand::Replay(args) => replay::run(&args, context).await,
        DeadCommand::Replays(output) => replay::list(output, context).await,
        DeadCommand::Resume { id, output } => replay::resume(&id, output, context).await,
        DeadCommand::Stop(one) => replay::stop(&one, context).await,
        DeadCommand::Undo(one) => replay::undo(&one, context).await,
        DeadCommand::Export(args) => files::export(&args, context).await,
        DeadCommand::Import(args) => files::import(&args, context).await,
        DeadCommand::Retain(args) => retain::run(&args, context).await,
        DeadCommand::Purge { select, yes } => purge(&select, yes, context).await,
    }
}

async fn purge(select: &DeadSelectArgs, yes: bool, context: &mut Context) -> Result<(), Problem> {
    if select.filter.min_failures.is_some() {
        return Err(Problem::usage("--min-failures does not go with a purge")
            .hint("name the letters by their ids"));
    }
    let ask = |count| match select.bulk.dry_run {
        true => Ok(()),
        false => confirm("remove", count, yes),
    };
    if !select.ids.ids.is_empty() {
        ask(select.ids.ids.len())?;
    } else {
        require_choice(select.filter.narrows(), &select.bulk)?;
        ask(count(context, &select.filter.filter(context)).await?)?;
    }
    change(select, &Change::Delete, "removed", context).await
}

/// Changes the dead letters that are meant, and no other task.
async fn change(
    select: &DeadSelectArgs,
    change: &Change,
    past: &'static str,
    context: &mut Context,
) -> Result<(), Problem> {
    let format = select.output.format;
    if select.ids.ids.is_empty() {
        require_choice(select.filter.narrows(), &select.bulk)?;
        let bulk = BulkChange {
            filter: select.filter.filter(context),
            change: change.clone(),
            past,
            args: &select.bulk,
            reason: &select.reason,
            format,
        };
        return bulk.run(context).await;
    }
    if select.filter.narrows() || select.bulk.all {
        return Err(Problem::usage("ids and filters are given at once").hint("give one of them"));
    }
    for id in &select.ids.ids {
        list::dead_letter(id, context).await?;
    }
    let ids = ChangeIds {
        ids: &select.ids.ids,
        past,
        dry_run: select.bulk.dry_run,
        reason: &select.reason,
        format,
    };
    change_ids(&ids, context, |_| change.clone()).await
}
