//! A collector that somebody else has made: rotel, which prints the spans that it is sent.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::{Process, Result, until};

/// How spans travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP in protobuf over HTTP.
    Http,
    /// OTLP over gRPC.
    Grpc,
}

#[derive(Debug)]
pub(super) struct Collector {
    process: Process,
    http: u16,
    grpc: u16,
}

impl Collector {
    pub(super) async fn start(folder: &Path) -> Result<Self> {
        let (http, grpc) = (free_port()?, free_port()?);
        let mut command = Command::new(program()?);
        command
            .args(["start", "--exporter", "blackhole"])
            .args(["--debug-log", "traces", "--debug-log-verbosity", "detailed"])
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
            .args(["--pid-file", "rotel.pid", "--log-file", "rotel.log"])
            .current_dir(folder);
        let process = Process::spawn("rotel", &mut command, folder)?;
        for port in [http, grpc] {
            until(
                "the collector to listen",
                Duration::from_secs(20),
                async || Ok(TcpStream::connect(("127.0.0.1", port)).await.ok()),
            )
            .await?;
        }
        Ok(Self {
            process,
            http,
            grpc,
        })
    }

    /// Tells a program to send its spans here.
    pub(super) fn tell(&self, command: &mut Command, protocol: Protocol) {
        let (port, name) = match protocol {
            Protocol::Http => (self.http, "http/protobuf"),
            Protocol::Grpc => (self.grpc, "grpc"),
        };
        command
            .env(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                format!("http://127.0.0.1:{port}"),
            )
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", name);
    }

    /// What it has printed.
    pub(super) fn output(&self) -> Result<String> {
        self.process.output()
    }
}

/// Where it is: `cargo xtask test` installs it and says so.
fn program() -> Result<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "`cargo xtask test` says where, as a test has no arguments"
    )]
    let path = std::env::var("TIDEMILL_TEST_ROTEL");
    let missing = "TIDEMILL_TEST_ROTEL does not name the collector; run `cargo xtask test`, or paste what `cargo xtask services` prints";
    Ok(path.map_err(|_| missing)?.into())
}

/// A port that nobody had a moment ago.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
