//! Whether the roles take their settings.
//!
//! The settings are tried on an empty store in memory, before anything is changed in the real one.
//! Those of the configuration file are tried one by one first, so that a refusal names the line.

use tidemill::{CancellationToken, Connect, Connection};

use crate::problem::Problem;
use crate::settings::{ProducerSettings, Settings, WorkerSettings};
use crate::{producer, worker};

/// Refuses what a worker would refuse: `given` is in force, `from_file` is what of it stands in the
/// configuration file.
pub(crate) async fn try_worker(
    settings: &Settings,
    given: &WorkerSettings,
    from_file: &WorkerSettings,
) -> Result<(), Problem> {
    let connection = nowhere().await?;
    let build = |part: &WorkerSettings| worker::builder(&connection, part).build().map(drop);
    for (key, part) in from_file.parts() {
        build(&part).map_err(|e| Problem::from(e).at(settings.place(&["worker", key])))?;
    }
    Ok(build(given)?)
}

/// The same for a producer.
pub(crate) async fn try_producer(
    settings: &Settings,
    given: &ProducerSettings,
    from_file: &ProducerSettings,
) -> Result<(), Problem> {
    let connection = nowhere().await?;
    // A scheduler that is to stop looks at its settings and ends.
    let stop = CancellationToken::new();
    stop.cancel();
    let run = |part: &ProducerSettings| producer::scheduler(&connection, part).run(stop.clone());
    for (key, part) in from_file.parts() {
        let tried = run(&part).await;
        tried.map_err(|e| Problem::from(e).at(settings.place(&["producer", key])))?;
    }
    Ok(run(given).await?)
}

async fn nowhere() -> Result<Connection, Problem> {
    Ok(Connect::to("memory:").open().await?)
}

impl WorkerSettings {
    /// Each setting that is given, by itself, under its key.
    fn parts(&self) -> Vec<(&'static str, Self)> {
        let none = Self::default;
        let queues = self.queues.clone();
        let all = [
            ("queues", !queues.is_empty(), Self { queues, ..none() }),
            (
                "concurrency",
                self.concurrency.is_some(),
                Self {
                    concurrency: self.concurrency,
                    ..none()
                },
            ),
            (
                "lease",
                self.lease.is_some(),
                Self {
                    lease: self.lease,
                    ..none()
                },
            ),
            (
                "grace",
                self.grace.is_some(),
                Self {
                    grace: self.grace,
                    ..none()
                },
            ),
        ];
        given(all)
    }
}

impl ProducerSettings {
    /// Each setting that is given, by itself, under its key.
    fn parts(&self) -> Vec<(&'static str, Self)> {
        let none = Self::default;
        let (horizon, lease, shards) = (self.horizon, self.lease, self.shards);
        let all = [
            ("horizon", horizon.is_some(), Self { horizon, ..none() }),
            ("lease", lease.is_some(), Self { lease, ..none() }),
            ("shards", shards.is_some(), Self { shards, ..none() }),
        ];
        given(all)
    }
}

fn given<T, const N: usize>(all: [(&'static str, bool, T); N]) -> Vec<(&'static str, T)> {
    let given = all.into_iter().filter(|(_, given, _)| *given);
    given.map(|(key, _, part)| (key, part)).collect()
}
