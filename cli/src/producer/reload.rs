//! Keeps the stored schedules in line with the files that they come from.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tidemill::ledger::{Applied, Schedules};
use tidemill::{CancellationToken, Connection, SchedulerEvent};
use tidemill_control::{AuditRecord, Auditor};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::reading::{Reading, Stamps, aside, stamps};
use crate::problem::Problem;
use crate::schedule::{apply_sources, check_sources};
use crate::settings::ScheduleSource;

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
    /// The versions that were applied last.
    applied: Stamps,
    /// The life of the store in which they were.
    generation: u64,
    /// The latest version of its definitions that was seen.
    version: u64,
    /// Told by a scheduler that the store was set back.
    set_back: Arc<Notify>,
    hangup: Signal,
}

/// When what the store could not be told is tried again: after pauses that double up to about a minute.
#[derive(Clone, Copy, Debug, Default)]
struct Retry {
    /// In looks.
    pause: u32,
    left: u32,
}

impl Retry {
    const LONGEST: u32 = 64;

    /// One look has passed.
    const fn is_due(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0
    }

    fn later(self) -> Self {
        let pause = (2 * self.pause).clamp(1, Self::LONGEST);
        Self { pause, left: pause }
    }
}

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
            applied: Stamps::new(),
            generation: Schedules::generation(&*connection.ledger).await?,
            version: 0,
            set_back: Arc::default(),
            hangup,
        };
        reloader.remember(applied);
        Ok(reloader)
    }

    fn remember(&mut self, applied: &[ScheduleSource]) {
        let versions = applied.iter().map(|one| (one.path.clone(), one.stamp));
        self.applied = versions.collect();
    }

    /// Who is to be told of a scheduler's events: a store that was set back may have lost what was applied,
    /// and is the same store all the same.
    pub(crate) fn observer(&self) -> impl Fn(&SchedulerEvent) + Send + Sync + 'static {
        let set_back = Arc::clone(&self.set_back);
        move |event| {
            if matches!(event, SchedulerEvent::SetBack { .. }) {
                set_back.notify_one();
            }
        }
    }

    /// Watches until it is told to stop, as a task of its own: a long file must not hold up who fires schedules.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.watch() => {}
            }
        });
        tasks.join_all().await;
    }

    async fn watch(mut self) {
        let mut seen = self.applied.clone();
        // If that cannot be had now, the first look has it.
        self.version = self.present_version().await.unwrap_or_default();
        let mut looks: u32 = 0;
        let mut unfinished: Option<Retry> = None;
        loop {
            let (is_asked, is_set_back) = tokio::select! {
                _ = self.hangup.recv() => (true, false),
                () = self.set_back.notified() => (false, true),
                () = tokio::time::sleep(LOOK) => (false, false),
            };
            looks = looks.wrapping_add(1);
            let paths: Vec<_> = self.applied.keys().cloned().collect();
            let now = aside(|| stamps(paths)).await;
            let has_changed = now != self.applied && now == seen;
            seen = now;
            let is_lost = is_set_back || looks.is_multiple_of(ASK_EVERY) && self.is_lost().await;
            let is_due = unfinished.as_mut().is_some_and(Retry::is_due);
            let why = match (is_asked, has_changed, is_lost, is_due) {
                (true, ..) => "asked by SIGHUP",
                // A change that is being retried is no new one.
                (_, true, ..) if unfinished.is_none() => "a file has changed",
                (_, _, true, _) => "the store has lost them",
                (.., true) => "they could not be applied",
                _ => continue,
            };
            unfinished = match self.reload(why).await {
                Outcome::Known(versions) => {
                    self.applied = versions;
                    None
                }
                Outcome::Unfinished => Some(unfinished.unwrap_or_default().later()),
            };
        }
    }

    /// Whether the store is not the one any more that the schedules were given to: it came back empty, or as
    /// it was before its definitions had the version that was seen.
    async fn is_lost(&mut self) -> bool {
        let ledger = &*self.connection.ledger;
        let asked = async {
            let generation = Schedules::generation(ledger).await?;
            Ok::<_, tidemill::Error>((generation, self.present_version().await?))
        };
        let Ok((generation, version)) = asked.await else {
            return false;
        };
        let is_lost = generation != self.generation || version < self.version;
        self.version = version;
        is_lost
    }

    async fn present_version(&self) -> tidemill::Result<u64> {
        Schedules::schedules_version(&*self.connection.ledger).await
    }

    async fn reload(&mut self, why: &str) -> Outcome {
        let Some(file) = self.file.clone() else {
            tracing::info!("no schedule file is given: there is nothing to read again");
            return Outcome::Known(Stamps::new());
        };
        let shown = file.display().to_string();
        tracing::info!(file = shown, "reading schedules again: {why}");
        let limit = self.connection.broker.capabilities().max_payload;
        let reading = aside(move || {
            let Reading { stamps, sources } = Reading::of(&file);
            let checked = sources.and_then(|read| check_sources(limit, &read).map(|()| read));
            (stamps, checked)
        });
        let (tried, sources) = reading.await;
        let sources = match sources {
            Ok(sources) => sources,
            // It is told once, and read again when it changes again.
            Err(problem) => {
                let why = problem.in_one_line();
                tracing::error!(file = shown, "the schedules stay as they were: {why}");
                return Outcome::Known(tried);
            }
        };
        match self.apply(&sources).await {
            Ok(generation) => {
                self.generation = generation;
                self.version = self.present_version().await.unwrap_or(self.version);
                self.remember(&sources);
                Outcome::Known(std::mem::take(&mut self.applied))
            }
            Err(problem) => {
                let why = problem.in_one_line();
                tracing::error!(file = shown, "the schedules cannot be applied yet: {why}");
                Outcome::Unfinished
            }
        }
    }

    async fn apply(&self, sources: &[ScheduleSource]) -> Result<u64, Problem> {
        // Asked first: what is lost from now on is seen at the next look.
        let generation = Schedules::generation(&*self.connection.ledger).await?;
        let applied = apply_sources(&self.connection, sources).await?;
        let auditor = Auditor::new(&self.connection);
        let has_changed = |applied: &Applied| {
            !(applied.added.is_empty() && applied.changed.is_empty() && applied.removed.is_empty())
        };
        for (source, applied) in applied.iter().filter(|(_, applied)| has_changed(applied)) {
            let record = AuditRecord {
                at: self.connection.clock.now(),
                actor: "producer".to_owned(),
                action: "applied".to_owned(),
                subject: format!("schedules of {source}"),
                details: Some(serde_json::json!({
                    "added": applied.added,
                    "changed": applied.changed,
                    "removed": applied.removed,
                })),
                reason: None,
                from: None,
                outcome: "done".to_owned(),
            };
            if let Err(error) = auditor.store(&record).await {
                tracing::warn!(%error, "no audit record of the schedules could be kept");
            }
        }
        Ok(generation)
    }
}

fn no_signals(error: io::Error) -> Problem {
    Problem::failed("signals cannot be received").because(error)
}
