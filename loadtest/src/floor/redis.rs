//! A bare pipeline of the scripts of Redis.

use redis::aio::MultiplexedConnection;
use redis::{Script, Value};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Found, Settings};
use crate::Result;
use crate::meter::{Meter, Store};
use crate::scenario::{QUEUE, fill, load, now, waiting};

const LEASE: &str = include_str!("../../../brokers/redis/src/scripts/lease_plain.lua");
const SETTLE: &str = concat!(
    "local STRIDE = 2\n",
    include_str!("../../../brokers/redis/src/scripts/lib/first_run.lua"),
    include_str!("../../../brokers/redis/src/scripts/settle_plain.lua")
);

const WORKER: &str = "00000000-0000-4000-8000-000000000000";
const MINUTE: &str = "60000000";

/// How many loops of lease and settle share the connection.
const LOOPS: usize = 4;

/// Runs a backlog down by the scripts alone: nothing reads an envelope, and nothing runs.
pub(super) async fn drain(settings: &Settings, url: &str) -> Result<Found> {
    let (server, _) = url.split_once('?').unwrap_or((url, ""));
    let client = redis::Client::open(server)?;
    let server = client.get_multiplexed_async_connection().await?;
    let connection = tidemill::connect(url).await?;
    fill(
        &connection,
        load::envelopes(0..settings.tasks, settings.payload)?,
    )
    .await?;
    let meter = Meter::start(Store::Redis(server.clone()), &[std::process::id()]).await?;
    let start = Instant::now();
    let mut loops = JoinSet::new();
    for _ in 0..LOOPS {
        loops.spawn(lease_and_settle(server.clone(), settings.concurrency));
    }
    let mut done = 0;
    while let Some(count) = loops.join_next().await {
        done += count??;
    }
    let took = start.elapsed();
    if done != settings.tasks || waiting(&connection).await? > 0 {
        return Err(format!("the pipeline took {done} of {} tasks", settings.tasks).into());
    }
    Ok(Found::new(meter, took))
}

async fn lease_and_settle(mut server: MultiplexedConnection, batch: usize) -> Result<usize> {
    let (lease, settle) = (Script::new(LEASE), Script::new(SETTLE));
    let keys = ["tidemill:{default}:meta", "tidemill:{default}:guard"];
    let mut done = 0;
    loop {
        let now = now().as_micros();
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
