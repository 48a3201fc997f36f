//! A worker on Redis beside a bare pipeline of the same scripts, turn by turn in one run.

use std::time::Duration;

use clap::Args;
use redis::aio::MultiplexedConnection;
use redis::{Script, Value};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Result;
use crate::report::Report;
use crate::scenario::{QUEUE, drain, fill, load, waiting};

const LEASE: &str = include_str!("../../brokers/redis/src/scripts/lease_plain.lua");
const SETTLE: &str = include_str!("../../brokers/redis/src/scripts/settle_plain.lua");

const WORKER: &str = "00000000-0000-4000-8000-000000000000";
const MINUTE: &str = "60000000";

/// How many loops of lease and settle share the connection.
const LOOPS: usize = 4;

/// What is compared.
#[derive(Args, Debug)]
pub(crate) struct Settings {
    /// One Redis server, such as `redis://127.0.0.1:6379`. The queue `loadtest` of its namespace `default`
    /// must be empty.
    #[arg(long)]
    broker: String,
    /// How many tasks in one turn.
    #[arg(long, default_value_t = 300_000)]
    tasks: usize,
    /// How many turns each has; the median counts.
    #[arg(long, default_value_t = 5)]
    turns: usize,
    /// How many handlers the worker runs at once.
    #[arg(long, default_value_t = 256)]
    concurrency: usize,
    /// Fails when the worker's share of the pipeline is below this.
    #[arg(long)]
    at_least: Option<f64>,
}

impl Settings {
    /// Compares, reports, and fails when the worker is too far from the pipeline.
    pub(crate) async fn run(&self) -> Result {
        let client = redis::Client::open(self.broker.as_str())?;
        let mut server = client.get_multiplexed_async_connection().await?;
        let connection = tidemill::connect(&self.broker).await?;
        let (mut enqueued, mut worker, mut pipeline) = (Vec::new(), Vec::new(), Vec::new());
        let (mut cost_of_fill, mut cost_of_drain) = (Vec::new(), Vec::new());
        for _ in 0..self.turns.max(1) {
            let before = cpu(&mut server).await?;
            let start = Instant::now();
            fill(&connection, load::envelopes(0..self.tasks, load::PAYLOAD)?).await?;
            enqueued.push(start.elapsed());
            let filled = cpu(&mut server).await?;
            worker.push(drain::timed(&connection, self.tasks, self.concurrency).await?);
            let drained = cpu(&mut server).await?;
            cost_of_fill.push(filled.saturating_sub(before));
            cost_of_drain.push(drained.saturating_sub(filled));
            if waiting(&connection).await? > 0 {
                return Err("the worker left tasks behind".into());
            }
            fill(&connection, load::envelopes(0..self.tasks, load::PAYLOAD)?).await?;
            pipeline.push(bare(&server, self.tasks, self.concurrency).await?);
            if waiting(&connection).await? > 0 {
                return Err("the pipeline left tasks behind".into());
            }
        }
        let (worker, pipeline) = (median(&mut worker), median(&mut pipeline));
        let ratio = pipeline.as_secs_f64() / worker.as_secs_f64();
        let per_task = |costs: &mut [Duration]| {
            let micros = median(costs).as_secs_f64() * 1e6 / self.tasks as f64;
            (micros * 100.0).round() / 100.0
        };
        let title = "a worker beside a bare pipeline of its scripts".to_owned();
        let mut report = Report::new("compare-pipeline", title);
        report
            .fact("tasks_per_turn", self.tasks as u64)
            .fact("turns", self.turns as u64)
            .fact("concurrency", self.concurrency as u64);
        report
            .rate("enqueued", self.tasks, median(&mut enqueued))
            .rate("worker", self.tasks, worker)
            .rate("pipeline", self.tasks, pipeline);
        report
            .fact("worker_per_pipeline", (ratio * 1e3).round() / 1e3)
            .fact("redis_us_per_enqueue", per_task(&mut cost_of_fill))
            .fact("redis_us_per_run", per_task(&mut cost_of_drain));
        report.print()?;
        match self.at_least {
            Some(least) if ratio < least => {
                Err(format!("the worker does {ratio:.2} of the pipeline; expected {least}").into())
            }
            _ => Ok(()),
        }
    }
}

/// Runs the backlog down by the scripts alone: nothing reads an envelope, and nothing runs.
async fn bare(server: &MultiplexedConnection, tasks: usize, batch: usize) -> Result<Duration> {
    let start = Instant::now();
    let mut loops = JoinSet::new();
    for _ in 0..LOOPS {
        loops.spawn(lease_and_settle(server.clone(), batch));
    }
    let mut done = 0;
    while let Some(count) = loops.join_next().await {
        done += count??;
    }
    if done != tasks {
        return Err(format!("the pipeline took {done} of {tasks} tasks").into());
    }
    Ok(start.elapsed())
}

async fn lease_and_settle(mut server: MultiplexedConnection, batch: usize) -> Result<usize> {
    let (lease, settle) = (Script::new(LEASE), Script::new(SETTLE));
    let keys = ["tidemill:{default}:meta", "tidemill:{default}:guard"];
    let mut done = 0;
    loop {
        let now = crate::scenario::now().as_micros();
        let mut call = lease.prepare_invoke();
        call.key(keys[0])
            .key(keys[1])
            .arg(now)
            .arg(MINUTE)
            .arg(WORKER);
        call.arg(batch).arg(0).arg(QUEUE).arg(batch);
        let Value::Array(answer) = call.invoke_async(&mut server).await? else {
            return Err("the pipeline met what it cannot do".into());
        };
        let leases = answer.get(1..).unwrap_or_default();
        if leases.is_empty() {
            return Ok(done);
        }
        let mut records = redis::cmd("HMGET");
        records.arg("tidemill:{default}:tasks");
        let mut call = settle.prepare_invoke();
        call.key(keys[0])
            .key(keys[1])
            .arg(now)
            .arg(QUEUE)
            .arg(WORKER);
        for pair in leases.chunks(2) {
            let [Value::BulkString(id), Value::BulkString(seq)] = pair else {
                return Err("a lease is no pair of id and number".into());
            };
            records.arg(id);
            call.arg(id).arg(seq);
        }
        records.query_async::<Value>(&mut server).await?;
        call.invoke_async::<Value>(&mut server).await?;
        done += leases.len() / 2;
    }
}

/// The processor time that the server has used.
async fn cpu(server: &mut MultiplexedConnection) -> Result<Duration> {
    let info: String = redis::cmd("INFO").arg("cpu").query_async(server).await?;
    let seconds = |name: &str| -> f64 {
        let mut lines = info.lines().filter_map(|line| line.strip_prefix(name));
        lines
            .next()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or_default()
    };
    let used = seconds("used_cpu_user:") + seconds("used_cpu_sys:");
    Ok(Duration::from_secs_f64(used))
}

fn median(turns: &mut [Duration]) -> Duration {
    turns.sort_unstable();
    turns.get(turns.len() / 2).copied().unwrap_or_default()
}
