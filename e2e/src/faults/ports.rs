//! Free ports of the loopback interface.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Result;

/// Redis Cluster talks between its nodes on the port that is this much higher. Both end below 32,768,
/// where Linux begins to hand out ports for outgoing connections.
const TO_BUS: u16 = 10_000;
const FIRST: u16 = 10_000;
const COUNT: u32 = 12_000;

/// A port that nothing listens on, and whose bus is free too.
pub fn free_port() -> Result<u16> {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    for _ in 0..COUNT {
        let taken = TAKEN.fetch_add(1, Ordering::Relaxed);
        // Processes begin far from each other: the factor is a prime.
        let place = std::process::id().wrapping_mul(5_003).wrapping_add(taken) % COUNT;
        let port = FIRST + u16::try_from(place)?;
        let listen = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        if listen(port).is_ok() && listen(port + TO_BUS).is_ok() {
            return Ok(port);
        }
    }
    Err("no port from 10000 to 21999 is free on 127.0.0.1; end some of what listens there".into())
}
