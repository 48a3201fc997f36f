//! One task as a page to read: what is known of it, why it is where it is, its runs, its output.

use tidemill::ledger::{LogStream, Logs};
use tidemill::{Cursor, TaskId};

use crate::clean;
use crate::context::Context;
use crate::output::or_dash;
use crate::problem::Problem;
use crate::task::facts;

/// How much of a log is read at once, and how much of its end is shown.
const LOG_PAGE: usize = 1_000;
/// How much of a log is read at all: the command line shows the rest.
const LOG_PAGES: usize = 10;

/// A page with a title; its lines are safe to show.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) task: TaskId,
    pub(super) lines: Vec<String>,
    pub(super) scroll: u16,
}

impl Page {
    /// Reads everything about a task.
    pub(super) async fn read(id: &TaskId, context: &Context) -> Result<Self, Problem> {
        let inspect = context.inspect()?;
        let Some(task) = inspect.get(id).await? else {
            return Err(Problem::failed(format!("there is no task {id} any more")));
        };
        let mut lines = Vec::new();
        for finding in context.why(&task).await? {
            lines.push(finding.text);
            lines.extend(finding.remedy.map(|remedy| format!("  {remedy}")));
        }
        let attempts = inspect.attempts(id).await?;
        for attempt in &attempts {
            let failure = attempt.failure.as_ref().map(ToString::to_string);
            lines.push(format!(
                "run {} {} on {} at {}  {}",
                attempt.attempt,
                attempt.outcome.as_str(),
                attempt.worker,
                attempt.finished_at,
                or_dash(failure)
            ));
        }
        lines.push(String::new());
        for (name, value) in facts(&task) {
            lines.push(format!("{name:<11}{}", clean::cut(&value)));
        }
        let log = log(id, context).await?;
        if !log.is_empty() {
            lines.push(String::new());
            lines.extend(log);
        }
        let lines = lines.iter().map(|line| clean::line(line).into_owned());
        Ok(Self {
            task: id.clone(),
            lines: lines.collect(),
            scroll: 0,
        })
    }

    /// Moves what is seen, no further than the last line.
    pub(super) fn scroll(&mut self, by: i32) {
        let last = u16::try_from(self.lines.len().saturating_sub(1)).unwrap_or(u16::MAX);
        let to = i32::from(self.scroll).saturating_add(by);
        self.scroll = u16::try_from(to.max(0)).unwrap_or(u16::MAX).min(last);
    }
}

async fn log(id: &TaskId, context: &Context) -> Result<Vec<String>, Problem> {
    let mut lines = Vec::new();
    let mut cursor: Option<Cursor> = None;
    for _ in 0..LOG_PAGES {
        let page = Logs::read_log(context.ledger(), id, cursor, LOG_PAGE).await?;
        cursor = Some(page.next);
        let is_last = page.lines.len() < LOG_PAGE;
        lines.extend(page.lines.into_iter().map(|line| match line.stream {
            LogStream::System => format!("[tidemill] {}", line.text),
            LogStream::Stdout | LogStream::Stderr | LogStream::Handler => line.text,
        }));
        if is_last {
            return Ok(lines);
        }
    }
    lines.push(format!("… `tidemill task logs {id}` shows all of it"));
    Ok(lines)
}
