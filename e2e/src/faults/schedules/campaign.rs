//! The rows in their long form, and the report.

use std::fmt::Write as _;
use std::time::Duration;

use super::rows::{SCHEDULE_ROWS, ScheduleRow, schedule_row};
use crate::faults::Report;
use crate::{Result, ensure};
use futures::future::join_all;

/// Rows of the list of faults, each on all its stores at once.
#[derive(Clone, Debug)]
pub struct ScheduleCampaign {
    /// The seed of all that is random.
    pub seed: u64,
    /// How long kills at random go on; the other rows take what they need of it.
    pub length: Duration,
    /// One row only.
    pub row: Option<String>,
}

/// One line of the table.
#[derive(Clone, Debug)]
struct Line {
    row: &'static str,
    text: String,
    is_kept: bool,
}

const HEAD: &str = "| Row | What fails | Store | Seen |\n|---|---|---|---|\n";
/// The row that takes the whole time.
const LONG: &str = "F49";

impl ScheduleCampaign {
    /// Runs it, tells each row as it ends, and writes the report when all rows were asked for. An
    /// error when a promise was not kept.
    pub async fn run(&self, tell: impl Fn(&str)) -> Result {
        let rows = match &self.row {
            None => SCHEDULE_ROWS.to_vec(),
            Some(name) => vec![*schedule_row(name)?],
        };
        // The long one goes on beside the others, which take about as long together.
        let (long, others): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.name == LONG);
        let (long, others) =
            tokio::join!(self.try_rows(&long, &tell), self.try_rows(&others, &tell));
        let mut lines = [long, others].concat();
        lines.sort_by_key(|line| rows.iter().position(|row| row.name == line.row));
        let (mut table, mut failed) = (HEAD.to_owned(), Vec::new());
        for line in lines {
            writeln!(table, "{}", line.text)?;
            if !line.is_kept {
                failed.push(line.row);
            }
        }
        if self.row.is_none() {
            self.report().write(&table)?;
        }
        ensure(failed.is_empty(), || {
            format!("failed: {}", failed.join(", "))
        })
    }

    async fn try_rows(&self, rows: &[&ScheduleRow], tell: &impl Fn(&str)) -> Vec<Line> {
        let (report, mut lines) = (self.report(), Vec::new());
        for row in rows {
            let seen = join_all(
                row.on
                    .iter()
                    .map(|on| report.attempt(async |trial| row.run(&trial, *on).await)),
            )
            .await;
            for (on, seen) in row.on.iter().zip(seen) {
                let is_kept = seen.is_ok();
                let seen = seen.unwrap_or_else(|error| format!("failed: {error}"));
                let text = format!("| {} | {} | {} | {seen} |", row.name, row.what, on.as_str());
                tell(&text);
                lines.push(Line {
                    row: row.name,
                    text,
                    is_kept,
                });
            }
        }
        lines
    }

    const fn report(&self) -> Report {
        Report {
            name: "schedules",
            about: "What each row promises stands in [reliability.md](../reliability.md#schedules).",
            seed: self.seed,
            length: self.length,
        }
    }
}
