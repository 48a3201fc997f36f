//! Real processes at one file, and real kills.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[path = "support/kit.rs"]
mod kit;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use kit::{SOON, WallClock, demand, open, task};
use tidemill_embedded::SqliteStore;
use tidemill_shared::{Broker, Clock, Inspect, QueueName, TaskId};
use tokio::time::timeout;

/// Starts the example `enqueuer`, which cargo builds beside the tests, as a process of its own.
fn enqueuer(path: &Path, count: &str) -> Child {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    Command::new(profile.join("examples/enqueuer"))
        .args([path.as_os_str(), count.as_ref()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("cargo builds the examples with the tests, unless --test leaves them out")
}

#[tokio::test]
async fn what_a_killed_process_was_told_is_stored_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let mut told = 0;
    for round in 1..=10 {
        let mut process = enqueuer(&path, "1000000");
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut ids = Vec::new();
        for line in output.lines() {
            ids.push(TaskId::new(line.unwrap()).unwrap());
            if ids.len() == 5 * round {
                process.kill().unwrap();
            }
        }
        process.wait().unwrap();
        told += ids.len();
        let store = open(&path, Arc::new(WallClock));
        for id in &ids {
            assert!(store.get(id).await.unwrap().is_some(), "{id} is gone");
        }
        let stored = store.stats(&[QueueName::default()]).await.unwrap()[0].pending;
        // The one that was cut off may be there or not.
        let told = u64::try_from(told).unwrap();
        assert!(
            (told..=told + u64::try_from(round).unwrap()).contains(&stored),
            "{told} acknowledged, {stored} stored"
        );
    }
}

#[tokio::test]
async fn a_task_of_another_process_is_handed_out_to_a_waiting_lease() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let store = open(&path, Arc::new(WallClock));
    let wanted = demand(1, SOON);
    let mut lease = Box::pin(store.lease(&wanted));
    assert!(
        timeout(Duration::from_millis(50), &mut lease)
            .await
            .is_err()
    );
    let mut process = enqueuer(&path, "1");
    let leases = timeout(SOON, lease).await.unwrap().unwrap();
    let mut told = String::new();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    output.read_line(&mut told).unwrap();
    assert_eq!(leases[0].token.task.as_str(), told.trim());
    assert!(process.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_never_hold_the_same_task() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let clock: Arc<dyn Clock> = Arc::new(WallClock);
    let one = open(&path, Arc::clone(&clock));
    let batch = (0..600).map(|n| task(&format!("t{n}"), clock.now()));
    assert_eq!(one.enqueue(batch.collect()).await.unwrap().len(), 600);
    let two = open(&path, clock);
    let drain = |store: SqliteStore| async move {
        let mut ids = Vec::new();
        loop {
            let leases = store.lease(&demand(7, Duration::ZERO)).await.unwrap();
            if leases.is_empty() {
                return ids;
            }
            let settled = store.settle(leases.iter().map(kit::ack).collect()).await;
            assert_eq!(settled.unwrap().len(), leases.len());
            ids.extend(leases.into_iter().map(|lease| lease.token.task));
        }
    };
    let (mut ids, others) = tokio::join!(drain(one), drain(two));
    ids.extend(others);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 600);
}
