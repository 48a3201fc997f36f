//! What the handler `http` calls: a server that notes the trace of every request and fails some of them
//! the first time.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::Result;

/// One of so many requests is refused the first time.
const ONE_OF: u64 = 7;

/// A request that came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) trace: String,
    pub(super) span: String,
}

#[derive(Debug)]
pub(super) struct Target {
    address: SocketAddr,
    seen: Arc<Seen>,
    /// Ends with this.
    _serving: JoinSet<()>,
}

#[derive(Debug)]
struct Seen {
    seed: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<Request>,
    served: Vec<String>,
    refused: HashSet<String>,
}

impl Target {
    pub(super) async fn start(seed: u64) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Seen {
            seed,
            state: Mutex::default(),
        });
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, Arc::clone(&seen)));
        Ok(Self {
            address,
            seen,
            _serving: serving,
        })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request that came.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.seen.state().requests.clone()
    }

    /// The paths that were answered with 200, one for each task.
    pub(super) fn served(&self) -> Vec<String> {
        self.seen.state().served.clone()
    }
}

impl Seen {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request; answers its status.
    fn take(&self, path: String, parent: &str, task: &str) -> &'static str {
        let mut parts = parent.split('-').skip(1).map(str::to_owned);
        let (trace, span) = (parts.next(), parts.next());
        let hash = task.bytes().fold(self.seed, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let mut state = self.state();
        state.requests.push(Request {
            path: path.clone(),
            trace: trace.unwrap_or_default(),
            span: span.unwrap_or_default(),
        });
        if hash % ONE_OF == 0 && state.refused.insert(task.to_owned()) {
            return "503 Service Unavailable\r\nretry-after: 0";
        }
        state.served.push(path);
        "200 OK"
    }
}

async fn accept(listener: TcpListener, seen: Arc<Seen>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let seen = Arc::clone(&seen);
        connections.spawn(async move {
            // A caller that goes away has ended.
            drop(serve(stream, &seen).await);
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Answers the requests of a connection, none of which has a body.
async fn serve(mut stream: TcpStream, seen: &Seen) -> std::io::Result<()> {
    let (input, mut output) = stream.split();
    let mut lines = BufReader::new(input).lines();
    while let Some(line) = lines.next_line().await? {
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let (mut parent, mut task) = (String::new(), String::new());
        while let Some(header) = lines.next_line().await? {
            match header.split_once(": ") {
                Some(("traceparent", value)) => parent = value.to_owned(),
                Some(("idempotency-key", value)) => task = value.to_owned(),
                Some(_) => {}
                None => break,
            }
        }
        let status = seen.take(path, &parent, &task);
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        output.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}
