//! Who is told of alerts.

use serde_json::Value;
use tidemill_e2e::{Result, until};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::PATIENCE;

/// Takes what an Alertmanager tells.
#[derive(Debug)]
pub(crate) struct Webhook {
    address: String,
    told: watch::Receiver<Vec<Value>>,
    _serving: JoinSet<()>,
}

impl Webhook {
    pub(crate) async fn open() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (tell, told) = watch::channel(Vec::new());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(alerts) = take(stream).await {
                    tell.send_modify(|all| all.extend(alerts));
                }
            }
        });
        Ok(Self {
            address,
            told,
            _serving: serving,
        })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Waits until an alert was told in this state.
    pub(crate) async fn until_told(&self, state: &str, name: &str) -> Result {
        let told = |alert: &Value| alert["status"] == state && alert["labels"]["alertname"] == name;
        until(
            &format!("{name} to be told as {state}"),
            PATIENCE,
            async || {
                let is_told = self.told.borrow().iter().any(told);
                Ok(is_told.then_some(()))
            },
        )
        .await
    }
}

/// Reads one call and answers it; the connection is not kept.
async fn take(stream: TcpStream) -> Result<Vec<Value>> {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    stream.get_mut().write_all(answer.as_bytes()).await?;
    let mut call: Value = serde_json::from_slice(&body)?;
    match call["alerts"].take() {
        Value::Array(alerts) => Ok(alerts),
        other => Err(format!("no alerts: {other}").into()),
    }
}
