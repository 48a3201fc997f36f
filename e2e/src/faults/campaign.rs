//! The rows in their long form, and the report.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tidemill::{Clock, SystemClock};

use super::oracle::Finding;
use super::rows::{ROWS, Row, row};
use super::scene::Trial;
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

/// Where the table stands in a document.
const BEGIN: &str = "<!-- the table of `cargo xtask campaign redis-faults` -->\n";
const END: &str = "<!-- end -->";

impl Campaign {
    /// Runs it, tells each row as it ends, and writes the report when all rows were asked for. An
    /// error when a promise was not kept.
    pub async fn run(&self, tell: impl Fn(&str)) -> Result {
        let rows = match &self.row {
            None => ROWS.to_vec(),
            Some(name) => vec![*row(name)?],
        };
        let (mut table, mut failed) = (HEAD.to_owned(), Vec::new());
        for row in rows {
            let line = match self.try_row(&row).await {
                Ok(finding) => shown(&row, &finding),
                Err(error) => {
                    failed.push(row.name);
                    format!(
                        "| {} | {} | | | | | | failed: {error} |",
                        row.name, row.what
                    )
                }
            };
            tell(&line);
            writeln!(table, "{line}")?;
        }
        if self.row.is_none() {
            self.write(&table)?;
        }
        ensure(failed.is_empty(), || {
            format!("failed: {}", failed.join(", "))
        })
    }

    async fn try_row(&self, row: &Row) -> Result<Finding> {
        let folder = tempfile::tempdir()?;
        let trial = Trial {
            seed: self.seed,
            length: self.length,
            folder: folder.path().to_owned(),
        };
        let finding = row.run(&trial).await;
        if finding.is_err() {
            // What it left behind tells why.
            let _kept: PathBuf = folder.keep();
        }
        finding
    }

    fn write(&self, table: &str) -> Result {
        let now = SystemClock.now().to_string();
        let day = now.split('T').next().unwrap_or(&now);
        let build = match cfg!(debug_assertions) {
            true => "without optimization",
            false => "optimized",
        };
        let command = format!(
            "cargo xtask campaign redis-faults --seed {} --seconds {}",
            self.seed,
            self.length.as_secs()
        );
        let about = format!(
            "Run on {day}, seed {}, built {build}. Repeat it with:\n\n```console\n$ {command}\n```\n\n",
            self.seed
        );
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let report = format!(
            "# Campaign: redis-faults\n\n{about}\
             What the columns mean, and what is promised, stands in [reliability.md](../reliability.md).\n\n{table}"
        );
        std::fs::write(docs.join("reports/redis-faults.md"), report)?;
        let page = docs.join("reliability.md");
        let text = std::fs::read_to_string(&page)?;
        let (before, rest) = text
            .split_once(BEGIN)
            .ok_or("reliability.md has no table")?;
        let (_, after) = rest.split_once(END).ok_or("the table has no end")?;
        let text = format!("{before}{BEGIN}{about}{table}{END}{after}");
        Ok(std::fs::write(page, text)?)
    }
}

fn shown(row: &Row, finding: &Finding) -> String {
    let recovery = finding
        .recovery
        .map_or(String::new(), |it| format!("{it:.2?}"));
    let mut note = finding.note.clone();
    if finding.buried > 0 {
        write!(note, "; {} dead letters", finding.buried).ok();
    }
    format!(
        "| {} | {} | {} | {} | {} | {} | {recovery} | {} |",
        row.name,
        row.what,
        finding.acknowledged,
        finding.lost,
        finding.extra_runs,
        finding.extra_effects,
        note.trim_start_matches("; "),
    )
}
