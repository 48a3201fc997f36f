//! `tidemill queue`: looking at queues and changing them.

use std::time::Duration;

use clap::{Args, Subcommand};
use tidemill::{QueueName, QueueStats, Removed};

use crate::audit::{self, ReasonArgs};
use crate::clean;
use crate::context::{Context, Missing};
use crate::output::{self, Format, OutputArgs, Rows, counted, or_dash};
use crate::problem::Problem;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::values::When;

/// How many tasks one step of a forced removal takes.
const STEP: usize = 1_000;
/// How often a queue that drains is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What can be done with queues.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// List queues with what they hold
    List(OutputArgs),
    /// Show what queues hold and have done, and how long the oldest task waits
    Stats {
        /// Only these queues
        #[arg(value_name = "NAME")]
        names: Vec<QueueName>,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Stop a queue from yielding tasks; enqueuing goes on
    Pause(OneQueue),
    /// End a pause or a drain
    Resume(OneQueue),
    /// Take nothing new in, while what is there runs out; `resume` ends it
    Drain {
        #[command(flatten)]
        queue: OneQueue,
        /// Wait until nothing waits or runs there any more
        #[arg(long)]
        wait: bool,
    },
    /// Remove an empty queue, or with --force one that holds tasks
    Remove {
        #[command(flatten)]
        queue: OneQueue,
        /// Remove its tasks too, with the keys they hold
        #[arg(long)]
        force: bool,
        /// Show what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Limit how many tasks may wait in a queue
    Limit {
        #[command(flatten)]
        queue: OneQueue,
        /// A number from 1, or `none` to lift the limit
        #[arg(value_name = "N", value_parser = limit, allow_negative_numbers = true)]
        limit: Limit,
    },
    /// Show what a queue did in each minute
    History {
        /// The queue
        #[arg(value_name = "NAME")]
        name: QueueName,
        /// From this instant, or this long ago; 24 hours are kept
        #[arg(long, value_name = "TS", default_value = "1h", value_parser = When::read, allow_hyphen_values = true)]
        since: When,
        #[command(flatten)]
        output: OutputArgs,
    },
}

/// A queue that is changed.
#[derive(Args, Debug)]
pub(crate) struct OneQueue {
    /// The queue
    #[arg(value_name = "NAME")]
    name: QueueName,
    #[command(flatten)]
    reason: ReasonArgs,
}

/// A limit, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit(Option<u64>);

fn limit(text: &str) -> tidemill::Result<Limit> {
    match (text, text.parse()) {
        ("none", _) => Ok(Limit(None)),
        (_, Ok(number)) if number > 0 => Ok(Limit(Some(number))),
        _ => Err(tidemill::Error::invalid(
            "limit",
            "expected a number from 1, or none",
        )),
    }
}

/// Does it.
pub(crate) async fn run(command: QueueCommand, settings: Settings) -> Result<(), Problem> {
    let mut context = Context::open(settings, Missing::Refuse).await?;
    let context = &mut context;
    match command {
        QueueCommand::List(output) => list(output.format, context).await?,
        QueueCommand::Stats { names, output } => stats(&names, output.format, context).await?,
        QueueCommand::Pause(queue) => {
            warn_of_new(context, &queue.name, "paused").await?;
            context
                .inspect()?
                .pause(&queue.name, queue.reason.text())
                .await?;
            done(context, &queue, "paused").await?;
        }
        QueueCommand::Resume(queue) => {
            known(&queue.name, context).await?;
            context.inspect()?.resume(&queue.name).await?;
            if stats_of(&queue.name, context).await?.limit == Some(0) {
                context.inspect()?.set_limit(&queue.name, None).await?;
            }
            done(context, &queue, "resumed").await?;
        }
        QueueCommand::Drain { queue, wait } => {
            known(&queue.name, context).await?;
            context.inspect()?.set_limit(&queue.name, Some(0)).await?;
            done(context, &queue, "takes nothing new in").await?;
            if wait {
                drained(&queue.name, context).await?;
            }
        }
        QueueCommand::Remove {
            queue,
            force,
            dry_run,
        } => remove(&queue, force, dry_run, context).await?,
        QueueCommand::Limit { queue, limit } => {
            warn_of_new(context, &queue.name, "with this limit").await?;
            context.inspect()?.set_limit(&queue.name, limit.0).await?;
            let past = limit.0.map_or("unlimited".to_owned(), |n| {
                format!("limited to {}", counted(n, "task"))
            });
            done(context, &queue, &past).await?;
        }
        QueueCommand::History {
            name,
            since,
            output,
        } => history(&name, since, output.format, context).await?,
    }
    context.out.flush()
}

/// A change makes a queue that is not there yet; its name may be mistyped.
async fn warn_of_new(context: &Context, name: &QueueName, how: &str) -> Result<(), Problem> {
    if !context.inspect()?.queues().await?.contains(name) {
        output::warn(&format!("queue {name} did not exist; it is created {how}"));
    }
    Ok(())
}

/// Refuses a queue that is not there.
async fn known(name: &QueueName, context: &Context) -> Result<(), Problem> {
    match context.inspect()?.queues().await?.contains(name) {
        true => Ok(()),
        false => Err(Problem::failed(format!("there is no queue {name}"))
            .hint("`tidemill queue list` shows what is there")),
    }
}

async fn stats_of(name: &QueueName, context: &Context) -> Result<QueueStats, Problem> {
    let stats = context.broker().stats(std::slice::from_ref(name)).await?;
    let gone = || Problem::failed(format!("there is no queue {name} any more"));
    stats.into_iter().next().ok_or_else(gone)
}

/// Waits until nothing waits or runs in a queue, and tells people how far it has come.
async fn drained(name: &QueueName, context: &mut Context) -> Result<(), Problem> {
    context.out.flush()?;
    let progress = Progress::of(format!("draining queue {name}"));
    loop {
        let now = stats_of(name, context).await?;
        let left = now.scheduled + now.pending + now.active + now.retry;
        if left == 0 {
            drop(progress);
            return context.out.line(&format!("queue {name} is empty"));
        }
        progress.tell(&format!("{} left", counted(left, "task")));
        let next = context.clock().now() + LOOK;
        context.clock().sleep_until(next).await;
    }
}

async fn done(context: &mut Context, queue: &OneQueue, past: &str) -> Result<(), Problem> {
    let subject = format!("queue {}", queue.name);
    audit::keep(context, past, &subject, &queue.reason).await;
    context.out.line(&format!("queue {} {past}", queue.name))
}

async fn list(format: Format, context: &mut Context) -> Result<(), Problem> {
    let mut rows = Rows::new(&[
        "QUEUE",
        "PENDING",
        "ACTIVE",
        "SCHEDULED",
        "RETRY",
        "DEAD",
        "LIMIT",
        "STATE",
    ]);
    for queue in context.broker().stats(&[]).await? {
        if format == Format::Json {
            context.out.json(&queue)?;
            continue;
        }
        rows.add([
            queue.queue.to_string(),
            queue.pending.to_string(),
            queue.active.to_string(),
            queue.scheduled.to_string(),
            queue.retry.to_string(),
            queue.dead.to_string(),
            or_dash(queue.limit),
            state(&queue),
        ]);
    }
    if format == Format::Table {
        context.out.table(&rows)?;
    }
    Ok(())
}

fn state(queue: &QueueStats) -> String {
    match (&queue.pause_reason, queue.paused) {
        (_, false) if queue.limit == Some(0) => "draining".into(),
        (_, false) => "running".into(),
        (None, true) => "paused".into(),
        (Some(reason), true) => format!("paused: {reason}"),
    }
}

async fn stats(names: &[QueueName], format: Format, context: &mut Context) -> Result<(), Problem> {
    let now = context.clock().now();
    for queue in context.broker().stats(names).await? {
        if format == Format::Json {
            context.out.json(&queue)?;
            continue;
        }
        let oldest = queue
            .oldest_pending_at
            .map(|at| format!("{:.1} s", now.since(at).as_secs_f64()));
        context.out.line(&format!("queue        {}", queue.queue))?;
        for (name, value) in [
            ("state", state(&queue)),
            ("pending", queue.pending.to_string()),
            ("oldest", or_dash(oldest)),
            ("active", queue.active.to_string()),
            ("scheduled", queue.scheduled.to_string()),
            ("retry", queue.retry.to_string()),
            ("dead", queue.dead.to_string()),
            ("completed", format!("{} kept", queue.completed)),
            ("cancelled", format!("{} kept", queue.cancelled)),
            ("limit", or_dash(queue.limit)),
            ("enqueued", format!("{} ever", queue.enqueued_total)),
            ("succeeded", format!("{} runs ever", queue.succeeded_total)),
            ("failed", format!("{} runs ever", queue.failed_total)),
        ] {
            context
                .out
                .line(&format!("  {name:<11}{}", clean::line(&value)))?;
        }
    }
    Ok(())
}

async fn remove(
    queue: &OneQueue,
    force: bool,
    dry_run: bool,
    context: &mut Context,
) -> Result<(), Problem> {
    let name = &queue.name;
    if dry_run {
        let stats = context.broker().stats(std::slice::from_ref(name)).await?;
        let held: u64 = stats.iter().map(held).sum();
        return context.out.line(&format!(
            "queue {name} with {} would be removed (dry run)",
            counted(held, "task")
        ));
    }
    let mut before = None;
    loop {
        match context.inspect()?.remove_queue(name, force, STEP).await? {
            Removed::Done => return done(context, queue, "removed").await,
            Removed::NotFound => return Err(Problem::failed(format!("there is no queue {name}"))),
            // Each step of a forced removal takes some; when it takes none, the rest is running.
            Removed::Holds(left) if force && before.is_none_or(|before| left < before) => {
                before = Some(left);
            }
            Removed::Holds(left) => {
                let problem = Problem::failed(format!(
                    "queue {name} still holds {}",
                    counted(left, "task")
                ));
                return Err(if force {
                    problem.hint("they are running; cancel them, or try again when they have ended")
                } else {
                    problem.hint("add --force to remove them too, with the keys they hold")
                });
            }
        }
    }
}

const fn held(queue: &QueueStats) -> u64 {
    queue.scheduled
        + queue.pending
        + queue.active
        + queue.retry
        + queue.completed
        + queue.dead
        + queue.cancelled
}

async fn history(
    name: &QueueName,
    since: When,
    format: Format,
    context: &mut Context,
) -> Result<(), Problem> {
    let since = since.instant(context.clock());
    let mut rows = Rows::new(&["MINUTE", "ENQUEUED", "SUCCEEDED", "FAILED"]);
    for point in context.inspect()?.history(name, since).await? {
        match format {
            Format::Json => context.out.json(&point)?,
            Format::Table => rows.add([
                point.minute.to_string(),
                point.enqueued.to_string(),
                point.succeeded.to_string(),
                point.failed.to_string(),
            ]),
        }
    }
    if format == Format::Table {
        context.out.table(&rows)?;
    }
    Ok(())
}
