//! `tidemill dead`: dead letters, and how they come back.

mod list;
mod replay;

use clap::{Args, Subcommand};
use tidemill::{BuryReason, Change, State, TaskFilter, TaskId};

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
    #[command(flatten)]
    filter: FilterArgs,
}

impl DeadFilterArgs {
    fn filter(&self, context: &Context) -> TaskFilter {
        self.filter
            .filter(context, vec![State::Dead], self.buried_for)
    }

    fn narrows(&self) -> bool {
        self.buried_for.is_some() || self.filter.narrows()
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
        DeadCommand::Purge { select, yes } => purge(&select, yes, context).await,
    }
}

async fn purge(select: &DeadSelectArgs, yes: bool, context: &mut Context) -> Result<(), Problem> {
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
