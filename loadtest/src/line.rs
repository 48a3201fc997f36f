//! Connections on which requests are made: HTTP/1.1 by hand, so that whoever measures costs little beside what
//! is measured.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::Result;

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body, of an answer with this status.
    pub(crate) fn expect(self, status: u16) -> Result<Vec<u8>> {
        if self.status == status {
            return Ok(self.body);
        }
        let said = String::from_utf8_lossy(&self.body);
        Err(format!("answered {}, expected {status}: {said}", self.status).into())
    }
}

/// A connection that is kept.
#[derive(Debug)]
struct Line {
    stream: BufReader<TcpStream>,
}

impl Line {
    async fn open(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    async fn ask(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request).await?;
        let mut head = String::new();
        self.stream.read_line(&mut head).await?;
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
        let status = status.ok_or("an answer that is no HTTP")?;
        let (mut length, mut chunked) = (0_usize, false);
        loop {
            head.clear();
            self.stream.read_line(&mut head).await?;
            let field = head.trim_end().to_ascii_lowercase();
            if field.is_empty() {
                break;
            }
            if let Some(text) = field.strip_prefix("content-length:") {
                length = text.trim().parse()?;
            }
            chunked |= field == "transfer-encoding: chunked";
        }
        let mut body = Vec::new();
        if !chunked {
            body.resize(length, 0);
            self.stream.read_exact(&mut body).await?;
            return Ok(Answer { status, body });
        }
        loop {
            head.clear();
            self.stream.read_line(&mut head).await?;
            let size = usize::from_str_radix(head.trim_end(), 16)?;
            let begin = body.len();
            body.resize(begin + size, 0);
            let place = body.get_mut(begin..).unwrap_or_default();
            self.stream.read_exact(place).await?;
            // Behind each chunk, and behind the last one, stands an end of line.
            head.clear();
            self.stream.read_line(&mut head).await?;
            if size == 0 {
                return Ok(Answer { status, body });
            }
        }
    }
}

/// So many connections at most, which are used again.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    to: SocketAddr,
    /// In turn, so that none lies idle until the server closes it.
    free: Arc<Mutex<VecDeque<Line>>>,
    room: Arc<Semaphore>,
}

impl Lines {
    pub(crate) fn to(to: SocketAddr, most: usize) -> Self {
        Self {
            to,
            free: Arc::default(),
            room: Arc::new(Semaphore::new(most)),
        }
    }

    /// A request; waits for a connection that is free.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> Result<Answer> {
        let _room = self.room.acquire().await?;
        let free = self.free().pop_front();
        let mut line = match free {
            Some(line) => line,
            None => Line::open(self.to).await?,
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.to,
            body.len()
        );
        let answer = line.ask(request.as_bytes()).await?;
        self.free().push_back(line);
        Ok(answer)
    }

    /// The body of a page, in JSON.
    pub(crate) async fn get(&self, path: &str) -> Result<serde_json::Value> {
        let answer = self.ask("GET", path, "").await?;
        Ok(serde_json::from_slice(&answer.expect(200)?)?)
    }

    fn free(&self) -> std::sync::MutexGuard<'_, VecDeque<Line>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
