//! apalis as a peer of the load generator; see ../README.md.
//!
//! Settings, from docs.rs: large batches ("batch_size"); `.concurrency(n)` and `.parallelize(tokio::spawn)` as in
//! its README; no results are kept, and no events sent.
//! For SQLite the set-up that it brings along (write-ahead log, `synchronous = OFF`), and a worker that is
//! woken by update hooks.

mod flags;
mod watch;

use std::time::{Duration, Instant};

use apalis::prelude::*;
use apalis_redis::RedisStorage;
use apalis_sqlite::SqliteStorage;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use flags::{Flags, skip};
use watch::{Load, Watch, now};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const FILLERS: usize = 64;
/// What a worker takes at once from Redis: the best of 300, 1,000 and 3,000 for a drain.
const REDIS_BATCH: usize = 3_000;

async fn note(load: Load, watch: Data<Watch>) -> Result<(), BoxDynError> {
    watch.note(&load);
    Ok(())
}

/// Runs a worker on this backend while something happens, which says what was found.
macro_rules! works {
    ($backend:expr, $flags:expr, $watch:expr, $happens:expr) => {{
        let worker = WorkerBuilder::new("peer")
            .backend($backend)
            .concurrency($flags.concurrency)
            .parallelize(tokio::spawn)
            .data($watch.clone())
            .build(note);
        let happens = $happens;
        tokio::select! {
            ended = worker.run() => return Err(format!("the worker has ended: {ended:?}").into()),
            found = happens => found?,
        }
    }};
}

/// The scenarios, on a storage that can be cloned, and a way to make one for a worker.
macro_rules! run {
    ($flags:expr, $storage:expr, $polled:expr) => {{
        let (flags, watch) = ($flags, Watch::of($flags.tasks));
        let found = match flags.scenario.as_str() {
            "enqueue" => {
                let start = Instant::now();
                let mut callers = JoinSet::new();
                for caller in 0..flags.producers {
                    let range = flags.tasks * caller / flags.producers
                        ..flags.tasks * (caller + 1) / flags.producers;
                    let (mut storage, flags) = ($storage.clone(), flags.clone());
                    callers.spawn(async move {
                        for begin in range.clone().step_by(flags.batch) {
                            let upto = (begin + flags.batch).min(range.end);
                            let load = |n| Load::new(n, now(), flags.payload);
                            if flags.batch == 1 {
                                storage.push(load(begin)).await?;
                            } else {
                                storage.push_bulk((begin..upto).map(load).collect()).await?;
                            }
                        }
                        Ok::<_, Failure>(())
                    });
                }
                while let Some(done) = callers.join_next().await {
                    done??;
                }
                let took = start.elapsed().as_secs_f64();
                // What is in is run, and so counted.
                works!($polled, flags, watch, async {
                    watch.until_done().await;
                    Ok::<_, Failure>(json!({"tasks_per_second": flags.tasks as f64 / took}))
                })
            }
            "drain" => {
                let mut filling = JoinSet::new();
                for filler in 0..FILLERS {
                    let (mut storage, flags) = ($storage.clone(), flags.clone());
                    filling.spawn(async move {
                        for number in (filler..flags.tasks).step_by(FILLERS) {
                            let load = Load::new(number, now(), flags.payload);
                            storage.push(load).await?;
                        }
                        Ok::<_, Failure>(())
                    });
                }
                while let Some(filled) = filling.join_next().await {
                    filled??;
                }
                works!($polled, flags, watch, async {
                    watch.until_done().await;
                    Ok::<_, Failure>(json!({"tasks_per_second": flags.tasks as f64 / watch.took()}))
                })
            }
            "latency" | "steady" => works!($polled, flags, watch, async {
                tokio::time::sleep(Duration::from_millis(500)).await;
                let first = now() + 100_000;
                let mut pushing = JoinSet::new();
                for number in 0..flags.tasks {
                    let planned = first + number as u64 * 1_000_000 / u64::from(flags.rate);
                    let early = planned.saturating_sub(now());
                    tokio::time::sleep(Duration::from_micros(early)).await;
                    let mut storage = $storage.clone();
                    let load = Load::new(number, planned, flags.payload);
                    pushing.spawn(async move { storage.push(load).await });
                }
                while let Some(pushed) = pushing.join_next().await {
                    pushed??;
                }
                let took = (now() - first) as f64 / 1e6;
                watch.until_done().await;
                let rate = flags.tasks as f64 / took;
                Ok::<_, Failure>(json!({"tasks_per_second": rate, "latency_ms": watch.spread()}))
            }),
            other => skip(&format!("apalis has no scenario {other} here: its due times are whole seconds")),
        };
        (found, watch)
    }};
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let flags = Flags::parse();
    let (url, _) = flags.broker.split_once('?').unwrap_or((&flags.broker, ""));
    let batch = flags.concurrency.clamp(1, 100);
    let (found, watch): (Value, Watch) = if url.starts_with("redis://") {
        let connection = apalis_redis::connect(url).await?;
        let config = apalis_redis::Config::default()
            .queue("loadtest")
            .batch_size(REDIS_BATCH)
            .emit_events(false)
            .persist_results(false);
        let storage = RedisStorage::<Load>::new(connection).with_config(config);
        on_redis(&flags, storage).await?
    } else if let Some(path) = url.strip_prefix("sqlite:") {
        let url = format!("sqlite:{path}?mode=rwc");
        let (pool, listener) = SqliteStorage::connect_with_callback(&url)?;
        SqliteStorage::setup(&pool).await?;
        let config = apalis_sqlite::Config::default()
            .queue("loadtest")
            .batch_size(batch)
            .persist_results(false);
        let storage = SqliteStorage::<Load>::new(&pool).with_config(config);
        on_sqlite(&flags, storage, listener).await?
    } else {
        skip("apalis runs on redis:// and sqlite: here")
    };
    let mut line = json!({
        "scenario": flags.scenario,
        "tasks": flags.tasks,
        "tasks_per_second": null,
        "latency_ms": null,
        "lateness_ms": null,
        "lost": watch.missing(),
        "duplicates": watch.duplicates(),
        "versions": {"apalis": "1.0.0"},
    });
    for (name, value) in found.as_object().into_iter().flatten() {
        line[name] = value.clone();
    }
    println!("{line}");
    Ok(())
}

async fn on_redis(flags: &Flags, storage: RedisStorage<Load>) -> Result<(Value, Watch), Failure> {
    Ok(run!(flags, storage, storage.clone()))
}

async fn on_sqlite(
    flags: &Flags,
    storage: SqliteStorage<Load>,
    listener: apalis_sqlite::callback::HookCallbackListener,
) -> Result<(Value, Watch), Failure> {
    Ok(run!(
        flags,
        storage,
        storage.clone().with_callback(listener)
    ))
}
