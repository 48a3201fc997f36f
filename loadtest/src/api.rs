//! Load on the HTTP API: a real `tidemill control`, with real workers, on a store that is spoken to by them alone.

mod batch;
mod enqueue;
mod intake;
mod pages;
mod service;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tidemill::parse_duration;

use crate::Result;
use crate::place::{Target, Wanted};
use crate::progress::Progress;
use crate::report::{Form, Report};
use crate::wrong_call::WrongCall;
use service::Programs;

/// What is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// One task in a request, at a fixed rate, whatever the answers take; measured from the planned instant
    Enqueue,
    /// Many tasks in a request, from callers who await each answer
    Batch,
    /// Pages of a listing among many tasks, by filters that mean many, few and none; statistics
    Pages,
}

/// Which part of the API, and how much of it.
#[derive(Args, Debug)]
pub(crate) struct Settings {
    #[command(flatten)]
    at: Wanted,
    /// The program `tidemill` [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// What is asked
    #[arg(long, value_name = "NAME")]
    part: Part,
    /// batch, pages: how many tasks [default: 500000; pages: 1000000]
    #[arg(long, value_name = "N")]
    tasks: Option<usize>,
    /// enqueue: requests per second
    #[arg(long, value_name = "R", default_value_t = 2_000)]
    rate: u32,
    /// enqueue: for how long
    #[arg(long, value_parser = parse_duration, default_value = "30s")]
    duration: Duration,
    /// How many connections at most [default: 64; batch: 4]
    #[arg(long, value_name = "N")]
    connections: Option<usize>,
    /// batch: tasks in a request
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    batch: usize,
    /// Bytes of payload of a task, at the least
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    payload: usize,
    /// How many worker processes run the tasks, with the handler `echo` [default: 1; pages: 0]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// pages: how often each page is asked for
    #[arg(long, value_name = "N", default_value_t = 50)]
    times: usize,
    /// pages: how long a page may take; beyond that the run fails
    #[arg(long, value_name = "DUR", value_parser = parse_duration, default_value = "100ms")]
    limit: Duration,
    /// What is printed
    #[arg(short, long, default_value = "both")]
    output: Form,
}

impl Settings {
    pub(crate) async fn run(&self) -> Result {
        if self.at.broker.starts_with("memory:") {
            let why = "memory: is one process's own; the API is a process apart".to_owned();
            return Err(WrongCall(why).into());
        }
        if self.rate == 0 || self.batch == 0 || self.times == 0 || self.connections == Some(0) {
            let why = "--rate, --batch, --times and --connections are 1 or more".to_owned();
            return Err(WrongCall(why).into());
        }
        let (target, place) = self.at.open().await?;
        let report = self.measure(&target).await;
        place.close().await?;
        report?.print(self.output)
    }

    async fn measure(&self, target: &Target) -> Result<Report> {
        let programs = Programs::new(self.program.as_deref(), target)?;
        let progress = Progress::default();
        let shown = progress.shown();
        let report = match self.part {
            Part::Enqueue => enqueue::run(self, &programs, &progress).await,
            Part::Batch => batch::run(self, &programs, &progress).await,
            Part::Pages => pages::run(self, &programs, &progress).await,
        };
        drop(shown);
        let mut report = report?;
        report.fact("broker", target.shown());
        Ok(report)
    }

    fn workers(&self) -> usize {
        self.workers.unwrap_or(match self.part {
            Part::Enqueue | Part::Batch => 1,
            Part::Pages => 0,
        })
    }

    fn report(&self, title: &str) -> Report {
        let name = self.part.to_possible_value();
        let name = name.map_or_else(String::new, |name| format!("api-{}", name.get_name()));
        let mut report = Report::new(&name, title.to_owned());
        report.fact("workers", self.workers() as u64);
        report
    }
}

/// A task as a body, with a payload of this size at the least.
fn body(number: usize, size: usize) -> String {
    let filling = "~".repeat(size.saturating_sub(24 + number.to_string().len()));
    format!(
        r#"{{"kind":"echo","queue":"loadtest","retention":"0s","payload":{{"number":{number},"filling":"{filling}"}}}}"#
    )
}
