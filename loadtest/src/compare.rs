//! The store beside its floor, turn by turn in one run, so that the ratio holds on any machine.

use std::path::Path;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::time::Instant;

use crate::Result;
use crate::floor::{Floor, Row};
use crate::report::{Report, grouped, rate};
use crate::scenario::{cycle, load, waiting};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// Enqueue, lease and settle, batch by batch.
    Lifecycle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Synchronous {
    Full,
    Normal,
    Off,
}

impl Synchronous {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Normal => "normal",
            Self::Off => "off",
        }
    }
}

/// What is compared.
#[derive(Args, Debug)]
pub(crate) struct Settings {
    /// What both do.
    #[arg(long, default_value = "lifecycle")]
    scenario: Scenario,
    /// How many tasks in one turn.
    #[arg(long, default_value_t = 20_000)]
    tasks: usize,
    /// Tasks per batch; repeatable.
    #[arg(long, default_values_t = [16, 64, 256])]
    batch: Vec<usize>,
    /// How many turns each has; the median counts.
    #[arg(long, default_value_t = 5)]
    turns: usize,
    /// What a commit waits for.
    #[arg(long, default_value = "normal")]
    synchronous: Synchronous,
    /// Fails when the store's share of the floor is below this.
    #[arg(long)]
    at_least: Option<f64>,
}

impl Settings {
    /// Compares, reports, and fails when the store is too far from the floor.
    pub(crate) async fn run(&self) -> Result {
        for batch in &self.batch {
            let folder = tempfile::tempdir()?;
            let (mut store, mut floor) = (Vec::new(), Vec::new());
            for turn in 0..self.turns.max(1) {
                let place = folder.path().join(turn.to_string());
                std::fs::create_dir(&place)?;
                let (of_store, of_floor) = self.turn(&place, *batch).await?;
                store.push(of_store);
                floor.push(of_floor);
            }
            self.report(*batch, median(&mut store), median(&mut floor))?;
        }
        Ok(())
    }

    /// Both on fresh files, one after the other.
    async fn turn(&self, folder: &Path, batch: usize) -> Result<(Duration, Duration)> {
        let Scenario::Lifecycle = self.scenario;
        let model = folder.join("store.db");
        let synchronous = self.synchronous.as_str();
        let url = format!("sqlite:{}?synchronous={synchronous}", model.display());
        let connection = tidemill::connect(&url).await?;
        let envelopes = load::envelopes(0..self.tasks, load::PAYLOAD)?;
        let rows = envelopes
            .iter()
            .map(|envelope| {
                Ok(Row {
                    id: envelope.id.as_str().to_owned(),
                    envelope: tidemill::encode_envelope(envelope)?,
                    at: envelope.enqueued_at.as_micros(),
                })
            })
            .collect::<Result<Vec<Row>>>()?;

        let start = Instant::now();
        cycle(&connection, envelopes, batch).await?;
        let of_store = start.elapsed();
        if waiting(&connection).await? > 0 {
            return Err("the store left tasks behind".into());
        }

        let mut floor = Floor::new(&folder.join("floor.db"), &model, synchronous)?;
        let start = Instant::now();
        floor.cycle(&rows, batch)?;
        Ok((of_store, start.elapsed()))
    }

    fn report(&self, batch: usize, store: Duration, floor: Duration) -> Result {
        let ratio = floor.as_secs_f64() / store.as_secs_f64();
        let title = format!(
            "life cycles, batches of {batch}, synchronous {}",
            self.synchronous.as_str()
        );
        let mut report = Report::new("compare-lifecycle", title);
        report
            .fact("batch", batch as u64)
            .fact("synchronous", self.synchronous.as_str());
        report
            .fact("tasks_per_turn", self.tasks as u64)
            .fact("turns", self.turns as u64);
        report
            .rate("store", self.tasks, store)
            .rate("floor", self.tasks, floor);
        report.fact("store_per_floor", (ratio * 1e3).round() / 1e3);
        report.print()?;
        match self.at_least {
            Some(least) if ratio < least => Err(format!(
                "the store does {} life cycles a second, {ratio:.2} of the floor; expected {least}",
                grouped(rate(self.tasks, store)),
            )
            .into()),
            _ => Ok(()),
        }
    }
}

fn median(turns: &mut [Duration]) -> Duration {
    turns.sort_unstable();
    turns.get(turns.len() / 2).copied().unwrap_or_default()
}
