//! Fires and API calls that end in HTTP requests, some of them after retries, with a third-party
//! collector that is told of every span: is each request connected to where it came from?

mod api;
mod collector;
mod headers;
mod spans;
mod target;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use collector::Collector;
pub use collector::Protocol;
pub use headers::message_headers;
use spans::Spans;
use target::Target;

use crate::{Place, Process, Result, ensure, tidemill, until};

/// How long the tasks, and then their spans, may take.
const PATIENCE: Duration = Duration::from_secs(240);

/// Two producers, three workers and the HTTP API, on one store.
#[derive(Clone, Debug)]
pub struct Traces {
    /// The seed: which requests fail at first.
    pub seed: u64,
    /// How many tasks come through the API, half of them one by one and half in batches.
    pub calls: usize,
    /// How many schedules fire each second.
    pub schedules: usize,
    /// How often each of them fires.
    pub fires: usize,
    /// How spans travel to the collector.
    pub protocol: Protocol,
}

/// What was seen.
#[derive(Clone, Debug)]
pub struct TracesSeen {
    /// Tasks, each of which has ended in a request that was answered with 200.
    pub tasks: usize,
    /// Of these, those that schedules have made.
    pub fires: usize,
    /// Requests: one for each run.
    pub requests: usize,
    /// Spans that the collector was told of.
    pub spans: usize,
    /// Requests that are connected, span by span, to the fire or the enqueue that they come from, and
    /// whose runs were seen settled.
    pub whole: usize,
}

impl TracesSeen {
    /// The share of requests that are connected.
    #[must_use]
    pub fn share(&self) -> f64 {
        100.0 * self.whole as f64 / self.requests.max(1) as f64
    }
}

impl Traces {
    /// Runs it; an error when a task is lost, or a request is not connected to where it came from.
    pub async fn run(&self, place: &Place, folder: &Path) -> Result<TracesSeen> {
        let collector = Collector::start(folder).await?;
        let target = Target::start(self.seed).await?;
        std::fs::write(folder.join("jobs.toml"), self.schedule_file(&target))?;
        let mut started = Vec::new();
        for number in 0..2 {
            let arguments = ["producer", "--schedules", "jobs.toml", "--horizon", "2s"];
            started.push(self.role(place, folder, &collector, number, &arguments)?);
        }
        for number in 0..3 {
            let arguments = ["worker", "--concurrency", "16"];
            started.push(self.role(place, folder, &collector, number, &arguments)?);
        }
        let listen = ["control", "--listen", "127.0.0.1:0", "--log-format", "json"];
        let control = self.role(place, folder, &collector, 0, &listen)?;
        let address = until("the API to listen", PATIENCE, async || {
            Ok(api::address(&control.errors()?))
        })
        .await?;
        started.push(control);
        api::enqueue(address, self.calls, target.address()).await?;

        let tasks = self.calls + self.schedules * self.fires;
        let served = until("every task's request", PATIENCE, async || {
            let served = target.served();
            Ok((served.len() >= tasks).then_some(served))
        })
        .await?;
        let fires = served.iter().filter(|path| path.starts_with("/fire/"));
        let fires = fires.count();
        self.end(started).await?;
        self.judge(&collector, &target, &served, fires).await
    }

    /// Ends processes; told to stop, they send what is left.
    async fn end(&self, mut started: Vec<Process>) -> Result {
        for process in &started {
            process.signal(Signal::SIGTERM)?;
        }
        for process in &mut started {
            let status = process.ended(Duration::from_secs(60)).await?;
            ensure(status.success(), || {
                format!("{process:?} ended with {status}")
            })?;
        }
        Ok(())
    }

    /// A role of the program, told where the collector is.
    fn role(
        &self,
        place: &Place,
        folder: &Path,
        collector: &Collector,
        number: usize,
        arguments: &[&str],
    ) -> Result<Process> {
        let mut command: Command = tidemill(place)?;
        command
            .args(arguments)
            .args(["--metrics", "off"])
            .current_dir(folder);
        collector.tell(&mut command, self.protocol);
        let role = arguments.first().unwrap_or(&"role");
        Process::spawn(&format!("{role}-{number}"), &mut command, folder)
    }

    fn schedule_file(&self, target: &Target) -> String {
        let mut text = String::new();
        for number in 0..self.schedules {
            // Writing to a string cannot fail.
            write!(
                text,
                "[[schedule]]\nid = \"tick-{number}\"\ncron = \"* * * * * ?\"\nkind = \"http\"\nlimit = {}\n\
                 misfire = \"fire_all\"\npayload = {{ url = \"http://{}/fire/{number}\" }}\n\n",
                self.fires,
                target.address(),
            )
            .unwrap_or_default();
        }
        text
    }

    /// Waits until the collector has told of all that has to be there.
    async fn judge(
        &self,
        collector: &Collector,
        target: &Target,
        served: &[String],
        fires: usize,
    ) -> Result<TracesSeen> {
        let requests = target.requests();
        let calls: BTreeSet<_> = served
            .iter()
            .filter(|path| path.starts_with("/call/"))
            .collect();
        ensure(calls.len() == self.calls, || {
            format!("{} of {} calls came to their end", calls.len(), self.calls)
        })?;
        let mut last = String::new();
        let judged = until("the collector", Duration::from_secs(30), async || {
            let spans = Spans::read(&collector.output()?);
            let broken = requests.iter().filter_map(|request| {
                spans
                    .gap(request)
                    .map(|gap| format!("{}: {gap}", request.path))
            });
            let broken: Vec<_> = broken.collect();
            last = format!(
                "{} of {} requests are not connected, such as {:?}",
                broken.len(),
                requests.len(),
                broken.first()
            );
            Ok(broken.is_empty().then(|| spans.len()))
        })
        .await;
        let spans = judged.map_err(|error| format!("{error}; {last}"))?;
        Ok(TracesSeen {
            tasks: served.len(),
            fires,
            requests: requests.len(),
            spans,
            whole: requests.len(),
        })
    }
}
