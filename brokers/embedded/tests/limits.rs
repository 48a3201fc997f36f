//! A full disk and a busy file: refused clearly, and over when the cause is.

#[path = "support/kit.rs"]
mod kit;

use std::time::Duration;

use kit::{ack, admit, demand, manual_clock, raw, task};
use tidemill_embedded::{SqliteOptions, SqliteStore};
use tidemill_shared::{Broker, Clock, ErrorKind, Inspect, Namespace, TaskId};

#[tokio::test]
async fn a_full_disk_refuses_new_tasks_and_lets_the_others_finish() {
    let folder = tempfile::tempdir().unwrap();
    let clock = manual_clock();
    let mut options = SqliteOptions::default();
    options.max_pages = Some(120);
    let path = folder.path().join("tasks.db");
    let store = SqliteStore::open(&path, options, Namespace::default(), clock.clone()).unwrap();
    let mut taken = 0;
    let error = loop {
        match store
            .enqueue(vec![task(&format!("t{taken}"), clock.now())])
            .await
        {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 10_000, "the file has grown beyond its limit");
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.is_transient() && error.to_string().contains("full"),
        "{error}"
    );
    // What was refused left nothing behind; what was taken is all there.
    let refused = TaskId::new(format!("t{taken}")).unwrap();
    assert!(store.get(&refused).await.unwrap().is_none());
    assert_eq!(store.stats(&[]).await.unwrap()[0].pending, taken);
    loop {
        let leases = store.lease(&demand(10, Duration::ZERO)).await.unwrap();
        if leases.is_empty() {
            break;
        }
        let settled = store.settle(leases.iter().map(ack).collect()).await;
        assert_eq!(settled.unwrap().len(), leases.len());
    }
    admit(&store, task("room-again", clock.now())).await;
}

#[tokio::test]
async fn a_file_that_another_process_keeps_is_reported_as_busy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let clock = manual_clock();
    let mut options = SqliteOptions::default();
    options.busy_timeout = Duration::from_millis(50);
    let store = SqliteStore::open(&path, options, Namespace::default(), clock.clone()).unwrap();
    let other = raw(&path);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store
        .enqueue(vec![task("t", clock.now())])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    // Reading goes on meanwhile.
    assert_eq!(store.stats(&[]).await.unwrap(), []);
    other.execute_batch("ROLLBACK").unwrap();
    admit(&store, task("t", clock.now())).await;
}
