//! What a program tells of itself while it is measured, and who listens.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use clap::ValueEnum;
use tidemill::telemetry::{Exposition, Metrics, Traces};
use tidemill::{CancellationToken, Connection, Worker, WorkerBuilder};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::Result;
use crate::line::Lines;

/// How much it tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Telemetry {
    /// Nothing
    #[default]
    Off,
    /// Metrics, which somebody reads once a second
    Metrics,
    /// Metrics, and spans of one trace in ten for a collector that takes them all
    Tenth,
    /// The same of every trace
    All,
    /// The same, but the collector takes connections and nothing else, and metrics are read 100 times a second
    Beset,
}

impl Telemetry {
    /// Its name on the command line.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// The metrics and spans of this process, with whoever listens to them; ends with them.
#[derive(Debug, Default)]
pub(crate) struct Teller {
    metrics: Option<Metrics>,
    traces: Option<Traces>,
    listeners: JoinSet<Result>,
}

impl Teller {
    pub(crate) async fn start(telemetry: Telemetry) -> Result<Self> {
        let mut teller = Self::default();
        if telemetry == Telemetry::Off {
            return Ok(teller);
        }
        let metrics = Metrics::new("worker");
        let exposition = Exposition::bind(([127, 0, 0, 1], 0).into(), &metrics).await?;
        let address = exposition.address()?;
        let listeners = &mut teller.listeners;
        listeners.spawn(async move {
            exposition.serve(&CancellationToken::new()).await;
            Ok(())
        });
        let pause = match telemetry {
            Telemetry::Beset => Duration::from_millis(10),
            _ => Duration::from_secs(1),
        };
        listeners.spawn(async move {
            let lines = Lines::to(address, 1);
            let mut ticks = interval(pause);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                lines.ask("GET", "/metrics", "").await?.expect(200)?;
            }
        });
        teller.metrics = Some(metrics);
        if telemetry != Telemetry::Metrics {
            let collector = TcpListener::bind(("127.0.0.1", 0)).await?;
            let url = format!("http://{}", collector.local_addr()?);
            listeners.spawn(async move {
                if telemetry != Telemetry::Beset {
                    let takes_all = Router::new().fallback(async |_: Bytes| {});
                    axum::serve(collector, takes_all).await?;
                } else {
                    let mut held = Vec::new();
                    loop {
                        held.push(collector.accept().await?);
                    }
                }
                Ok(())
            });
            let share = match telemetry {
                Telemetry::Tenth => 0.1,
                _ => 1.0,
            };
            teller.traces = Some(Traces::share_to_collector(share, &url, "loadtest")?);
        }
        Ok(teller)
    }

    /// The same store, told of.
    pub(crate) fn watch(&self, connection: &Connection) -> Connection {
        let metered = self.metrics.as_ref().map(|it| it.watch(connection));
        let connection = metered.unwrap_or_else(|| connection.clone());
        let traced = self.traces.as_ref().map(|it| it.watch(&connection));
        traced.unwrap_or(connection)
    }

    /// Builds a worker that is told of.
    pub(crate) fn build<S>(&self, mut worker: WorkerBuilder<S>) -> Result<Worker>
    where
        S: Clone + Send + Sync + 'static,
    {
        let Some(metrics) = &self.metrics else {
            return Ok(worker.build()?);
        };
        worker = worker.on_event(metrics.worker_observer());
        let worker = worker.build()?;
        metrics.watch_worker(&worker);
        Ok(worker)
    }

    /// How many spans this process has made, and how many of them its collector has taken.
    pub(crate) fn spans(&self) -> Option<[u64; 2]> {
        let counts = self.traces.as_ref()?.counts();
        let made = counts.exported + counts.rejected + counts.dropped + counts.failed;
        Some([made, counts.exported])
    }
}
