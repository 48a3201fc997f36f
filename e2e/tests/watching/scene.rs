//! Every role on a Redis of its own, with something to do.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tidemill_e2e::faults::{EVERY_SECOND, Redis, free_port};
use tidemill_e2e::{Place, Process, Result, ensure, tidemill, until};
use tokio::task::JoinSet;

use crate::PATIENCE;
use crate::programs::program;
use crate::prometheus::{Prometheus, get, post};
use crate::webhook::Webhook;

const SCHEDULES: &str = r#"
[[schedule]]
id = "beat"
every = "1s"
kind = "echo"

[[schedule]]
id = "broken"
every = "2s"
kind = "fail"
"#;

/// Everything that runs. Dropping it ends all of it.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) prometheus: Prometheus,
    pub(crate) webhook: Webhook,
    pub(crate) redis: Redis,
    roles: Vec<Role>,
    _exporter: Process,
    _load: JoinSet<()>,
}

/// A process of Tidemill.
#[derive(Debug)]
struct Role {
    process: Process,
    metrics: String,
}

impl Role {
    async fn start(name: &str, command: &mut Command, folder: &Path) -> Result<Self> {
        command.args([
            "--metrics",
            "127.0.0.1:0",
            "--log-format",
            "json",
            "--log",
            "info",
        ]);
        let process = Process::spawn(name, command, folder)?;
        let metrics = address(&process, "serving /metrics").await?;
        Ok(Self { process, metrics })
    }
}

/// The address in a line of the log.
async fn address(process: &Process, message: &str) -> Result<String> {
    until(message, PATIENCE, async || {
        let lines = process.errors()?;
        let line = lines.lines().find(|line| line.contains(message));
        let line = line.and_then(|line| serde_json::from_str::<Value>(line).ok());
        Ok(line.and_then(|line| Some(line["address"].as_str()?.to_owned())))
    })
    .await
}

impl Scene {
    /// Two producers, two workers, control, all of them busy, and who watches them.
    pub(crate) async fn start(folder: &Path) -> Result<Self> {
        let redis = Redis::start(folder, "redis", &EVERY_SECOND).await?;
        let place = Place::at(&redis.url(), "watched");
        std::fs::write(folder.join("schedules.toml"), SCHEDULES)?;
        let mut roles = Vec::new();
        for name in ["producer-1", "producer-2"] {
            let mut command = tidemill(&place)?;
            command.current_dir(folder);
            command.args(["producer", "--schedules", "schedules.toml"]);
            command.args(["--horizon", "5s", "--lease", "2s"]);
            roles.push(Role::start(name, &mut command, folder).await?);
        }
        for name in ["worker-1", "worker-2"] {
            let mut command = tidemill(&place)?;
            // Some letters go beyond a bound, so that this can be seen too.
            command.args(["worker", "--concurrency", "4", "--dead-max-count", "5"]);
            roles.push(Role::start(name, &mut command, folder).await?);
        }
        let mut command = tidemill(&place)?;
        command.args(["control", "--listen", "127.0.0.1:0"]);
        let control = Role::start("control", &mut command, folder).await?;
        let api = address(&control.process, "the control API listens").await?;
        roles.push(control);

        let told = format!("127.0.0.1:{}", free_port()?);
        let mut exporter = program("TIDEMILL_TEST_REDIS_EXPORTER", "prometheus-redis-exporter");
        exporter.arg(format!("--redis.addr={}", redis.url()));
        exporter.arg(format!("--web.listen-address={told}"));
        let exporter = Process::spawn("redis-exporter", &mut exporter, folder)?;
        let webhook = Webhook::open().await?;
        let targets: Vec<_> = roles.iter().map(|role| role.metrics.clone()).collect();
        let prometheus = Prometheus::start(folder, &targets, &told, webhook.address()).await?;
        let mut load = JoinSet::new();
        load.spawn(keep_busy(api));
        Ok(Self {
            prometheus,
            webhook,
            redis,
            roles,
            _exporter: exporter,
            _load: load,
        })
    }

    /// What each process exports, once all have done something.
    pub(crate) async fn pages(&self) -> Result<Vec<String>> {
        let mut pages = Vec::new();
        for role in &self.roles {
            let (status, page) = get(&role.metrics, "/metrics").await?;
            ensure(status == 200, || page.clone())?;
            pages.push(page);
        }
        Ok(pages)
    }
}

/// Enqueues through the HTTP API for as long as it is let.
async fn keep_busy(api: String) {
    let tasks = [
        r#"{"kind":"echo","payload":{"hello":"world"}}"#,
        r#"{"kind":"sleep","payload":{"for":"1s"}}"#,
        r#"{"kind":"fail","max_attempts":1}"#,
        r#"{"kind":"echo","queue":"unserved"}"#,
    ];
    for task in tasks.iter().cycle() {
        // While the store is down it answers with an error, which is part of what is watched.
        drop(post(&api, "/api/v1/tasks", task).await);
        drop(get(&api, "/api/v1/queues").await);
        tidemill_e2e::pause(Duration::from_millis(50)).await;
    }
}
