//! The server: one listener, HTTP/1.1 alone, bounded in every direction.
//!
//! HTTP/2 is left to a proxy in front, with TLS: what is not spoken here cannot be attacked here.

mod framing;
mod seats;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, RawPathParams, Request};
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};
use futures::future::BoxFuture;
use http_body_util::BodyExt as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tidemill_producer::Client;
use tidemill_shared::{Connection, Error, ErrorKind, Namespace, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::access::{Door, Jwt, Tokens};
use crate::audit::Auditor;
use crate::gate;
use crate::replay::Replays;
use crate::route::Route;
use crate::routes::ROUTES;
use crate::settings::{Authentication, Settings};
use crate::state::{Answered, App};
use framing::Framed;
use seats::{Seat, Seats};

/// How long the head of a request may take, and an idle connection stay.
const HEAD: Duration = Duration::from_secs(10);
/// The longest head of a request.
const MAX_HEAD: usize = 32 * 1_024;
/// How many headers a request may have.
const MAX_HEADERS: usize = 64;
/// How long the accept loop rests when there are no descriptors left.
const REST: Duration = Duration::from_millis(100);
/// How long requests may go on after the end was asked for.
const GRACE: Duration = Duration::from_secs(10);

/// The control service, before it serves.
#[must_use = "a server does nothing until it runs"]
pub struct Server {
    app: App,
    namespace: Namespace,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("app", &self.app)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// A service on this store.
    pub fn new(connection: &Connection, namespace: Namespace, settings: Settings) -> Self {
        let app = App {
            connection: connection.clone(),
            client: Client::new(connection),
            tokens: Tokens::new(connection),
            jwt: None,
            limits: gate::Limits::new(settings.rate),
            auditor: Auditor::new(connection),
            replays: Replays::new(connection),
            streams: Arc::new(Semaphore::new(settings.max_streams)),
            feed: Arc::default(),
            reload: None,
            metrics: None,
            observer: None,
            work: TaskTracker::new(),
            stop: CancellationToken::new(),
            door: Door::Shut,
            settings,
        };
        Self { app, namespace }
    }

    /// What `POST /api/v1/reload` does; without it that answers that there is nothing to reload.
    pub fn on_reload<F>(mut self, reload: F) -> Self
    where
        F: Fn() -> BoxFuture<'static, Result<String>> + Send + Sync + 'static,
    {
        self.app.reload = Some(Arc::new(reload));
        self
    }

    /// What `/metrics` answers; without it that is not there.
    pub fn with_metrics<F>(mut self, metrics: F) -> Self
    where
        F: Fn() -> BoxFuture<'static, String> + Send + Sync + 'static,
    {
        self.app.metrics = Some(Arc::new(metrics));
        self
    }

    /// Who is told of every request that was answered. It must not block.
    pub fn on_answer<F>(mut self, observer: F) -> Self
    where
        F: Fn(&Answered) + Send + Sync + 'static,
    {
        self.app.observer = Some(Arc::new(observer));
        self
    }

    /// Binds the address, and refuses with [`ErrorKind::Invalid`] what would let strangers in: an
    /// address that is not loopback without authentication, or before there is anybody to let in.
    pub async fn bind(mut self) -> Result<Bound> {
        let settings = &self.app.settings;
        let loopback = settings.listen.ip().is_loopback();
        let off = settings.authentication == Authentication::Off;
        if off && !loopback {
            return Err(Error::invalid(
                "listen",
                format!(
                    "{} is not a loopback address, and without authentication everybody who \
                     reaches it could do anything; leave out --auth off, or listen on 127.0.0.1",
                    settings.listen
                ),
            ));
        }
        if let Some(jwt) = settings.jwt.clone() {
            let clock = Arc::clone(&self.app.connection.clock);
            self.app.jwt = Some(Jwt::new(jwt, self.namespace.clone(), clock).await?);
        }
        let somebody = self.app.jwt.is_some() || self.app.tokens.any_good().await?;
        if !loopback && !somebody {
            return Err(Error::invalid(
                "listen",
                format!(
                    "{} is not a loopback address, and there is no token yet that could come in; \
                     make one with `tidemill token create NAME --role admin`, or set up JWT",
                    settings.listen
                ),
            ));
        }
        // A token that has ended shows that somebody wanted the door shut: it counts as any other.
        let is_shut = somebody || !loopback || self.app.tokens.any().await?;
        self.app.door = match settings.authentication {
            Authentication::Off => Door::Open,
            Authentication::Required => Door::Shut,
            Authentication::Auto if is_shut => Door::Shut,
            Authentication::Auto => Door::ajar(self.app.connection.clock.now()),
        };
        if matches!(self.app.door, Door::Shut) && !somebody {
            tracing::warn!(
                "there is no token that could come in; make one with `tidemill token create NAME \
                 --role admin`, or let everybody on this machine in with --auth off"
            );
        }
        let listen = settings.listen;
        let cannot = |error: std::io::Error| {
            Error::new(
                ErrorKind::Unavailable,
                "listen",
                format!("{listen} cannot be listened on"),
            )
            .with_source(error)
        };
        let listener = TcpListener::bind(listen).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        self.app.settings.listen = address;
        Ok(Bound {
            app: Arc::new(self.app),
            listener,
            address,
        })
    }
}

/// The control service, at its address.
#[must_use = "a server does nothing until it runs"]
pub struct Bound {
    app: Arc<App>,
    listener: TcpListener,
    address: SocketAddr,
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Bound {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether whoever has no token is let in.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.app.is_open()
    }

    /// Serves until it is told to stop; requests that run may go on for 10 s.
    pub async fn run(self, stop: CancellationToken) -> Result<()> {
        let Self { app, listener, .. } = self;
        tracing::info!(address = %app.settings.listen, open = app.is_open(), "the control API listens");
        let router = router(&app);
        let room = Arc::new(Semaphore::new(app.settings.max_connections));
        let seats = Seats::default();
        let connections = TaskTracker::new();
        let ended = CancellationToken::new();
        let replays = app.clone();
        app.work.spawn(async move {
            replays.replays.resume_all(&replays.stop).await;
        });
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let (stream, remote) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Such as no descriptors left: others will be closed.
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = tokio::time::sleep(REST) => continue,
                    }
                }
            };
            if room.available_permits() == 0 {
                seats.free_one();
            }
            // When all are busy the rest wait, here and in the system's queue.
            let permit = tokio::select! {
                () = stop.cancelled() => break,
                permit = Arc::clone(&room).acquire_owned() => permit,
            };
            let (router, stop, ended) = (router.clone(), stop.clone(), ended.clone());
            let seat = seats.take();
            connections.spawn(async move {
                tokio::select! {
                    () = serve(stream, remote, router, &seat, stop) => {}
                    () = seat.away.cancelled() => {}
                    () = ended.cancelled() => {}
                }
                seat.leave();
                drop(permit);
            });
        }
        drop(listener);
        app.stop.cancel();
        connections.close();
        app.work.close();
        let well = async {
            connections.wait().await;
            app.work.wait().await;
        };
        if tokio::time::timeout(GRACE, well).await.is_err() {
            tracing::warn!("requests that did not end in time were cut off");
        }
        ended.cancel();
        connections.wait().await;
        Ok(())
    }
}

/// Serves one connection until its end.
async fn serve(
    stream: TcpStream,
    remote: SocketAddr,
    router: Router,
    seat: &Seat,
    stop: CancellationToken,
) {
    stream.set_nodelay(true).ok();
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let router = router.clone();
        let busy = seat.serve();
        async move {
            let mut request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(ConnectInfo(remote));
            let response = router.oneshot(request).await;
            let response = response.unwrap_or_else(|never| match never {});
            // An answer may go on for as long as its reader reads.
            Ok::<_, Infallible>(response.map(|body| {
                body.map_frame(move |frame| {
                    let _ = &busy;
                    frame
                })
            }))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(Framed::new(stream, MAX_HEAD)), service);
    tokio::pin!(connection);
    let served = tokio::select! {
        served = &mut connection => served,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, %remote, "a connection ended badly");
    }
}

/// The router, made of the table.
fn router(app: &Arc<App>) -> Router {
    let mut paths: BTreeMap<&str, MethodRouter> = BTreeMap::new();
    for route in ROUTES {
        let known = paths.remove(route.path).unwrap_or_default();
        paths.insert(route.path, known.merge(method_router(app, route)));
    }
    let mut router = Router::new();
    for (path, methods) in paths {
        router = router.route(path, methods);
    }
    router
        .fallback(gate::nothing_here)
        .method_not_allowed_fallback(gate::not_this_method)
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(app),
            gate::enter,
        ))
}

fn method_router(app: &Arc<App>, route: &'static Route) -> MethodRouter {
    let app = Arc::clone(app);
    let handler = move |from: ConnectInfo<SocketAddr>, params: RawPathParams, request: Request| {
        gate::pass(Arc::clone(&app), route, from, params, request)
    };
    let filter = match *route.method {
        Method::POST => MethodFilter::POST,
        Method::PUT => MethodFilter::PUT,
        Method::DELETE => MethodFilter::DELETE,
        _ => MethodFilter::GET,
    };
    on(filter, handler)
}
