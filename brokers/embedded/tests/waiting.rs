//! A lease that waits is woken by whoever makes work for it, and only then.

#[path = "support/kit.rs"]
mod kit;

use std::time::Duration;

use kit::{SOON, admit, demand, manual_clock, open, raw, task};
use tidemill_shared::{Broker, Clock, Inspect, QueueName};
use tokio::time::timeout;

const HOUR: Duration = Duration::from_secs(3_600);

/// Starts a lease and lets it come to rest: nothing is there, so it waits.
macro_rules! waiting {
    ($store:expr, $wait:expr) => {{
        let mut lease = Box::pin(async { $store.lease(&demand(1, $wait)).await.unwrap() });
        let early = timeout(Duration::from_millis(100), &mut lease).await;
        assert!(early.is_err(), "there is nothing to lease yet");
        lease
    }};
}

#[tokio::test]
async fn an_enqueue_in_the_same_process_wakes_a_waiting_lease() {
    let folder = tempfile::tempdir().unwrap();
    let clock = manual_clock();
    let store = open(&folder.path().join("tasks.db"), clock.clone());
    let lease = waiting!(store, HOUR);
    admit(&store, task("t", clock.now())).await;
    assert_eq!(timeout(SOON, lease).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_commit_of_another_process_wakes_a_waiting_lease() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let clock = manual_clock();
    let (worker, producer) = (open(&path, clock.clone()), open(&path, clock.clone()));
    let lease = waiting!(worker, HOUR);
    admit(&producer, task("t", clock.now())).await;
    assert_eq!(timeout(SOON, lease).await.unwrap().len(), 1);
}

/// Behaviour 8.
#[tokio::test]
async fn a_waiting_lease_takes_a_delayed_task_at_its_instant() {
    let folder = tempfile::tempdir().unwrap();
    let clock = manual_clock();
    let store = open(&folder.path().join("tasks.db"), clock.clone());
    let mut later = task("t", clock.now());
    later.due_at = clock.now() + Duration::from_secs(60);
    admit(&store, later).await;
    let mut lease = waiting!(store, HOUR);
    clock.advance(Duration::from_secs(59));
    assert!(
        timeout(Duration::from_millis(100), &mut lease)
            .await
            .is_err()
    );
    clock.advance(Duration::from_secs(1));
    assert_eq!(timeout(SOON, lease).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_earlier_due_time_shortens_the_wait() {
    let folder = tempfile::tempdir().unwrap();
    let clock = manual_clock();
    let store = open(&folder.path().join("tasks.db"), clock.clone());
    let mut late = task("late", clock.now());
    late.due_at = clock.now() + Duration::from_secs(600);
    admit(&store, late).await;
    let lease = waiting!(store, HOUR);
    let mut early = task("early", clock.now());
    early.due_at = clock.now() + Duration::from_secs(6);
    admit(&store, early).await;
    clock.advance(Duration::from_secs(6));
    let leases = timeout(SOON, lease).await.unwrap();
    assert_eq!(leases[0].token.task.as_str(), "early");
}

#[tokio::test]
async fn a_resumed_queue_wakes_those_who_wait_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let clock = manual_clock();
    let store = open(&folder.path().join("tasks.db"), clock.clone());
    store.pause(&QueueName::default(), None).await.unwrap();
    admit(&store, task("t", clock.now())).await;
    let lease = waiting!(store, HOUR);
    store.resume(&QueueName::default()).await.unwrap();
    assert_eq!(timeout(SOON, lease).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_wait_ends_at_its_deadline_by_the_clock_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let clock = manual_clock();
    let store = open(&folder.path().join("tasks.db"), clock.clone());
    let lease = waiting!(store, Duration::from_secs(5));
    clock.advance(Duration::from_secs(5));
    assert!(timeout(SOON, lease).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_lease_that_nobody_waits_for_any_more_is_put_back_uncounted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let clock = manual_clock();
    let store = open(&path, clock.clone());
    admit(&store, task("t", clock.now())).await;
    // The call is on its way while another process writes, and its caller gives up.
    let other = raw(&path);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let wanted = demand(1, Duration::ZERO);
    let gone = timeout(Duration::from_millis(100), store.lease(&wanted)).await;
    assert!(gone.is_err());
    other.execute_batch("ROLLBACK").unwrap();
    let leases = timeout(SOON, store.lease(&demand(1, HOUR)))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((leases[0].attempt, leases[0].crashes), (1, 0));
}
