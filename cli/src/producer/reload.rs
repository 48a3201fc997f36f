//! Keeps the stored schedules in line with the files that they come from.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tidemill::ledger::Schedules;
use tidemill::{CancellationToken, Connection};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::problem::Problem;
use crate::schedule::apply_sources;
use crate::settings::{ScheduleSource, Stamp, read_sources, stamp};

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
    /// The versions that were applied last.
    applied: Stamps,
    /// The life of the store in which they were.
    generation: u64,
    hangup: Signal,
}

/// The versions of the files that are watched.
type Stamps = BTreeMap<PathBuf, Stamp>;

/// What became of reading the files again.
enum Outcome {
    /// These versions are in force, or are wrong and were told to be.
    Known(Stamps),
    /// The store could not be told; to be tried again.
    Unfinished,
}

impl Reloader {
    /// Starts to listen to SIGHUP, which would end the process otherwise.
    pub(crate) async fn new(
        connection: &Connection,
        file: Option<PathBuf>,
        applied: &[ScheduleSource],
    ) -> Result<Self, Problem> {
        let hangup = signal(SignalKind::hangup()).map_err(no_signals)?;
        let mut reloader = Self {
            connection: connection.clone(),
            file,
            names: Vec::new(),
            applied: Stamps::new(),
            generation: Schedules::generation(&*connection.ledger).await?,
            hangup,
        };
        reloader.remember(applied);
        Ok(reloader)
    }

    fn remember(&mut self, applied: &[ScheduleSource]) {
        self.names = applied.iter().map(|one| one.name.clone()).collect();
        let versions = applied.iter().map(|one| (one.path.clone(), one.stamp));
        self.applied = versions.collect();
    }

    /// Watches until it is told to stop.
    pub(crate) async fn run(mut self, stop: &CancellationToken) {
        let mut seen = self.applied.clone();
        let mut looks: u32 = 0;
        let mut unfinished = None;
        loop {
            let is_asked = tokio::select! {
                () = stop.cancelled() => return,
                _ = self.hangup.recv() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            looks = looks.wrapping_add(1);
            let now = self.stamps();
            let has_changed = now != self.applied && now == seen;
            seen = now;
            let is_lost = looks.is_multiple_of(ASK_EVERY) && self.is_lost().await;
            let why = match (is_asked, has_changed, is_lost, unfinished) {
                (true, ..) => "asked by SIGHUP",
                (_, true, ..) => "a file has changed",
                (_, _, true, _) => "the store has lost them",
                (.., Some(why)) => why,
                _ => continue,
            };
            unfinished = match self.reload(why).await {
                Outcome::Known(versions) => {
                    self.applied = versions;
                    None
                }
                Outcome::Unfinished => Some(why),
            };
        }
    }

    /// Whether the store is not the one any more that the schedules were given to.
    async fn is_lost(&self) -> bool {
        let generation = Schedules::generation(&*self.connection.ledger).await;
        generation.is_ok_and(|now| now != self.generation)
    }

    async fn reload(&mut self, why: &str) -> Outcome {
        let before = self.stamps();
        let Some(file) = self.file.clone() else {
            tracing::info!("no schedule file is given: there is nothing to read again");
            return Outcome::Known(before);
        };
        tracing::info!(file = %file.display(), "reading schedules again: {why}");
        match self.apply(&file).await {
            Ok((generation, applied)) => {
                self.generation = generation;
                self.remember(&applied);
                Outcome::Known(std::mem::take(&mut self.applied))
            }
            Err(problem) => {
                tracing::error!(
                    file = %file.display(),
                    "the schedules stay as they were: {}",
                    problem.in_one_line()
                );
                match problem {
                    // It is told once, and read again when it changes again.
                    Problem::Usage(_) => Outcome::Known(before),
                    Problem::Failed(_) | Problem::ReaderGone => Outcome::Unfinished,
                }
            }
        }
    }

    async fn apply(&self, file: &Path) -> Result<(u64, Vec<ScheduleSource>), Problem> {
        // Asked first: what is lost from now on is seen at the next look.
        let generation = Schedules::generation(&*self.connection.ledger).await?;
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
        Ok((generation, kept))
    }

    fn stamps(&self) -> Stamps {
        let paths = self.applied.keys();
        paths.map(|path| (path.clone(), stamp(path))).collect()
    }
}

fn no_signals(error: io::Error) -> Problem {
    Problem::failed("signals cannot be received").because(error)
}
