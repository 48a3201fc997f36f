//! The first words of AMQP.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// How long a node that accepts a connection may take to say the first word.
const FIRST_WORD: Duration = Duration::from_secs(1);

/// Whether a node on this port of the loopback interface answers the greeting of AMQP: it does so when it has started.
#[must_use]
pub fn greets(port: u16) -> bool {
    let greet = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(FIRST_WORD))?;
        stream.write_all(b"AMQP\0\0\x09\x01")?;
        let mut first = [0];
        stream.read_exact(&mut first)?;
        io::Result::Ok(first[0] == 1)
    };
    greet().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    use super::greets;

    fn greets_who_says(word: &'static [u8]) -> bool {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let node = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 8]).unwrap();
            stream.write_all(word).unwrap();
        });
        let answer = greets(port);
        node.join().unwrap();
        answer
    }

    #[test]
    fn a_method_is_an_answer_and_another_version_or_silence_is_none() {
        assert!(greets_who_says(&[1, 0, 0]));
        assert!(!greets_who_says(b"AMQP\0\0\x09\x01"));
        assert!(!greets_who_says(b""));
    }
}
