//! What a process says of its own clock beside that of the store.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::faults::PATIENCE;
use crate::process::Process;
use crate::{Result, until};

const NAME: &str = "tidemill_store_clock_skew_seconds";

/// Waits until a role tells in its `/metrics` that its clock is so many seconds ahead of the store's.
pub(super) async fn is_told_by(process: &Process, ahead: i64) -> Result {
    let what = format!("a process to tell that its clock is {ahead} s ahead");
    until(&what, PATIENCE, async || {
        let log = process.errors()?;
        let address = log.lines().find_map(|line| {
            let (_, rest) = line.split_once("serving /metrics address=")?;
            rest.split_whitespace().next()?.parse().ok()
        });
        let page = address.map_or(Ok(String::new()), page)?;
        let told = page.lines().find_map(|line| {
            let behind: f64 = line.strip_prefix(NAME)?.trim().parse().ok()?;
            Some((behind + ahead as f64).abs() < 60.0)
        });
        Ok(told.filter(|is_right| *is_right).map(drop))
    })
    .await
}

fn page(address: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}
