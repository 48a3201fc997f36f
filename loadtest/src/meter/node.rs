//! A node of RabbitMQ as a process of this machine.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// How long it may take to say its version.
const PATIENCE: Duration = Duration::from_secs(2);

/// One node in the clear.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    host: String,
    port: u16,
}

impl Node {
    /// The only host of a URL without its options; none where that is another broker's, or names several.
    pub(super) fn at(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("amqp://")?;
        let authority = rest.split('/').next()?;
        let host = authority.rsplit('@').next()?;
        if host.contains(',') {
            return None;
        }
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (host, 5672),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some(Self {
            host: host.to_owned(),
            port,
        })
    }

    /// The process that listens there, if it is on this machine and may be looked at.
    pub(super) fn process(&self) -> Option<u32> {
        let is_here = ["localhost", "::1"].contains(&&*self.host) || self.host.starts_with("127.");
        is_here.then(|| listener(self.port)).flatten()
    }

    /// What it says of itself when it is greeted.
    pub(super) fn version(&self) -> Option<String> {
        let mut stream = TcpStream::connect((&*self.host, self.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.write_all(b"AMQP\0\0\x09\x01").ok()?;
        // Type, channel and size; then the method, with the properties of the server as a table.
        let mut head = [0; 7];
        stream.read_exact(&mut head).ok()?;
        let [.., a, b, c, d] = head;
        let size = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
        let mut start = vec![0; size.min(64 * 1024)];
        stream.read_exact(&mut start).ok()?;
        Some(format!("rabbitmq {}", text(&start, "version")?))
    }
}

/// A text in a table of AMQP: its name with its length, an `S`, and its length in four bytes.
fn text(table: &[u8], name: &str) -> Option<String> {
    let size = u8::try_from(name.len()).ok()?;
    let field = [&[size], name.as_bytes(), b"S"].concat();
    let at = table
        .windows(field.len())
        .position(|window| window == field)?;
    let (size, rest) = table.get(at + field.len()..)?.split_first_chunk()?;
    let text = rest.get(..usize::try_from(u32::from_be_bytes(*size)).ok()?)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// Who listens at a port, as Linux tells it: the socket, and whose it is.
fn listener(port: u16) -> Option<u32> {
    let sockets = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| {
        let table = fs::read_to_string(path).unwrap_or_default();
        socket(&table, port).map(str::to_owned)
    });
    let socket = format!("socket:[{}]", sockets.into_iter().flatten().next()?);
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.find(|process| {
        let files = fs::read_dir(format!("/proc/{process}/fd"));
        let mut files = files.into_iter().flatten().flatten();
        files.any(|file| fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == &*socket))
    })
}

/// The number of the socket that listens at a port, in a table of Linux.
fn socket(table: &str, port: u16) -> Option<&str> {
    let port = format!(":{port:04X}");
    table.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (local, state) = (fields.get(1)?, fields.get(3)?);
        let listens = local.ends_with(&port) && *state == "0A";
        fields.get(9).copied().filter(|_| listens)
    })
}

#[cfg(test)]
mod tests {
    use super::{Node, socket, text};

    fn node(url: &str) -> Option<(String, u16)> {
        Node::at(url).map(|node| (node.host, node.port))
    }

    #[test]
    fn a_url_names_a_node() {
        assert_eq!(node("amqp://localhost"), Some(("localhost".into(), 5672)));
        let whole = node("amqp://u:p@127.0.0.1:7/jobs");
        assert_eq!(whole, Some(("127.0.0.1".into(), 7)));
        assert_eq!(node("amqp://[::1]:7"), Some(("::1".into(), 7)));
        assert_eq!(node("amqp://[::1]"), Some(("::1".into(), 5672)));
        assert_eq!(node("amqp://one,two"), None);
        assert_eq!(node("redis://localhost"), None);
    }

    #[test]
    fn a_text_is_found_in_a_table() {
        let table = b"\x07productS\0\0\0\x08RabbitMQ\x07versionS\0\0\0\x063.10.8\x00";
        assert_eq!(text(table, "version").as_deref(), Some("3.10.8"));
        assert_eq!(text(table, "platform"), None);
        assert_eq!(text(b"\x07versionS\0\0\0\x063", "version"), None);
    }

    #[test]
    fn a_listener_is_told_from_a_connection() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1628 0100007F:D204 01 00000000:00000000 00:00000000 00000000     0        0 11 1 0\n\
             1: 0100007F:1628 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1 0\n";
        assert_eq!(socket(table, 0x1628), Some("12"));
        assert_eq!(socket(table, 0x1629), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn who_listens_is_found() {
        let here = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = here.local_addr().unwrap().port();
        assert_eq!(super::listener(port), Some(std::process::id()));
    }
}
