//! What a campaign found, written down: a report of its own, and the same table on the page about
//! reliability.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tidemill::{Clock, SystemClock};

use super::scene::Trial;
use crate::Result;

/// A campaign, as its report names it.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Its name on the command line of `cargo xtask campaign`, and of its file.
    pub name: &'static str,
    /// A sentence that stands over the table.
    pub about: &'static str,
    /// The seed of all that was random.
    pub seed: u64,
    /// The length that was asked for.
    pub length: Duration,
}

impl Report {
    /// Runs one row in a folder of its own, which stays when the row fails: what it left behind tells
    /// why.
    pub async fn attempt<T>(&self, row: impl AsyncFnOnce(Trial) -> Result<T>) -> Result<T> {
        let folder = tempfile::tempdir()?;
        let trial = Trial {
            seed: self.seed,
            length: self.length,
            folder: folder.path().to_owned(),
        };
        let found = row(trial).await;
        if found.is_err() {
            let _kept: PathBuf = folder.keep();
        }
        found
    }

    /// Writes the report, and puts the table in place of the one that stands between the markers
    /// `the table of` and `end of` this campaign in `reliability.md`.
    pub fn write(&self, table: &str) -> Result {
        let name = self.name;
        let about = self.head();
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let text = format!("# Campaign: {name}\n\n{about}{}\n\n{table}", self.about);
        std::fs::write(docs.join(format!("reports/{name}.md")), text)?;
        let page = docs.join("reliability.md");
        let text = std::fs::read_to_string(&page)?;
        let begin = format!("<!-- the table of `cargo xtask campaign {name}` -->\n");
        let end = format!("<!-- end of {name} -->");
        let missing = |marker: &str| format!("reliability.md has no {marker}");
        let (before, rest) = text.split_once(&begin).ok_or_else(|| missing(&begin))?;
        let (_, after) = rest.split_once(&end).ok_or_else(|| missing(&end))?;
        let text = format!("{before}{begin}{about}{table}{end}{after}");
        Ok(std::fs::write(page, text)?)
    }

    /// When it ran, and how to repeat it.
    fn head(&self) -> String {
        let now = SystemClock.now().to_string();
        let day = now.split('T').next().unwrap_or(&now);
        let build = match cfg!(debug_assertions) {
            true => "without optimization",
            false => "optimized",
        };
        let (name, seed, seconds) = (self.name, self.seed, self.length.as_secs());
        format!(
            "Run on {day}, seed {seed}, built {build}. Repeat it with:\n\n```console\n\
             $ cargo xtask campaign {name} --seed {seed} --seconds {seconds}\n```\n\n"
        )
    }
}
