//! `tidemill task list`.

use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use tidemill::{Cursor, Page, State, TaskFilter, TaskRecord, TaskView, fill_page};
use tokio::time::Instant;

use crate::context::Context;
use crate::output::{Format, OutputArgs, Rows, instant, span};
use crate::problem::Problem;
use crate::progress::Progress;
use crate::selection::FilterArgs;

const COLUMNS: [&str; 10] = [
    "ID", "KIND", "QUEUE", "STATE", "ATTEMPT", "FAILED", "ENQUEUED", "DUE", "TOOK", "ERROR",
];

/// How long tasks are looked for before a page is shown that is not full.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which tasks, and how many.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// In one of these states: scheduled, pending, active, retry, completed, dead, cancelled
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
    page: PageArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// How much of a listing, and from where.
#[derive(Args, Clone, Debug)]
pub(crate) struct PageArgs {
    /// How many at most, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1_000), allow_hyphen_values = true)]
    pub(crate) limit: u16,
    /// Go on from here: the number that the page before named on standard error
    #[arg(long, value_name = "CURSOR", value_parser = cursor, allow_hyphen_values = true)]
    pub(crate) cursor: Option<u64>,
    /// All of them, page by page
    #[arg(long, conflicts_with_all = ["limit", "cursor"])]
    pub(crate) all: bool,
}

fn cursor(text: &str) -> tidemill::Result<u64> {
    text.parse().map_err(|_| {
        tidemill::Error::invalid(
            "cursor",
            "expected the number that the page before named on standard error",
        )
    })
}

impl PageArgs {
    pub(crate) fn start(&self) -> Option<Cursor> {
        self.cursor.map(Cursor)
    }

    pub(crate) fn size(&self) -> usize {
        if self.all {
            1_000
        } else {
            usize::from(self.limit)
        }
    }

    /// The page at a cursor. What is rare is looked for until it is full, over 10 seconds at most.
    pub(crate) async fn read(
        &self,
        context: &Context,
        filter: &TaskFilter,
        cursor: Option<Cursor>,
    ) -> Result<Page<TaskRecord>, Problem> {
        let begun = Instant::now();
        let progress = Progress::of("looking");
        let is_enough = || {
            progress.tell(&format!("for {} s", begun.elapsed().as_secs()));
            // Of all of them, each is shown when it is found.
            self.all || begun.elapsed() >= PATIENCE
        };
        let inspect = context.inspect()?;
        let page = fill_page(inspect, filter, cursor, self.size(), is_enough).await?;
        drop(progress);
        if page.is_partial(self.size()) && !self.all {
            let seconds = PATIENCE.as_secs();
            let told = format!("looked for {seconds} s, and not at all tasks\n");
            io::stderr().write_all(told.as_bytes()).ok();
        }
        Ok(page)
    }

    /// Where to go on, if the listing goes on; otherwise tells the user how to.
    pub(crate) fn follow(&self, next: Option<Cursor>) -> Option<Cursor> {
        let cursor = next?;
        if self.all {
            return Some(cursor);
        }
        let more = format!("more: --cursor {} (or --all)\n", cursor.0);
        io::stderr().write_all(more.as_bytes()).ok();
        None
    }
}

pub(super) async fn run(args: &ListArgs, context: &mut Context) -> Result<(), Problem> {
    let filter = args.filter.filter(context, args.state.clone(), None);
    let mut cursor = args.page.start();
    loop {
        let page = args.page.read(context, &filter, cursor).await?;
        let mut rows = Rows::new(&COLUMNS);
        for task in &page.items {
            match args.output.format {
                Format::Json => context.out.json(&TaskView::from(task))?,
                Format::Table => rows.add(row(task)),
            }
        }
        context.out.page(args.output.format, &rows, cursor)?;
        cursor = args.page.follow(page.next);
        if cursor.is_none() {
            return Ok(());
        }
    }
}

fn row(task: &TaskRecord) -> [String; 10] {
    let took = match (task.started_at, task.finished_at) {
        (Some(start), Some(end)) if end >= start => span(end.since(start)),
        _ => "-".into(),
    };
    [
        task.envelope.id.to_string(),
        task.envelope.kind.to_string(),
        task.envelope.queue.to_string(),
        task.state.to_string(),
        task.attempt.to_string(),
        failed(task),
        instant(task.envelope.enqueued_at),
        instant(task.due_at),
        took,
        error(task),
    ]
}

/// How many runs failed, of how many that may; a crash is counted apart.
pub(crate) fn failed(task: &TaskRecord) -> String {
    let failed = format!("{}/{}", task.failures, task.envelope.retry.max_attempts);
    match task.crashes {
        0 => failed,
        crashes => {
            let ending = if crashes == 1 { "" } else { "es" };
            format!("{failed}, {crashes} crash{ending}")
        }
    }
}

/// The last failure, of a task that has not got over it.
fn error(task: &TaskRecord) -> String {
    match (&task.error, task.state) {
        (Some(failure), state) if state != State::Completed => failure.to_string(),
        _ => String::new(),
    }
}
