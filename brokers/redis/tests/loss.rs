//! A server that has lost its data, and who says so.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[path = "harness/redis.rs"]
mod harness;
#[path = "harness/log.rs"]
mod log;

use harness::{Redis, Space};
use log::Log;
use tidemill_conformance::Fixture;
use tidemill_shared::{Connection, Envelope, Kind, Payload, TaskId};

fn errors(log: &Log) -> usize {
    log.text().matches("ERROR").count()
}

fn delete_meta(space: &Space) {
    let client = redis::Client::open(space.url()).unwrap();
    let mut raw = client.get_connection().unwrap();
    let meta = format!("tidemill:{{{}}}:meta", space.namespace());
    redis::cmd("DEL").arg(meta).exec(&mut raw).unwrap();
    // The time of the tests stands still, and a namespace is known by when it was made.
    space.clock().advance(std::time::Duration::from_millis(1));
}

async fn sweep(connection: &Connection) {
    connection.broker.sweep(10).await.unwrap();
}

/// Behaviour 56.
#[tokio::test]
async fn a_loss_is_said_once_by_each_process_that_knew_the_data() {
    let (log, _guard) = Log::of(tracing::Level::ERROR);
    let space = Redis("TIDEMILL_TEST_REDIS").space().await;
    let first = space.connection();
    let second = space.another_process().await.unwrap();
    sweep(&first).await;
    sweep(&second).await;
    assert_eq!(errors(&log), 0);

    delete_meta(&space);

    // Whoever comes new finds nothing to have been lost, and leaves no sign that anything was.
    let third = space.another_process().await.unwrap();
    sweep(&third).await;
    assert_eq!(errors(&log), 0);
    for _ in 0..2 {
        sweep(&second).await;
        assert_eq!(errors(&log), 1);
    }
    sweep(&first).await;
    assert_eq!(errors(&log), 2);
}

/// F24. Nothing is said to be gone that is there.
#[tokio::test]
async fn the_loss_of_meta_alone_is_told_from_the_loss_of_everything() {
    let (log, _guard) = Log::of(tracing::Level::ERROR);
    let space = Redis("TIDEMILL_TEST_REDIS").space().await;
    let first = space.connection();
    let second = space.another_process().await.unwrap();
    let now = first.clock.now();
    let kind = Kind::new("echo").unwrap();
    let payload = Payload::json(&1).unwrap();
    let task = Envelope::new(TaskId::generate(now), kind, payload, now);
    drop(first.broker.enqueue(vec![task]).await.unwrap());
    sweep(&second).await;
    delete_meta(&space);
    sweep(&second).await;
    sweep(&first).await;
    let text = log.text();
    assert_eq!(errors(&log), 2, "{text}");
    assert_eq!(text.matches("tasks=1").count(), 2, "{text}");
    let stats = first.broker.stats(&[]).await.unwrap();
    assert_eq!(stats.iter().map(|queue| queue.pending).sum::<u64>(), 1);
}
