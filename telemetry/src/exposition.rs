//! `/metrics` on a port of its own.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tidemill_shared::{Error, ErrorKind, Result};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Format, Metrics};

/// Serves the metrics of a process to whoever can reach its port.
#[derive(Debug)]
pub struct Exposition {
    listener: TcpListener,
    metrics: Metrics,
}

impl Exposition {
    /// Takes a port; port 0 takes a free one. Fails with [`ErrorKind::Unavailable`] when it is taken.
    pub async fn bind(address: SocketAddr, metrics: &Metrics) -> Result<Self> {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            Error::new(
                ErrorKind::Unavailable,
                "metrics",
                format!("the metrics cannot be served on {address}"),
            )
            .with_source(error)
        })?;
        Ok(Self {
            listener,
            metrics: metrics.clone(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> Result<SocketAddr> {
        self.listener.local_addr().map_err(|error| {
            Error::new(ErrorKind::Internal, "metrics", "the port is not known").with_source(error)
        })
    }

    /// Answers until `stop` is cancelled. Requests that are under way then are cut off.
    pub async fn serve(self, stop: &CancellationToken) {
        let server = axum::serve(self.listener, metrics_router(&self.metrics));
        tokio::select! {
            ended = server => if let Err(error) = ended {
                tracing::error!(%error, "the metrics are served no longer");
            },
            () = stop.cancelled() => {}
        }
    }
}

/// The route `/metrics`, to be merged into another server's routes.
pub fn metrics_router(metrics: &Metrics) -> Router {
    Router::new()
        .route("/metrics", get(scrape))
        .with_state(metrics.clone())
}

async fn scrape(State(metrics): State<Metrics>, headers: HeaderMap) -> Response {
    let begun = Instant::now();
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::accepted(accept.unwrap_or_default());
    let page = metrics.render(format).await;
    metrics.http_request("/metrics", begun.elapsed());
    ([(CONTENT_TYPE, format.content_type())], page).into_response()
}
