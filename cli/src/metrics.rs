//! `/metrics` of a role, on a port of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::Deserialize;
use tidemill::telemetry::{Exposition, Metrics};
use tidemill::{CancellationToken, Error, ErrorKind};

use crate::problem::Problem;
use crate::settings::Settings;

/// The ports that are tried when none is given.
pub(crate) const PRODUCER_PORT: u16 = 9464;
pub(crate) const WORKER_PORT: u16 = 9465;

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

/// Serves the metrics, or does nothing, until it is told to stop.
#[derive(Debug)]
pub(crate) struct Serving(Option<Exposition>);

impl Serving {
    /// Takes the port: the one of the settings, or else the usual one of the role, or else, as there may be
    /// several of a role on a host, a free one.
    pub(crate) async fn open(
        settings: &Settings,
        usual: u16,
        metrics: &Metrics,
    ) -> Result<Self, Problem> {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let bound = match settings.metrics {
            Some(MetricsAddress::Off) => return Ok(Self(None)),
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
        Ok(Self(Some(bound)))
    }

    /// Serves until then.
    pub(crate) async fn serve(self, stop: &CancellationToken) {
        if let Self(Some(exposition)) = self {
            exposition.serve(stop).await;
        }
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
