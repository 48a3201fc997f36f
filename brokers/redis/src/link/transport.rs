//! The bytes below: TCP, with or without TLS.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use redis::io::tcp::socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::fault::Fault;
use super::tls;
use super::wire::unreachable_at;
use crate::options::{Address, TlsOptions};

/// Bytes to and from a server.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Transport for T {}

/// Connects to any of the host's addresses.
pub(super) async fn connect(
    address: &Address,
    tls: Option<&TlsOptions>,
) -> Result<Pin<Box<dyn Transport>>, Fault> {
    let stream = TcpStream::connect((&*address.host, address.port))
        .await
        .and_then(tuned)
        .map_err(|error| unreachable_at(address, &error.to_string()))?;
    match tls {
        None => Ok(Box::pin(stream)),
        Some(options) => Ok(Box::pin(tls::wrap(stream, address, options).await?)),
    }
}

/// Small writes go out at once, and a peer that has vanished is noticed while nothing is sent.
fn tuned(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(15))
        .with_interval(Duration::from_secs(5))
        .with_retries(3);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    Ok(stream)
}
