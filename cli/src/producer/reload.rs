//! Keeps the stored schedules in line with the files that they come from.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tidemill::ledger::Schedules;
use tidemill::{CancellationToken, Connection};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::problem::Problem;
use crate::schedule::apply_sources;
use crate::settings::{ScheduleSource, read_sources};

/// How often the files are looked at. A change counts once a second look finds the same, so that a file
/// that is being written is not read by halves.
const LOOK: Duration = Duration::from_secs(1);

/// How often the store is asked whether it still has what was applied, in looks.
const ASK_EVERY: u32 = 5;

/// Applies the schedules of files again when a file has changed, on SIGHUP, and when the store has lost them.
/// All of them are read and checked first: what is wrong changes nothing.
#[derive(Debug)]
pub(crate) struct Reloader {
    connection: Connection,
    /// The file that holds the schedules or names the files that do.
    file: Option<PathBuf>,
    /// The sources that were applied last: one that is not named any more loses its schedules.
    names: Vec<String>,
    watched: Vec<PathBuf>,
    hangup: Signal,
}

/// What tells one version of a file from another. A file that is missing has none.
type Stamp = Option<(SystemTime, u64)>;

impl Reloader {
    /// Starts to listen to SIGHUP, which would end the process otherwise.
    pub(crate) fn new(
        connection: &Connection,
        file: Option<PathBuf>,
        applied: &[ScheduleSource],
    ) -> Result<Self, Problem> {
        let hangup = signal(SignalKind::hangup()).map_err(no_signals)?;
        let mut reloader = Self {
            connection: connection.clone(),
            file,
            names: Vec::new(),
            watched: Vec::new(),
            hangup,
        };
        reloader.remember(applied);
        Ok(reloader)
    }

    fn remember(&mut self, applied: &[ScheduleSource]) {
        self.names = applied.iter().map(|one| one.name.clone()).collect();
        self.watched = self.file.iter().cloned().collect();
        self.watched
            .extend(applied.iter().map(|one| one.path.clone()));
    }

    /// Watches until it is told to stop.
    pub(crate) async fn run(mut self, stop: &CancellationToken) {
        let mut applied = self.stamps();
        let mut seen = applied.clone();
        // A loss before the first look is one too.
        let mut version = 0;
        self.has_shrunk(&mut version).await;
        let mut looks: u32 = 0;
        loop {
            let is_asked = tokio::select! {
                () = stop.cancelled() => return,
                _ = self.hangup.recv() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            looks = looks.wrapping_add(1);
            let now = self.stamps();
            let has_changed = now != applied && now == seen;
            seen = now;
            let is_lost = looks.is_multiple_of(ASK_EVERY) && self.has_shrunk(&mut version).await;
            let why = match (is_asked, has_changed, is_lost) {
                (true, ..) => "asked by SIGHUP",
                (_, true, _) => "a file has changed",
                (.., true) => "the store has lost them",
                _ => continue,
            };
            self.reload(why).await;
            // Also when it was wrong: it is told once, and read again when it changes again.
            applied = self.stamps();
            seen.clone_from(&applied);
        }
    }

    /// Whether the version of the definitions went back, which only a loss of data explains.
    async fn has_shrunk(&self, version: &mut u64) -> bool {
        let Ok(now) = Schedules::schedules_version(&*self.connection.ledger).await else {
            return false;
        };
        now < std::mem::replace(version, now)
    }

    async fn reload(&mut self, why: &str) {
        let Some(file) = self.file.clone() else {
            tracing::info!("no schedule file is given: there is nothing to read again");
            return;
        };
        tracing::info!(file = %file.display(), "reading schedules again: {why}");
        match self.apply(&file).await {
            Ok(applied) => self.remember(&applied),
            Err(problem) => tracing::error!(
                file = %file.display(),
                "the schedules stay as they were: {}",
                problem.in_one_line()
            ),
        }
    }

    async fn apply(&self, file: &Path) -> Result<Vec<ScheduleSource>, Problem> {
        let sources = read_sources(file)?;
        let kept = sources.clone();
        let gone = self
            .names
            .iter()
            .filter(|name| !kept.iter().any(|one| one.name == **name));
        for name in gone {
            Schedules::apply_schedules(&*self.connection.ledger, name, Vec::new()).await?;
            tracing::info!(
                source = name,
                "schedules: no file holds them any more; removed"
            );
        }
        apply_sources(&self.connection, sources).await?;
        Ok(kept)
    }

    fn stamps(&self) -> BTreeMap<PathBuf, Stamp> {
        let stamp = |path: &PathBuf| {
            let file = path.metadata().ok()?;
            Some((file.modified().ok()?, file.len()))
        };
        let watched = self.watched.iter();
        watched.map(|path| (path.clone(), stamp(path))).collect()
    }
}

fn no_signals(error: io::Error) -> Problem {
    Problem::failed("signals cannot be received").because(error)
}
