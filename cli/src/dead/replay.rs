//! `tidemill dead replay`, and what follows it: `replays`, `resume`, `undo`.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Write};

use clap::Args;
use serde_json::Value;
use tidemill::{Change, ErrorKind, NoteName, QueueName, check_json};
use tidemill_control::{How, ReplayBatch, ReplayOrder, ReplayStatus};

use super::desk::Desk;

use super::{DeadSelectArgs, change};
use crate::audit;
use crate::context::Context;
use crate::output::{self, Format, OutputArgs, Rows, counted, instant, or_dash};
use crate::problem::Problem;
use crate::progress::Progress;
use crate::selection::require_choice;
use crate::signals::{Signals, Stop};
use crate::values;

/// How long a resumption waits for another process to be given up.
const GIVEN_UP: std::time::Duration = std::time::Duration::from_secs(7);

/// Which dead letters come back, and how.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tidemill dead replay --error 'connection refused' --dry-run
  tidemill dead replay --error 'connection refused' --rate 50/s --reset-attempts --reason 'relay is back'
  tidemill dead replay ID --edit '{\"to\":\"ada@example.com\"}' --to-queue repair")]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    select: DeadSelectArgs,
    /// Count failures and crashes from zero again; otherwise each gets one more run
    #[arg(long)]
    reset_attempts: bool,
    /// Apply this JSON merge patch (RFC 7396) to the payload
    #[arg(long, value_name = "JSON")]
    edit: Option<String>,
    /// Into this queue instead of its own
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    to_queue: Option<QueueName>,
    /// Not before this long from now
    #[arg(long = "in", value_name = "DUR", value_parser = values::duration, allow_hyphen_values = true)]
    delay: Option<std::time::Duration>,
}

/// A replay that is there, and why it is changed.
#[derive(Args, Debug)]
pub(crate) struct OneArgs {
    /// The replay's id
    #[arg(value_name = "ID")]
    id: NoteName,
    #[command(flatten)]
    reason: audit::ReasonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl OneArgs {
    /// Who can change it; an error when there is no such replay.
    async fn desk(&self, context: &Context) -> Result<Desk, Problem> {
        let replays = Desk::of(context);
        known(&replays, &self.id).await?;
        Ok(replays)
    }
}

pub(super) async fn run(args: &ReplayArgs, context: &mut Context) -> Result<(), Problem> {
    let how = How {
        to_queue: args.to_queue.clone(),
        reset_attempts: args.reset_attempts,
        edit: args.edit.as_deref().map(patch).transpose()?,
        at: args.delay.map(|delay| context.clock().now() + delay),
    };
    let select = &args.select;
    if !select.ids.ids.is_empty() {
        if select.bulk.rate.is_some() || select.bulk.limit.is_some() {
            return Err(Problem::usage(
                "--rate and --limit go with filters, not with ids",
            ));
        }
        return change(select, &Change::Replay(how.replay()), "replayed", context).await;
    }
    require_choice(select.filter.narrows(), &select.bulk)?;
    let order = ReplayOrder {
        filter: select.filter.choice(context),
        how,
        rate: select.bulk.rate,
        limit: select.bulk.limit,
        reason: select.reason.text().map(str::to_owned),
        by: context.settings.actor.clone(),
    };
    let replays = Desk::of(context);
    if select.bulk.dry_run {
        return plan(&replays, &order, select.output.format, context).await;
    }
    let details = Some(order.details());
    let batch = replays.start(order).await?;
    let (action, subject) = ("start_replay", batch.id.as_str());
    audit::keep_with(context, action, subject, details, &select.reason).await;
    go(&replays, &batch.id, select.output.format, context).await
}

fn patch(text: &str) -> Result<Value, Problem> {
    check_json(text.as_bytes()).map_err(|e| Problem::from(e).during("--edit is wrong"))?;
    serde_json::from_str(text).map_err(|e| Problem::usage("--edit is not JSON").because(e))
}

/// Shows what a replay would do.
async fn plan(
    replays: &Desk,
    order: &ReplayOrder,
    format: Format,
    context: &mut Context,
) -> Result<(), Problem> {
    let plan = replays.plan(order).await?;
    if format == Format::Json {
        context.out.json(&plan)?;
        return context.out.flush();
    }
    let mut rows = Rows::new(&["ID", "KIND", "QUEUE", "ERROR"]);
    for letter in &plan.sample {
        rows.add([
            letter.id.to_string(),
            letter.kind.to_string(),
            letter.queue.to_string(),
            letter.error.clone().unwrap_or_default(),
        ]);
    }
    if !rows.is_empty() {
        context.out.table(&rows)?;
    }
    for (kind, count) in &plan.kinds {
        context.out.line(&format!("{count} of kind {kind}"))?;
    }
    let count = usize::try_from(plan.count).unwrap_or(usize::MAX);
    let tasks = counted(count, "task");
    context
        .out
        .line(&format!("{tasks} would be replayed (dry run)"))?;
    context.out.flush()
}

/// Runs a replay to its end. A signal ends it after the part that is under way.
async fn go(
    replays: &Desk,
    id: &NoteName,
    format: Format,
    context: &mut Context,
) -> Result<(), Problem> {
    let signals = Signals::listen()?;
    let stop = Stop::default();
    let progress = Progress::of("replaying");
    let is_told = Cell::new(false);
    let work = async {
        let all = match progress.is_watched() {
            true => Some(all_meant(replays, id).await?),
            false => None,
        };
        let tell = |batch: &ReplayBatch| {
            let done = batch.progress.replayed + batch.progress.refused;
            match &batch.waiting {
                Some(what) => {
                    progress.tell(&format!("{done} done; {what}"));
                    if !progress.is_watched() && !is_told.replace(true) {
                        output::warn(&format!("the replay waits: {what}"));
                    }
                }
                None => progress.count(done, all),
            }
        };
        Ok(replays.run(id, &stop.well, tell).await?)
    };
    let how_to_go_on = match context.remote.is_some() {
        true => format!(
            "the service goes on with it; `tidemill dead resume {id}` watches it, `dead stop {id}` stops it"
        ),
        false => format!("`tidemill dead resume {id}` goes on; nothing comes back twice"),
    };
    let batch = signals.guard(&stop, work).await;
    drop(progress);
    let batch = batch.map_err(|problem| problem.hint(how_to_go_on.clone()))?;
    if batch.finished_at.is_none() {
        // A service that starts would go on with it otherwise.
        if context.remote.is_none() {
            replays.stop(id).await?;
        }
        let count = batch.progress.replayed;
        return Err(Problem::failed(format!("stopped after {count}")).hint(how_to_go_on));
    }
    let (changed, refused) = (batch.progress.replayed, batch.progress.refused);
    match format {
        Format::Json => {
            let answer = serde_json::json!({
                "changed": changed, "refused": refused, "refusals": batch.refusals, "replay": batch.id,
            });
            context.out.json(&answer)?;
        }
        Format::Table => {
            let count = usize::try_from(changed).unwrap_or(usize::MAX);
            let mut line = format!("{} replayed", counted(count, "task"));
            if refused > 0 {
                line.push_str(&format!(
                    "; {refused} could not be: {}",
                    whys(&batch.refusals)
                ));
            }
            context.out.line(&line)?;
            let note = format!("`tidemill dead undo {id}` takes back those that have not run\n");
            io::stderr().write_all(note.as_bytes()).ok();
        }
    }
    context.out.flush()?;
    if changed == 0 && refused > 0 {
        let letters = counted(
            usize::try_from(refused).unwrap_or(usize::MAX),
            "dead letter",
        );
        let what = format!("none of {letters} came back: {}", whys(&batch.refusals));
        return Err(Problem::failed(what));
    }
    Ok(())
}

/// Why letters could not come back, in words.
fn whys(refusals: &BTreeMap<String, u64>) -> String {
    let words = |why: &str| match why {
        "key_taken" => "another task holds the key",
        "edit_does_not_fit" => "the edit does not fit the payload",
        "queue_drained" => "the queue takes nothing in while it is drained",
        _ => "it is no dead letter any more",
    };
    let parts = refusals.iter().map(|(why, count)| match refusals.len() {
        1 => words(why).to_owned(),
        _ => format!("{count} because {}", words(why)),
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// How many letters a replay means: those that are back, and those that still match.
async fn all_meant(replays: &Desk, id: &NoteName) -> Result<u64, Problem> {
    let batch = known(replays, id).await?;
    let plan = replays.plan(&batch.order).await?;
    Ok(plan.count + batch.progress.replayed + batch.progress.refused)
}

/// Lists replays, newest first.
pub(super) async fn list(output: OutputArgs, context: &mut Context) -> Result<(), Problem> {
    let replays = Desk::of(context);
    let mut rows = Rows::new(&[
        "ID", "STATUS", "REPLAYED", "REFUSED", "STARTED", "FINISHED", "BY",
    ]);
    for batch in replays.list(100).await? {
        match output.format {
            Format::Json => context.out.json(&batch)?,
            Format::Table => rows.add([
                batch.id.to_string(),
                status(&batch),
                batch.progress.replayed.to_string(),
                batch.progress.refused.to_string(),
                instant(batch.started_at),
                or_dash(batch.finished_at.map(instant)),
                batch.order.by.clone(),
            ]),
        }
    }
    if output.format == Format::Table {
        context.out.table(&rows)?;
    }
    context.out.flush()
}

fn status(batch: &ReplayBatch) -> String {
    let shown = serde_json::to_value(batch.status).unwrap_or_default();
    shown.as_str().unwrap_or_default().to_owned()
}

/// Goes on with a replay that was cut off, once nobody else is at it.
pub(super) async fn resume(
    id: &NoteName,
    output: OutputArgs,
    context: &mut Context,
) -> Result<(), Problem> {
    let replays = Desk::of(context);
    match known(&replays, id).await?.status {
        ReplayStatus::Running | ReplayStatus::Stopped => replays.resume(id).await?,
        ReplayStatus::Done => {}
        ReplayStatus::Undone => {
            return Err(Problem::failed(format!("the replay {id} was undone")));
        }
    }
    // Whoever was killed at it is given up after 5 seconds.
    let until = context.clock().now() + GIVEN_UP;
    loop {
        match replays.is_held(id).await? {
            true if context.clock().now() < until => {
                let next = context.clock().now() + std::time::Duration::from_millis(200);
                context.clock().sleep_until(next).await;
            }
            _ => return go(&replays, id, output.format, context).await,
        }
    }
}

async fn known(replays: &Desk, id: &NoteName) -> Result<ReplayBatch, Problem> {
    let found = replays.get(id).await?;
    found.ok_or_else(|| {
        Problem::failed(format!("there is no replay {id}"))
            .hint("`tidemill dead replays` shows those of the last 7 days")
    })
}

/// Stops a replay, wherever it runs.
pub(super) async fn stop(one: &OneArgs, context: &mut Context) -> Result<(), Problem> {
    let (replays, id) = (one.desk(context).await?, &one.id);
    let batch = replays.stop(id).await?;
    audit::keep(context, "stop_replay", id.as_str(), &one.reason).await;
    match one.output.format {
        Format::Json => context.out.json(&batch)?,
        Format::Table => {
            let count = usize::try_from(batch.progress.replayed).unwrap_or(usize::MAX);
            let line = format!("{id}: {} after {}", status(&batch), counted(count, "task"));
            context.out.line(&line)?;
        }
    }
    context.out.flush()
}

/// Makes dead letters again of those that have not run.
pub(super) async fn undo(one: &OneArgs, context: &mut Context) -> Result<(), Problem> {
    let (replays, id) = (Desk::of(context), &one.id);
    let batch = known(&replays, id).await?;
    let was_undone =
        Some(batch.taken_back.unwrap_or_default()).filter(|_| batch.status == ReplayStatus::Undone);
    let outcome = replays.undo(id).await.map_err(|error| {
        let busy = error.kind() == ErrorKind::Conflict;
        let problem = Problem::from(error);
        match busy {
            true => problem.hint(format!(
                "`tidemill dead stop {id}` stops it; then try again"
            )),
            false => problem,
        }
    })?;
    audit::keep(context, "undo_replay", id.as_str(), &one.reason).await;
    if let Some(stays) = &outcome.stays {
        output::warn(stays);
    }
    match one.output.format {
        Format::Json => context.out.json(&outcome)?,
        Format::Table => {
            let mut line = format!(
                "{} taken back; {} had run",
                outcome.taken_back, outcome.left
            );
            if outcome.already > 0 {
                line.push_str(&format!("; {} were dead letters already", outcome.already));
            }
            if let Some(count) = was_undone {
                line = format!("the replay was undone already: {count} were taken back then");
            }
            context.out.line(&line)?;
        }
    }
    context.out.flush()
}
