//! A Prometheus with an Alertmanager, and plain HTTP to ask them.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tidemill_e2e::faults::free_port;
use tidemill_e2e::{Process, Result, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::PATIENCE;
use crate::programs::{program, repository};

/// The two processes.
#[derive(Debug)]
pub(crate) struct Prometheus {
    address: String,
    _processes: [Process; 2],
}

impl Prometheus {
    /// Scrapes these targets each second by the repository's rules. Whatever these wait for is cut to a second, as
    /// `promtool test rules` holds them to it elsewhere.
    pub(crate) async fn start(
        folder: &Path,
        targets: &[String],
        others: &str,
        webhook: &str,
    ) -> Result<Self> {
        let (watching, alerting) = (free_port()?, free_port()?);
        for file in ["recording.yml", "alerts.yml"] {
            let text = std::fs::read_to_string(repository("dashboards/prometheus").join(file))?;
            std::fs::write(folder.join(file), at_once(&text))?;
        }
        let quoted: Vec<_> = targets.iter().map(|target| format!("{target:?}")).collect();
        let scraped = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}
rule_files: [recording.yml, alerts.yml]
alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: [\"127.0.0.1:{alerting}\"] }}] }}] }}
scrape_configs:
  - job_name: tidemill
    honor_labels: true
    static_configs: [{{ targets: [{}], labels: {{ component: tidemill }} }}]
  - job_name: redis
    static_configs: [{{ targets: [{others:?}] }}]
",
            quoted.join(", ")
        );
        std::fs::write(folder.join("prometheus.yml"), scraped)?;
        let told = format!(
            "route: {{ receiver: webhook, group_by: [alertname], group_wait: 100ms, group_interval: 1s }}
receivers: [{{ name: webhook, webhook_configs: [{{ url: \"http://{webhook}/\" }}] }}]
"
        );
        std::fs::write(folder.join("alertmanager.yml"), told)?;
        let mut manager = program("TIDEMILL_TEST_ALERTMANAGER", "prometheus-alertmanager");
        manager
            .current_dir(folder)
            .args(["--config.file=alertmanager.yml", "--storage.path=alerts"])
            .args(["--cluster.listen-address=", "--log.level=warn"])
            .arg(format!("--web.listen-address=127.0.0.1:{alerting}"));
        let manager = Process::spawn("alertmanager", &mut manager, folder)?;
        let mut server = program("TIDEMILL_TEST_PROMETHEUS", "prometheus");
        server
            .current_dir(folder)
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=series"])
            .args(["--enable-feature=exemplar-storage", "--log.level=warn"])
            .arg(format!("--web.listen-address=127.0.0.1:{watching}"));
        let server = Process::spawn("prometheus", &mut server, folder)?;
        let prometheus = Self {
            address: format!("127.0.0.1:{watching}"),
            _processes: [manager, server],
        };
        until("Prometheus to be ready", PATIENCE, async || {
            let ready = get(&prometheus.address, "/-/ready").await;
            Ok(ready.ok().filter(|(status, _)| *status == 200))
        })
        .await?;
        Ok(prometheus)
    }

    /// The series that an expression yields now.
    pub(crate) async fn query(&self, expression: &str) -> Result<Vec<Value>> {
        let form = format!("query={}", encoded(expression));
        let (status, body) = send(&self.address, "POST /api/v1/query", &form).await?;
        if status != 200 {
            return Err(format!("{expression}: {status} {body}").into());
        }
        let mut answer: Value = serde_json::from_str(&body)?;
        match answer["data"]["result"].take() {
            Value::Array(series) => Ok(series),
            other => Err(format!("{expression}: {other}").into()),
        }
    }

    /// Waits until an expression yields a number.
    pub(crate) async fn until_answered(&self, what: &str, expression: &str) -> Result {
        let what = format!("{what} to show something: {expression}");
        until(&what, PATIENCE, async || {
            let series = self.query(expression).await?;
            let is_number =
                |one: &Value| one["value"][1].as_str().is_some_and(|text| text != "NaN");
            if series.iter().any(is_number) {
                return Ok(Some(()));
            }
            // The next scrape is what may change it.
            tidemill_e2e::pause(Duration::from_millis(200)).await;
            Ok(None)
        })
        .await
    }

    /// Every rule, with what came of it.
    pub(crate) async fn rules(&self) -> Result<Vec<Value>> {
        let (_, body) = get(&self.address, "/api/v1/rules").await?;
        let answer: Value = serde_json::from_str(&body)?;
        let groups = answer["data"]["groups"].as_array().into_iter().flatten();
        let rules = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
        Ok(rules.cloned().collect())
    }
}

/// Rules without their patience.
fn at_once(rules: &str) -> String {
    let lines = rules.lines().map(|line| match line.trim_start() {
        text if text.starts_with("for: ") => "        for: 0s",
        text if text.starts_with("interval: ") => "    interval: 1s",
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A form's value.
fn encoded(text: &str) -> String {
    let bytes = text.bytes().map(|byte| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    bytes.collect()
}

/// One GET; answers the status and the body.
pub(crate) async fn get(address: &str, path: &str) -> Result<(u16, String)> {
    exchange(
        address,
        &format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n"),
    )
    .await
}

async fn send(address: &str, request: &str, form: &str) -> Result<(u16, String)> {
    let media = "application/x-www-form-urlencoded";
    exchange(address, &with_body(address, request, media, form)).await
}

/// One POST of JSON.
pub(crate) async fn post(address: &str, path: &str, json: &str) -> Result<(u16, String)> {
    let request = format!("POST {path}");
    exchange(
        address,
        &with_body(address, &request, "application/json", json),
    )
    .await
}

fn with_body(address: &str, request: &str, media: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{request} HTTP/1.0\r\nHost: {address}\r\nContent-Type: {media}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// Version 1.0 asks for an answer that is whole and ends with the connection.
async fn exchange(address: &str, request: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).ok_or("no status")?.parse()?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("no body")?;
    Ok((status, body.to_owned()))
}
