//! SIGTERM and SIGINT: the first asks for a graceful end, the second for one at once.

use std::convert::Infallible;
use std::future::Future;

use tidemill_shared::{Error, ErrorKind, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Begins to listen. The future passes the signals on and never ends.
pub(crate) fn relay(
    stop: &CancellationToken,
    at_once: &CancellationToken,
) -> Result<impl Future<Output = Infallible> + use<>> {
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let (stop, at_once) = (stop.clone(), at_once.clone());
    Ok(async move {
        for (token, text) in [
            (stop, "finishing what runs; a second signal ends at once"),
            (at_once, "ending at once"),
        ] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("{text}");
            token.cancel();
        }
        std::future::pending().await
    })
}

fn listen(kind: SignalKind) -> Result<Signal> {
    signal(kind).map_err(|error| {
        Error::new(
            ErrorKind::Internal,
            "worker",
            "the process's signals can't be listened to",
        )
        .with_source(error)
    })
}
