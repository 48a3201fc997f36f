//! Enqueues through the HTTP API.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::{Result, ensure};

/// Callers at once.
const CALLERS: usize = 8;

/// Tasks of one batch.
const BATCH: usize = 50;

/// Where the API listens, by its log in JSON.
pub(super) fn address(log: &str) -> Option<SocketAddr> {
    let mut lines = log
        .lines()
        .filter(|line| line.contains("the control API listens"));
    let line: Value = serde_json::from_str(lines.next_back()?).ok()?;
    line["address"].as_str()?.parse().ok()
}

/// Enqueues so many requests to the target: half of them in calls of one, half in batches.
pub(super) async fn enqueue(api: SocketAddr, count: usize, target: SocketAddr) -> Result {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        callers.spawn(async move {
            let own: Vec<_> = (caller..count).step_by(CALLERS).collect();
            let (single, many) = own.split_at(own.len() / 2);
            let task = |number: &usize| {
                let url = format!("http://{target}/call/{number}");
                json!({ "kind": "http", "payload": { "url": url } })
            };
            let mut stream = BufReader::new(TcpStream::connect(api).await?);
            for number in single {
                post(&mut stream, "/api/v1/tasks", &task(number)).await?;
            }
            for batch in many.chunks(BATCH) {
                let tasks: Vec<_> = batch.iter().map(task).collect();
                post(
                    &mut stream,
                    "/api/v1/tasks/batch",
                    &json!({ "tasks": tasks }),
                )
                .await?;
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        });
    }
    while let Some(done) = callers.join_next().await {
        done??;
    }
    Ok(())
}

async fn post(stream: &mut BufReader<TcpStream>, path: &str, body: &Value) -> Result {
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut status = String::new();
    stream.read_line(&mut status).await?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await?;
        let header = header.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse()?;
        }
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).await?;
    ensure(status.contains(" 202 "), || {
        format!(
            "{path} answered {status}{}",
            String::from_utf8_lossy(&answer)
        )
    })
}
