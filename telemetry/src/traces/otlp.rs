//! The exporters of OTLP.

use std::thread;
use std::time::Duration;

use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use reqwest::blocking::Client;
use tidemill_shared::{Error, ErrorKind, Result};

use super::refusals::{Attentive, Outlet, Refusals};

/// How long a request may take unless the environment says otherwise.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// How spans travel to the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    Grpc,
}

impl Protocol {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http/protobuf",
            Self::Grpc => "grpc",
        }
    }
}

/// Makes an exporter, which reads endpoint, headers and compression from the environment.
pub(super) fn exporter(protocol: Protocol, timeout: Duration) -> Result<Outlet<SpanExporter>> {
    choose_provider();
    let refusals = Refusals::default();
    let made = match protocol {
        Protocol::Http => SpanExporter::builder()
            .with_http()
            .with_http_client(client(timeout, &refusals)?)
            .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
            .build(),
        Protocol::Grpc => SpanExporter::builder().with_tonic().build(),
    };
    let exporter = made.map_err(|error| {
        Error::invalid("traces", "spans cannot be sent as the environment says").with_source(error)
    })?;
    Ok(Outlet { exporter, refusals })
}

/// Makes an exporter of http/protobuf to this collector.
pub(super) fn exporter_to(url: &str) -> Result<Outlet<SpanExporter>> {
    choose_provider();
    let refusals = Refusals::default();
    let made = SpanExporter::builder()
        .with_http()
        .with_http_client(client(TIMEOUT, &refusals)?)
        .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", url.trim_end_matches('/')))
        .build();
    let exporter = made.map_err(|error| {
        Error::invalid("traces", "spans cannot be sent there").with_source(error)
    })?;
    Ok(Outlet { exporter, refusals })
}

/// The client of the thread that sends. It brings a runtime of its own, which cannot be made within another.
fn client(timeout: Duration, refusals: &Refusals) -> Result<Attentive<Client>> {
    let make = move || Client::builder().timeout(timeout).build();
    let made = thread::Builder::new()
        .spawn(make)
        .map(thread::JoinHandle::join);
    let failed = || Error::new(ErrorKind::Internal, "traces", "there is no client for HTTP");
    match made {
        Ok(Ok(Ok(client))) => Ok(Attentive {
            client,
            refusals: refusals.clone(),
        }),
        Ok(Ok(Err(error))) => Err(failed().with_source(error)),
        Ok(Err(_)) => Err(failed()),
        Err(error) => Err(failed().with_source(error)),
    }
}

/// Fails when the program has chosen a provider of TLS already, which is then used.
fn choose_provider() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
}
