//! `tidemill dead retain`: holds dead letters within bounds. What goes is counted, and may be written
//! to a file before it goes.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tidemill::{Change, Changed, State, TaskFilter, TaskId, TaskRecord};

use super::files;
use crate::audit::{self, ReasonArgs};
use crate::context::Context;
use crate::output::{Format, OutputArgs, counted};
use crate::problem::Problem;
use crate::values;

/// The bounds. At least one is given; a letter goes when it is beyond any of them.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tidemill dead retain --max-age 30d --max-count 100000 --export letters.jsonl
  tidemill dead retain --max-bytes 1000000000 --dry-run")]
#[group(id = "bounds", required = true, multiple = true, args = ["max_age", "max_count", "max_bytes"])]
pub(crate) struct RetainArgs {
    /// Buried at most this long ago
    #[arg(long, value_name = "DUR", value_parser = values::duration, allow_hyphen_values = true)]
    max_age: Option<Duration>,
    /// The newest so many
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    max_count: Option<u64>,
    /// The newest whose payloads have so many bytes together
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    max_bytes: Option<u64>,
    /// Write what goes into this new file first
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Count what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    reason: ReasonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: &RetainArgs, context: &mut Context) -> Result<(), Problem> {
    let (kept, beyond) = sort(args, context).await?;
    if let (Some(path), false) = (&args.export, args.dry_run) {
        let mut export = files::create(path)?;
        for id in &beyond {
            if let Some(task) = context.inspect()?.get(id).await? {
                export.add(&task, context).await?;
            }
        }
        files::keep(export.finish()?)?;
    }
    let mut removed = 0;
    for id in beyond.iter().filter(|_| !args.dry_run) {
        // One that was replayed meanwhile is no dead letter, and stays.
        let changed = context.inspect()?.change(id, &Change::Purge).await?;
        removed += usize::from(matches!(changed, Changed::Done { .. }));
    }
    if removed > 0 {
        let subject = counted(removed, "dead letter");
        audit::keep(context, "retain_dead", &subject, &args.reason).await;
    }
    let count = if args.dry_run { beyond.len() } else { removed };
    match args.output.format {
        Format::Json => context.out.json(
            &serde_json::json!({ "removed": count, "kept": kept, "dry_run": args.dry_run }),
        )?,
        Format::Table => {
            let would = if args.dry_run {
                "would be removed"
            } else {
                "removed"
            };
            let letters = counted(count, "dead letter");
            context
                .out
                .line(&format!("{letters} {would}; {kept} stay"))?;
        }
    }
    context.out.flush()
}

/// How many stay, and which go: the list goes from the newest to the oldest.
async fn sort(args: &RetainArgs, context: &Context) -> Result<(u64, Vec<TaskId>), Problem> {
    let filter = TaskFilter {
        states: vec![State::Dead],
        ..TaskFilter::default()
    };
    let oldest = args.max_age.map(|age| context.clock().now() - age);
    let is_old = |task: &TaskRecord| match (oldest, task.finished_at) {
        (Some(oldest), Some(at)) => at < oldest,
        _ => false,
    };
    let (mut kept, mut bytes, mut beyond, mut cursor) = (0, 0, Vec::new(), None);
    loop {
        let page = context.inspect()?.list(&filter, cursor, 1_000).await?;
        for task in page.items {
            let size = task.envelope.payload.as_bytes().len() as u64;
            let fits = args.max_count.is_none_or(|most| kept < most)
                && args.max_bytes.is_none_or(|most| bytes + size <= most);
            if fits && !is_old(&task) {
                kept += 1;
                bytes += size;
            } else {
                beyond.push(task.envelope.id);
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok((kept, beyond));
        }
    }
}
