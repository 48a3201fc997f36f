//! A host and a port.

use std::fmt;

use crate::{Error, Result};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Its name or address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Address {
    /// A host and a port, unchecked.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }

    /// Reads `host`, `host:port`, `[::1]` or `[::1]:port`. No message repeats the text, because a
    /// password that was not percent-encoded may have ended up in it.
    pub fn parse(text: &str, default_port: u16) -> Result<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest
                    .split_once(']')
                    .ok_or_else(|| wrong("a host starts with [ but lacks the ]"))?;
                match port.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None if port.is_empty() => (host, None),
                    None => return Err(wrong("expected :PORT behind the ] of a host")),
                }
            }
            None => match text.split_once(':') {
                Some((_, port)) if port.contains(':') => {
                    return Err(wrong(
                        "an IPv6 address is written in brackets, such as [::1]",
                    ));
                }
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:%".contains(&b);
        if host.is_empty() {
            return Err(wrong("a host is missing; expected one such as localhost"));
        }
        if !host.bytes().all(is_plain) {
            return Err(wrong(
                "a host holds a character that no host has; is a password not percent-encoded?",
            ));
        }
        let port = match port {
            None => default_port,
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
                wrong("a port is not a number from 1 to 65535; is a password not percent-encoded?")
            })?,
        };
        Ok(Self::new(host, port))
    }
}

fn wrong(message: &str) -> Error {
    Error::invalid("connect", message)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}
