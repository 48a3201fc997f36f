//! Free ports of the loopback interface.

use std::net::{Ipv4Addr, TcpListener};

/// Redis Cluster talks between its nodes on the port that is this much higher, and so does RabbitMQ here.
pub(super) const TO_BUS: u16 = 10_000;

/// The lowest port that is handed out, and how many may be tried.
///
/// These ports and their buses end below 32,768, where Linux begins to take ports for outgoing
/// connections and for whoever binds port 0: so no other test takes one between choice and use.
const FIRST: u16 = 10_000;
const COUNT: u16 = 12_000;
const _: () = assert!(FIRST + COUNT + TO_BUS < 32_768);

/// Hands out ports that nothing listens on.
pub(super) struct Ports {
    next: u16,
    tried: u16,
}

/// A port that is kept from others until it is released to the server that shall have it.
pub(super) struct Port {
    number: u16,
    _held: [TcpListener; 2],
}

impl Ports {
    /// Begins at a place that depends on this number; two runs with different numbers seldom meet.
    pub(super) fn from(number: u32) -> Self {
        // A prime, so that the neighbours that process ids are come to lie far apart.
        let place = u64::from(number) * 5_003 % u64::from(COUNT);
        Self {
            next: u16::try_from(place).expect("a remainder of a u16 is one"),
            tried: 0,
        }
    }

    /// The next port that is free, and whose bus is.
    pub(super) fn take(&mut self) -> Result<Port, Vec<String>> {
        while self.tried < COUNT {
            let number = FIRST + self.next;
            self.next = (self.next + 1) % COUNT;
            self.tried += 1;
            if let (Ok(port), Ok(bus)) = (listen(number), listen(number + TO_BUS)) {
                return Ok(Port {
                    number,
                    _held: [port, bus],
                });
            }
        }
        let last = FIRST + COUNT - 1;
        Err(vec![format!(
            "no port from {FIRST} to {last} is free on 127.0.0.1 together with the one {TO_BUS} \
             above it; end some of what listens there"
        )])
    }
}

impl Port {
    /// Lets the port go, to be bound by a server right away.
    pub(super) fn release(self) -> u16 {
        self.number
    }
}

fn listen(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    use super::{Ports, TO_BUS, listen};

    #[test]
    fn a_port_is_kept_with_its_bus_until_it_is_released() {
        let port = Ports::from(std::process::id()).take().unwrap();
        assert!(listen(port.number).is_err());
        assert!(listen(port.number + TO_BUS).is_err());
        let number = port.release();
        assert!(listen(number).is_ok() && listen(number + TO_BUS).is_ok());
    }

    #[test]
    fn a_port_that_is_in_use_is_passed_over() {
        let seed = std::process::id() + 1;
        let first = Ports::from(seed).take().unwrap();
        let second = Ports::from(seed).take().unwrap();
        assert_ne!(first.number, second.number);
    }
}
