//! What somebody did to the file by hand is repaired, or stops nothing else.

#[path = "support/kit.rs"]
mod kit;

use std::time::Duration;

use kit::{admit, demand, manual_clock, open, raw, task};
use tidemill_shared::{Broker, Clock, Inspect, State, TaskId};

/// Behaviour 52.
#[tokio::test]
async fn an_active_task_without_a_lease_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let clock = manual_clock();
    let store = open(&path, clock.clone());
    admit(&store, task("orphan", clock.now())).await;
    let leases = store.lease(&demand(1, Duration::ZERO)).await.unwrap();
    assert_eq!(leases.len(), 1);
    raw(&path)
        .execute("UPDATE task SET until = NULL, worker = NULL", ())
        .unwrap();
    let swept = store.sweep(10).await.unwrap();
    assert_eq!(swept.reclaimed[0].task.as_str(), "orphan");
    assert_eq!(swept.reclaimed[0].buried, None);
    let leases = store.lease(&demand(1, Duration::ZERO)).await.unwrap();
    assert_eq!(leases[0].crashes, 1);
}

/// Behaviour 51.
#[tokio::test]
async fn an_envelope_that_cannot_be_read_after_a_crash_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let clock = manual_clock();
    let store = open(&path, clock.clone());
    admit(&store, task("bad", clock.now())).await;
    admit(&store, task("good", clock.now())).await;
    let leases = store.lease(&demand(2, Duration::ZERO)).await.unwrap();
    assert_eq!(leases.len(), 2);
    raw(&path)
        .execute("UPDATE task SET envelope = x'00ff' WHERE id = 'bad'", ())
        .unwrap();
    clock.advance(Duration::from_secs(11));
    assert_eq!(store.sweep(10).await.unwrap().reclaimed.len(), 2);
    let bad = TaskId::new("bad").unwrap();
    let record = store.get(&bad).await.unwrap().unwrap();
    assert_eq!(record.state, State::Dead);
    assert_eq!(record.envelope.payload.as_bytes(), [0x00, 0xff]);
    let leases = store.lease(&demand(2, Duration::ZERO)).await.unwrap();
    assert_eq!(leases.len(), 1);
}

#[tokio::test]
async fn the_numbers_of_rows_are_never_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let clock = manual_clock();
    let store = open(&folder.path().join("tasks.db"), clock.clone());
    let mut locators = Vec::new();
    for _ in 0..3 {
        admit(&store, task("same", clock.now())).await;
        let leases = store.lease(&demand(1, Duration::ZERO)).await.unwrap();
        let settled = store.settle(leases.iter().map(kit::ack).collect()).await;
        assert_eq!(settled.unwrap().len(), 1);
        locators.extend(leases.iter().map(|lease| lease.token.locator));
    }
    assert!(locators.is_sorted_by(|a, b| a < b), "{locators:?}");
}
