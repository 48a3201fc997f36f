//! Which tasks are meant, and one change for all of them.

use std::io::{self, IsTerminal, Write};

use clap::Args;
use tidemill::{
    BuryReason, Change, ErrorPattern, Key, Kind, QueueName, ScheduleId, State, TaskFilter, TaskId,
    TaskRecord, TaskView,
};

use crate::audit::{self, ReasonArgs};
use crate::clean;
use crate::context::Context;
use crate::output::{Format, Rows, counted, instant};
use crate::problem::Problem;
use crate::progress::Progress;
use crate::values::{self, When, rate};

/// How many tasks one step changes.
const STEP: usize = 250;
/// The same of one request, which ends after a few seconds by itself.
const REMOTE_STEP: usize = 10_000;

/// Filters that every listing and bulk change of tasks takes. All that are given must match.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Filters")]
pub(crate) struct FilterArgs {
    /// In this queue
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) queue: Option<QueueName>,
    /// Of this kind
    #[arg(long, value_name = "KIND", allow_hyphen_values = true)]
    pub(crate) kind: Option<Kind>,
    /// With this uniqueness key
    #[arg(long, value_name = "KEY", value_parser = values::key)]
    pub(crate) key: Option<Key>,
    /// Of this schedule
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub(crate) schedule: Option<ScheduleId>,
    /// Enqueued at or after this instant or date (midnight in UTC), or at most this long ago (15m)
    #[arg(long, value_name = "TS", value_parser = When::read, allow_hyphen_values = true)]
    pub(crate) since: Option<When>,
    /// Enqueued before this instant, or longer ago than this
    #[arg(long, value_name = "TS", value_parser = When::read, allow_hyphen_values = true)]
    pub(crate) until: Option<When>,
    /// Ended (completed, buried or cancelled) at or after this instant, or at most this long ago
    #[arg(long, value_name = "TS", value_parser = When::read, allow_hyphen_values = true)]
    pub(crate) ended_since: Option<When>,
    /// Ended before this instant, or longer ago than this
    #[arg(long, value_name = "TS", value_parser = When::read, allow_hyphen_values = true)]
    pub(crate) ended_until: Option<When>,
    /// Whose last failure, as it is shown, matches this regular expression; case does not count
    #[arg(long, value_name = "PATTERN")]
    pub(crate) error: Option<ErrorPattern>,
}

impl FilterArgs {
    /// The filter, over these states and this reason of burial.
    pub(crate) fn filter(
        &self,
        context: &Context,
        states: Vec<State>,
        reason: Option<BuryReason>,
    ) -> TaskFilter {
        TaskFilter {
            states,
            queue: self.queue.clone(),
            kind: self.kind.clone(),
            key: self.key.clone(),
            schedule: self.schedule.clone(),
            since: self.since.map(|when| when.instant(context.clock())),
            until: self.until.map(|when| when.instant(context.clock())),
            error: self.error.clone(),
            reason,
            ended_since: self.ended_since.map(|when| when.instant(context.clock())),
            ended_until: self.ended_until.map(|when| when.instant(context.clock())),
        }
    }

    /// Whether any filter is given.
    pub(crate) fn narrows(&self) -> bool {
        self.queue.is_some()
            || self.kind.is_some()
            || self.key.is_some()
            || self.schedule.is_some()
            || self.since.is_some()
            || self.until.is_some()
            || self.ended_since.is_some()
            || self.ended_until.is_some()
            || self.error.is_some()
    }
}

/// How a change of many tasks goes about it.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Bulk changes")]
pub(crate) struct BulkArgs {
    /// Every task, when no filter is given
    #[arg(long)]
    pub(crate) all: bool,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Change at most this many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), allow_hyphen_values = true)]
    pub(crate) limit: Option<u64>,
    /// Change at most this many in a second, such as 50/s
    #[arg(long, value_name = "N/s", value_parser = rate, allow_hyphen_values = true)]
    pub(crate) rate: Option<u32>,
}

/// A change of many tasks.
#[derive(Debug)]
pub(crate) struct BulkChange<'a> {
    pub(crate) filter: TaskFilter,
    pub(crate) change: Change,
    /// What happens, as in "12 tasks cancelled".
    pub(crate) past: &'static str,
    pub(crate) args: &'a BulkArgs,
    pub(crate) reason: &'a ReasonArgs,
    pub(crate) format: Format,
}

impl BulkChange<'_> {
    fn limit(&self) -> usize {
        let limit = self.args.limit.unwrap_or(u64::MAX);
        usize::try_from(limit).unwrap_or(usize::MAX)
    }

    /// Does it, or shows what it would do.
    pub(crate) async fn run(&self, context: &mut Context) -> Result<(), Problem> {
        if self.args.dry_run {
            return self.show(context).await;
        }
        let (mut changed, mut refused) = (0, 0);
        let mut cursor = None;
        let progress = Progress::of(self.past);
        let here = tidemill_control::BulkChange {
            filter: self.filter.clone(),
            change: self.change.clone(),
            past: self.past,
            by: clean::line(&context.settings.actor).into_owned(),
            reason: self.reason.text().map(str::to_owned),
        };
        loop {
            let most = match context.remote {
                Some(_) => REMOTE_STEP,
                None => STEP,
            };
            let budget = self.budget(changed + refused, most);
            if budget == 0 {
                break;
            }
            // Through an API the reason goes with the request.
            let step = match context.remote {
                Some(_) => {
                    let inspect = context.inspect()?;
                    let step = inspect.change_many(&self.filter, &self.change, cursor, budget);
                    step.await?
                }
                None => here.step(&context.connection, cursor, budget).await?,
            };
            changed += step.changed;
            refused += step.refused;
            progress.tell(&counted(changed, "task"));
            cursor = step.next;
            if cursor.is_none() {
                break;
            }
            self.pace(context, step.changed).await;
        }
        drop(progress);
        audit::keep(context, self.past, &counted(changed, "task"), self.reason).await;
        match self.format {
            Format::Json => {
                let answer = serde_json::json!({ "changed": changed, "refused": refused });
                context.out.json(&answer)?;
            }
            Format::Table => {
                let mut line = format!("{} {}", counted(changed, "task"), self.past);
                if refused > 0 {
                    line.push_str(&format!(
                        "; {refused} could not be, in the state they are in"
                    ));
                }
                context.out.line(&line)?;
            }
        }
        context.out.flush()
    }

    fn budget(&self, done: usize, most: usize) -> usize {
        let left = self.limit().saturating_sub(done).min(most);
        match self.args.rate {
            // A tenth of a second's worth at a time keeps the rate even.
            Some(rate) => left.min(usize::try_from(rate / 10).unwrap_or(most).max(1)),
            None => left,
        }
    }

    async fn pace(&self, context: &Context, changed: usize) {
        if let Some(rate) = self.args.rate {
            let changed = u32::try_from(changed).unwrap_or(u32::MAX);
            let pause = std::time::Duration::from_secs(1) * changed / rate;
            let until = context.clock().now() + pause;
            context.clock().sleep_until(until).await;
        }
    }

    async fn show(&self, context: &mut Context) -> Result<(), Problem> {
        let mut rows = Rows::new(&["ID", "KIND", "QUEUE", "STATE", "ENQUEUED", "ERROR"]);
        let (mut cursor, mut count) = (None, 0);
        loop {
            let budget = self.limit().saturating_sub(count).min(1_000);
            if budget == 0 {
                break;
            }
            let page = context
                .inspect()?
                .list(&self.filter, cursor, budget)
                .await?;
            count += page.items.len();
            for task in &page.items {
                match self.format {
                    Format::Json => context.out.json(&TaskView::from(task))?,
                    Format::Table => rows.add(brief(task)),
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let summary = format!(
            "{} would be {} (dry run)",
            counted(count, "task"),
            self.past
        );
        match self.format {
            // Standard output holds the tasks alone, so that it stays JSON Lines.
            Format::Json => {
                io::stderr()
                    .write_all(format!("{summary}\n").as_bytes())
                    .ok();
            }
            Format::Table => {
                if !rows.is_empty() {
                    context.out.table(&rows)?;
                }
                context.out.line(&summary)?;
            }
        }
        context.out.flush()
    }
}

fn brief(task: &TaskRecord) -> [String; 6] {
    [
        task.envelope.id.to_string(),
        task.envelope.kind.to_string(),
        task.envelope.queue.to_string(),
        task.state.to_string(),
        instant(task.envelope.enqueued_at),
        task.error
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
    ]
}

/// How many tasks match.
pub(crate) async fn count(context: &Context, filter: &TaskFilter) -> Result<usize, Problem> {
    let (mut cursor, mut count) = (None, 0);
    loop {
        let page = context.inspect()?.list(filter, cursor, 1_000).await?;
        count += page.items.len();
        cursor = page.next;
        if cursor.is_none() {
            return Ok(count);
        }
    }
}

/// Refuses a bulk change that names neither filter nor `--all`.
pub(crate) fn require_choice(narrowed: bool, bulk: &BulkArgs) -> Result<(), Problem> {
    if narrowed || bulk.all {
        return Ok(());
    }
    Err(Problem::usage("nothing says which tasks are meant")
        .hint("give ids, or filters such as --queue, --kind and --error, or --all"))
}

/// Asks for what cannot be undone: `--yes`, or the count typed at a terminal.
pub(crate) fn confirm(doing: &str, count: usize, yes: bool) -> Result<(), Problem> {
    if yes || count == 0 {
        return Ok(());
    }
    let tasks = counted(count, "task");
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(
            Problem::usage(format!("this would {doing} {tasks} for good"))
                .hint("add --yes to do it, or --dry-run to see them first"),
        );
    }
    let question = format!("This will {doing} {tasks} for good. Type {count} to go on: ");
    io::stderr().write_all(question.as_bytes()).ok();
    let mut answer = String::new();
    stdin
        .read_line(&mut answer)
        .map_err(|e| Problem::failed("the answer cannot be read").because(e))?;
    if answer.trim() == count.to_string() {
        return Ok(());
    }
    Err(Problem::failed("not confirmed; nothing has changed"))
}

/// The ids that a command names.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct IdArgs {
    /// Ids of tasks
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<TaskId>,
}
