//! The rows in their long form, and the report.

use std::fmt::Write as _;
use std::time::Duration;

use super::oracle::Finding;
use super::report::Report;
use super::rows::{ROWS, row};
use crate::{Result, ensure};

/// Rows of the list of faults, tried one after the other.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The seed of all that is random.
    pub seed: u64,
    /// How long faults go on in each row.
    pub length: Duration,
    /// One row only.
    pub row: Option<String>,
}

const HEAD: &str = "| Row | What fails | Acknowledged | Lost | Extra runs | Extra effects | Recovery | |\n\
    |---|---|---|---|---|---|---|---|\n";

impl Campaign {
    /// Runs it on Redis, tells each row as it ends, and writes the report when all rows were asked for. An
    /// error when a promise was not kept.
    pub async fn run(&self, tell: impl Fn(&str)) -> Result {
        let rows = match &self.row {
            None => ROWS.to_vec(),
            Some(name) => vec![*row(name)?],
        };
        let mut table = self.table("redis-faults");
        for row in rows {
            let found = table.report.attempt(async |trial| row.run(&trial).await);
            let found = found.await;
            tell(&table.add(row.name, row.what, found));
        }
        self.end(table)
    }

    /// The table of a campaign of this name, empty.
    pub(super) fn table(&self, name: &'static str) -> Table {
        Table {
            report: Report {
                name,
                about: "What the columns mean, and what is promised, stands in [reliability.md](../reliability.md).",
                seed: self.seed,
                length: self.length,
            },
            text: HEAD.to_owned(),
            failed: Vec::new(),
        }
    }

    /// Writes the report when all rows were asked for; an error names those that failed.
    pub(super) fn end(&self, table: Table) -> Result {
        let Table {
            report,
            text,
            failed,
        } = table;
        if self.row.is_none() {
            report.write(&text)?;
        }
        ensure(failed.is_empty(), || {
            format!("failed: {}", failed.join(", "))
        })
    }
}

/// What has been found so far.
pub(super) struct Table {
    pub(super) report: Report,
    text: String,
    failed: Vec<&'static str>,
}

impl Table {
    /// Adds what came of a row; the line that says so.
    pub(super) fn add(&mut self, name: &'static str, what: &str, found: Result<Finding>) -> String {
        let line = match found {
            Ok(finding) => shown(name, what, &finding),
            Err(error) => {
                self.failed.push(name);
                format!("| {name} | {what} | | | | | | failed: {error} |")
            }
        };
        self.text.push_str(&line);
        self.text.push('\n');
        line
    }
}

fn shown(name: &str, what: &str, finding: &Finding) -> String {
    let recovery = finding
        .recovery
        .map_or(String::new(), |it| format!("{it:.2?}"));
    let mut note = finding.note.clone();
    if finding.buried > 0 {
        write!(note, "; {} dead letters", finding.buried).ok();
    }
    format!(
        "| {name} | {what} | {} | {} | {} | {} | {recovery} | {} |",
        finding.acknowledged,
        finding.lost,
        finding.extra_runs,
        finding.extra_effects,
        note.trim_start_matches("; "),
    )
}
