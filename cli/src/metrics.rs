//! `/metrics`, `/healthz` and `/readyz` of a role, on a port of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::Deserialize;
use tidemill::telemetry::{Exposition, Metrics};
use tidemill::{CancellationToken, Error, ErrorKind};
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;

use crate::problem::Problem;
use crate::settings::Settings;

/// The ports that are tried when none is given.
pub(crate) const PRODUCER_PORT: u16 = 9464;
pub(crate) const WORKER_PORT: u16 = 9465;
pub(crate) const CONTROL_PORT: u16 = 9466;

/// Where `/metrics` is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum MetricsAddress {
    /// Nowhere.
    Off,
    /// There. Port 0 takes a free one.
    At(SocketAddr),
}

impl FromStr for MetricsAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| {
            Error::invalid(
                "metrics",
                format!("{text:?} is no address; expected IP:PORT, such as 127.0.0.1:9465, or off"),
            )
        })
    }
}

impl TryFrom<String> for MetricsAddress {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

/// Serves the metrics, and whether the process is ready, from the start; or does nothing. Ends when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Serving {
    tasks: TaskTracker,
    stop: Option<DropGuard>,
}

impl Serving {
    /// Takes the port and serves: the one of the settings, or else the usual one of the role, or else, as there
    /// may be several of a role on a host, a free one.
    pub(crate) async fn start(
        settings: &Settings,
        usual: u16,
        metrics: &Metrics,
    ) -> Result<Self, Problem> {
        let lost = settings.lost_lines.clone();
        metrics.watch_log(move || lost.count());
        if let Some(traces) = &settings.traces {
            metrics.watch_traces(traces);
        }
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let bound = match settings.metrics {
            Some(MetricsAddress::Off) => return Ok(Self::default()),
            Some(MetricsAddress::At(address)) => {
                Exposition::bind(address, metrics).await.map_err(|error| {
                    Problem::from(error).hint(
                        "name another address with --metrics, or turn it off with --metrics off",
                    )
                })?
            }
            None => match Exposition::bind(local(usual), metrics).await {
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    Exposition::bind(local(0), metrics).await?
                }
                bound => bound?,
            },
        };
        tracing::info!(address = %bound.address()?, "serving /metrics");
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let until = stop.clone();
        tasks.spawn(async move { bound.serve(&until).await });
        Ok(Self {
            tasks,
            stop: Some(stop.drop_guard()),
        })
    }

    /// Ends it.
    pub(crate) async fn end(self) {
        let Self { tasks, stop } = self;
        drop(stop);
        tasks.close();
        tasks.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::MetricsAddress;

    #[test]
    fn an_address_is_an_address_or_off() {
        assert_eq!(
            "off".parse::<MetricsAddress>().unwrap(),
            MetricsAddress::Off
        );
        assert!("127.0.0.1:0".parse::<MetricsAddress>().is_ok());
        let wrong = "9465".parse::<MetricsAddress>().unwrap_err().to_string();
        assert!(wrong.contains("expected IP:PORT"), "{wrong}");
    }
}
