//! The processes of a trial: who enqueues and who runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tidemill::{Client, Clock, SystemClock, TaskId, TaskRecord, Timestamp, format_duration};

use super::ledger::{Deed, Ledger, Line, id_of, name};
use super::oracle::{self, Bounds, Finding};
use super::program::victim;
use super::workload::Held;
use crate::{Ids, Place, Process, Result, ensure, until};

/// How long leases are in trials.
pub const LEASE: Duration = Duration::from_secs(2);

/// How long a step of a trial may take at most.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How much of it, and in which folder.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The seed of all that is random.
    pub seed: u64,
    /// How long faults go on.
    pub length: Duration,
    /// Where everything is kept.
    pub folder: PathBuf,
}

impl Trial {
    /// A part of it, in a folder of its own.
    pub fn part(&self, name: &str) -> Result<Self> {
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(Self {
            folder,
            ..self.clone()
        })
    }
}

/// A feeder and workers on one store. Dropping it kills them.
#[derive(Debug)]
pub struct Scene {
    folder: PathBuf,
    seed: u64,
    place: Place,
    /// The workers, the oldest first.
    pub workers: Vec<Process>,
    feeders: Vec<Process>,
    spawned: u32,
    descriptors: BTreeMap<u32, usize>,
}

impl Scene {
    /// A scene without processes; they will use this store.
    #[must_use]
    pub fn empty(trial: &Trial, place: impl Into<Place>) -> Self {
        Self {
            folder: trial.folder.clone(),
            seed: trial.seed,
            place: place.into(),
            workers: Vec::new(),
            feeders: Vec::new(),
            spawned: 0,
            descriptors: BTreeMap::new(),
        }
    }

    /// Starts so many workers and a feeder, and waits until they are at work.
    pub async fn start(trial: &Trial, place: impl Into<Place>, workers: u32) -> Result<Self> {
        Self::start_with(trial, place, workers, &[]).await
    }

    /// The same, with these arguments for the feeder.
    pub async fn start_with(
        trial: &Trial,
        place: impl Into<Place>,
        workers: u32,
        feeder: &[&str],
    ) -> Result<Self> {
        let mut scene = Self::empty(trial, place);
        for _ in 0..workers {
            scene.worker(&[])?;
        }
        scene.feeder(&[&["--slow", "30"], feeder].concat())?;
        scene.at_work(Timestamp::from_micros(0), 20).await?;
        for worker in &scene.workers {
            let is_its = |line: &Line| line.deed == Deed::Ended && line.process == worker.id();
            scene.seen(Timestamp::from_micros(0), is_its).await?;
        }
        scene.count_descriptors()?;
        Ok(scene)
    }

    /// Starts a worker with these arguments.
    pub fn worker(&mut self, arguments: &[&str]) -> Result {
        let command = self.work(arguments)?;
        self.worker_by(command)
    }

    /// The command of a worker, on the store of the scene.
    pub fn work(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = victim("work", &self.place)?;
        command.args(["--lease", &format_duration(LEASE)]);
        command.arg("--folder").arg(&self.folder).args(arguments);
        Ok(command)
    }

    /// Starts a worker by a command of the caller's.
    pub fn worker_by(&mut self, mut command: Command) -> Result {
        self.spawned += 1;
        let name = format!("worker-{}", self.spawned);
        let worker = Process::spawn(&name, &mut command, &self.folder)?;
        self.workers.push(worker);
        Ok(())
    }

    /// Starts a feeder with these arguments.
    pub fn feeder(&mut self, arguments: &[&str]) -> Result {
        self.spawned += 1;
        let (name, seed) = (format!("feeder-{}", self.spawned), self.seed.to_string());
        let mut command = victim("feed", &self.place)?;
        command.args(["--name", &self.spawned.to_string(), "--seed", &seed]);
        command.arg("--folder").arg(&self.folder);
        command.arg("--until").arg(self.folder.join("stop"));
        command.args(arguments);
        let feeder = Process::spawn(&name, &mut command, &self.folder)?;
        self.feeders.push(feeder);
        Ok(())
    }

    /// What was written down so far.
    pub fn lines(&self) -> Result<BTreeMap<String, Vec<Line>>> {
        Ledger::read(&self.folder)
    }

    /// Waits until so many tasks that were acknowledged after this instant have ended.
    pub async fn at_work(&self, after: Timestamp, count: usize) -> Result {
        let what = format!("{count} tasks to end; see {}", self.folder.display());
        until(&what, PATIENCE, async || {
            let ended = oracle::ended_after(&self.lines()?, after).len();
            Ok((ended >= count).then_some(()))
        })
        .await
    }

    /// Waits until somebody has written such a line after this instant.
    pub async fn seen(&self, after: Timestamp, is_it: impl Fn(&Line) -> bool) -> Result<Line> {
        until("a line of the ledger", PATIENCE, async || {
            let lines = self.lines()?;
            let mut lines = lines.into_values().flatten();
            Ok(lines.find(|line| line.at >= after && is_it(line)))
        })
        .await
    }

    /// Enqueues tasks that hold their worker in so many attempts; they stay for an hour.
    pub async fn hold(&self, attempts: u32, count: u32) -> Result<Vec<TaskId>> {
        let client = Client::new(&self.place.connect().await?);
        let ledger = Ledger::open(&self.folder)?;
        let mut tasks = Vec::new();
        for number in 0..count {
            let prefix = format!("held-{attempts}");
            let mut task = client.enqueue(Held { attempts });
            if self.place.ids() == Ids::Caller {
                task = task.id(format!("{prefix}-{number}"));
            }
            let id = task.retention(Duration::from_secs(3_600)).await?.id;
            ledger.note(Deed::Acknowledged, &name(&prefix, &id), 0, "")?;
            tasks.push(id);
        }
        Ok(tasks)
    }

    /// Waits until all of these have begun a run after this instant.
    pub async fn held(&self, tasks: &[TaskId], after: Timestamp) -> Result {
        for task in tasks {
            let is_it =
                |line: &Line| line.deed == Deed::Started && id_of(&line.task) == task.as_str();
            self.seen(after, is_it).await?;
        }
        Ok(())
    }

    /// A task as the store has it.
    pub async fn task(&self, id: &TaskId) -> Result<TaskRecord> {
        let client = Client::new(&self.place.connect().await?);
        let task = client.task(id).await?;
        task.ok_or_else(|| format!("{id} is not there").into())
    }

    /// The processes, for their limits.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.workers.iter().chain(&self.feeders)
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    /// Remembers how many descriptors each process has now.
    pub fn count_descriptors(&mut self) -> Result {
        let count = |process: &Process| Ok((process.id(), descriptors(process.id())?));
        self.descriptors = self.processes().map(count).collect::<Result<_>>()?;
        Ok(())
    }

    /// Ends the feeders in good order, waits until all is done, and judges.
    pub async fn finish(mut self, bounds: &Bounds) -> Result<Finding> {
        std::fs::write(self.folder.join("stop"), "")?;
        for feeder in &mut self.feeders {
            let status = feeder.ended(PATIENCE).await?;
            ensure(status.success(), || {
                format!(
                    "the feeder ended with {status}: {}",
                    last(feeder.errors().ok())
                )
            })?;
        }
        let judged = oracle::judge(&self.folder, &self.place, bounds).await;
        for worker in &mut self.workers {
            let is_well = worker.is_running()? && !worker.errors()?.contains("panicked");
            ensure(is_well, || {
                format!("a worker ended: {}", last(worker.errors().ok()))
            })?;
            let now = descriptors(worker.id())?;
            let before = self.descriptors.get(&worker.id()).copied();
            ensure(before.is_none_or(|before| now <= before + 6), || {
                format!("a worker had {before:?} descriptors, and has {now} now")
            })?;
        }
        judged.map_err(|error| {
            let kept = &self.folder.display();
            format!("{error} (seed {}, folder {kept})", self.seed).into()
        })
    }

    /// The folder of the trial.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How many tasks have an acknowledgement.
    pub fn acknowledged(&self) -> Result<usize> {
        let lines = self.lines()?;
        let has = |lines: &&Vec<Line>| lines.iter().any(|line| line.deed == Deed::Acknowledged);
        Ok(lines.values().filter(has).count())
    }
}

/// How many files and sockets a process has open.
pub(super) fn descriptors(process: u32) -> Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{process}/fd"))?.count())
}

/// The last lines of a log.
pub(super) fn last(text: Option<String>) -> String {
    let text = text.unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
