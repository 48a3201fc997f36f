//! Who runs the tasks: a worker in this process, or worker processes.

mod hand;
mod pipe;

use std::time::Duration;

use tidemill::{CancellationToken, Connection};
use tokio::time::Instant;

use crate::Result;
use crate::meter::{Costs, Meter};
use crate::scenario::{Settings, load, now};
use crate::watch::{Hand, Watch};
pub(crate) use hand::HandSettings;
use hand::Process;

/// Sees every run that ends: here, or in another process through its output.
#[derive(Clone, Debug)]
pub(crate) enum Sink {
    /// The watch itself.
    Here(Watch),
    /// The way to it.
    There(pipe::Out),
}

impl Sink {
    /// Tells of a run. Who kills workers relies on it that this is told before the broker is.
    pub(crate) fn tell(&self, done: crate::watch::Done) {
        match self {
            Self::Here(watch) => watch.note(0, done),
            Self::There(out) => out.tell(done),
        }
    }
}

/// The workers.
#[derive(Debug)]
pub(crate) struct Crew<'s> {
    settings: &'s Settings,
    watch: Watch,
    /// None when the worker is in this process.
    processes: Vec<Process>,
    next: Hand,
    began: Instant,
    meter: Option<Meter>,
}

impl<'s> Crew<'s> {
    /// Lets the workers run while something happens, which gets hold of them; ends them afterwards.
    pub(crate) async fn works<T>(
        settings: &'s Settings,
        connection: &Connection,
        watch: &Watch,
        happens: impl AsyncFnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let mut crew = Self {
            settings,
            watch: watch.clone(),
            processes: Vec::new(),
            next: 0,
            began: Instant::now(),
            meter: None,
        };
        if settings.workers == 0 {
            crew.begin().await?;
            let worker = load::hired(
                connection,
                &settings.queues,
                settings.concurrency,
                settings.lease,
                Sink::Here(watch.clone()),
                &settings.teller,
            )?;
            let end = CancellationToken::new();
            let happening = async {
                let happened = happens(&mut crew).await;
                end.cancel();
                happened
            };
            let (ended, happened) = tokio::join!(worker.run_until(end.clone()), happening);
            ended?;
            return happened;
        }
        for _ in 0..settings.workers {
            let process = crew.hire().await?;
            crew.processes.push(process);
        }
        crew.begin().await?;
        for process in &mut crew.processes {
            process.go().await?;
        }
        let happened = happens(&mut crew).await;
        // One that was killed a moment ago, and has no successor yet, has ended already.
        for process in crew.processes.into_iter().filter(|it| it.id().is_some()) {
            process.end().await?;
        }
        happened
    }

    async fn begin(&mut self) -> Result {
        let store = self.settings.store.clone();
        self.meter = Some(Meter::start(store, &self.processes()).await?);
        self.began = Instant::now();
        Ok(())
    }

    /// What so many tasks took since the workers began, and what each cost.
    pub(crate) async fn costs(&mut self, tasks: usize) -> Result<(Duration, Costs)> {
        let took = self.began.elapsed();
        let meter = self.meter.take().ok_or("the costs were told already")?;
        Ok((took, meter.end(&self.processes(), tasks).await?))
    }

    /// The processes that run tasks.
    pub(crate) fn processes(&self) -> Vec<u32> {
        if self.processes.is_empty() {
            return vec![std::process::id()];
        }
        self.processes.iter().filter_map(Process::id).collect()
    }

    /// Kills one of the worker processes, and hires another.
    pub(crate) async fn replace(&mut self, which: usize) -> Result {
        let which = which % self.processes.len().max(1);
        let Some(process) = self.processes.get_mut(which) else {
            return Ok(());
        };
        // Noted before, so that nothing which another process repeats comes too soon.
        self.watch.killed(process.hand(), now());
        process.kill().await?;
        let mut process = self.hire().await?;
        process.go().await?;
        self.processes
            .get_mut(which)
            .map(|place| *place = process)
            .ok_or_else(|| "the crew has become smaller".into())
    }

    async fn hire(&mut self) -> Result<Process> {
        let hand = self.next;
        self.next += 1;
        Process::start(self.settings, hand, self.watch.clone()).await
    }
}
