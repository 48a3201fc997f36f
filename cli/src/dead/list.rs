//! Looking at dead letters.

use clap::Args;
use tidemill::{State, TaskId, TaskRecord, TaskView};

use super::DeadFilterArgs;
use crate::context::Context;
use crate::output::{Format, OutputArgs, Rows, instant, or_dash};
use crate::problem::Problem;
use crate::task::{PageArgs, describe, failed};

const COLUMNS: [&str; 8] = [
    "ID", "KIND", "QUEUE", "REASON", "ATTEMPT", "FAILED", "BURIED", "ERROR",
];

/// Which dead letters, and how many.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filter: DeadFilterArgs,
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: &ListArgs, context: &mut Context) -> Result<(), Problem> {
    let filter = args.filter.filter(context);
    let mut cursor = args.page.start();
    loop {
        let page = args.page.read(context, &filter, cursor).await?;
        let mut rows = Rows::new(&COLUMNS);
        let meant = |task: &&TaskRecord| args.filter.is_meant(task);
        for task in page.items.iter().filter(meant) {
            match args.output.format {
                Format::Table => rows.add(row(task)),
                Format::Json => {
                    let attempts = context.inspect()?.attempts(&task.envelope.id).await?;
                    let view = TaskView::from(task).with_failures(&attempts);
                    context.out.json(&view)?;
                }
            }
        }
        context.out.page(args.output.format, &rows, cursor)?;
        cursor = args.page.follow(page.next);
        if cursor.is_none() {
            return Ok(());
        }
    }
}

fn row(task: &TaskRecord) -> [String; 8] {
    [
        task.envelope.id.to_string(),
        task.envelope.kind.to_string(),
        task.envelope.queue.to_string(),
        or_dash(task.bury_reason),
        task.attempt.to_string(),
        failed(task),
        or_dash(task.finished_at.map(instant)),
        task.error
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
    ]
}

pub(super) async fn show(
    id: &TaskId,
    format: Format,
    context: &mut Context,
) -> Result<(), Problem> {
    let task = dead_letter(id, context).await?;
    let attempts = context.inspect()?.attempts(id).await?;
    match format {
        Format::Table => describe(&task, &attempts, &mut context.out)?,
        Format::Json => {
            let view = TaskView::from(&task)
                .with_failures(&attempts)
                .with_attempts(&attempts);
            context.out.json(&view)?;
        }
    }
    context.out.flush()
}

/// A task that has to be a dead letter.
pub(super) async fn dead_letter(id: &TaskId, context: &Context) -> Result<TaskRecord, Problem> {
    match context.inspect()?.get(id).await? {
        Some(task) if task.state == State::Dead => Ok(task),
        Some(task) => Err(Problem::failed(format!(
            "task {id} is {}, not a dead letter",
            task.state
        ))
        .hint("see `tidemill task get`; `tidemill task retry` puts other tasks back in line")),
        None => Err(Problem::failed(format!("there is no task {id}"))
            .hint("`tidemill dead list` shows what is there")),
    }
}
