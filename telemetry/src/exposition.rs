//! `/metrics`, `/healthz` and `/readyz` on a port of their own.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tidemill_shared::{Error, ErrorKind, Result};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Format, Metrics};

/// Serves the metrics of a process, and how it is, to whoever can reach its port: `/metrics`; `/healthz`, 200
/// while the process lives; `/readyz`, 200 while the store that it watches answers, and 503 otherwise.
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
        let routes = metrics_router(&self.metrics).merge(health_router(&self.metrics));
        let server = axum::serve(self.listener, routes);
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

fn health_router(metrics: &Metrics) -> Router {
    Router::new()
        .route("/healthz", get(|| async { OK }))
        .route("/readyz", get(ready))
        .with_state(metrics.clone())
}

const JSON: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "application/json")];
const OK: ([(HeaderName, &str); 1], &str) = (JSON, r#"{"status":"ok"}"#);

async fn ready(State(metrics): State<Metrics>) -> Response {
    match metrics.is_ready().await {
        true => OK.into_response(),
        false => {
            let body = r#"{"status":"waiting for the store"}"#;
            (StatusCode::SERVICE_UNAVAILABLE, JSON, body).into_response()
        }
    }
}

async fn scrape(State(metrics): State<Metrics>, headers: HeaderMap) -> Response {
    let begun = Instant::now();
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::accepted(accept.unwrap_or_default());
    let page = metrics.render(format).await;
    metrics.http_request("metrics", 200, begun.elapsed());
    ([(CONTENT_TYPE, format.content_type())], page).into_response()
}
