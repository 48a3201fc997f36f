//! Group commit: few calls for many callers, none late, nothing lost.

use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use tidemill_producer::{Client, Enqueued};
use tidemill_shared::{ErrorKind, Payload, Result};

use crate::probe::{Fault, Probe};
use crate::stores::{memory, note};

/// How many calls a client has under way at most.
const SLOTS: usize = 2;

/// Polls a future once, with nobody to wake.
fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_caller_that_is_alone_gets_a_call_of_its_own_at_once() {
    let store = memory();
    let (connection, probe) = Probe::before(&store.connection);
    let client = Client::new(&connection);
    for _ in 0..5 {
        client.enqueue(note("a")).await.unwrap();
    }
    assert_eq!(probe.batches(), [1; 5]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_behind_busy_slots_goes_as_one_batch() {
    let store = memory();
    let (connection, probe) = Probe::before(&store.connection);
    let client = Client::new(&connection);
    let mut callers = busy(&client, &probe).await;
    for _ in 0..64 {
        let mut caller = client.enqueue(note("rest")).into_future();
        assert!(poll_once(&mut caller).is_pending());
        callers.push(caller);
    }
    assert_eq!(probe.batches(), [1; SLOTS], "all slots are busy");
    probe.release();
    for done in join_all(callers).await {
        done.unwrap();
    }
    assert_eq!(probe.batches(), [1, 1, 64]);
    assert_eq!(probe.most_at_once(), SLOTS);
    assert_eq!(store.waiting().await, 66);
}

#[tokio::test]
async fn sixty_four_concurrent_callers_make_few_calls() {
    let store = memory();
    let (connection, probe) = Probe::before(&store.connection);
    let client = Client::new(&connection);
    let callers = (0..64).map(|_| client.enqueue(note("a")).into_future());
    for done in join_all(callers).await {
        done.unwrap();
    }
    assert!(probe.batches().len() <= 4, "{:?}", probe.batches());
    assert_eq!(store.waiting().await, 64);
}

/// Holds the broker up with all slots busy, so that what comes next waits in the line.
async fn busy(client: &Client, probe: &Probe) -> Vec<BoxFuture<'static, Result<Enqueued>>> {
    probe.hold();
    let mut callers = Vec::new();
    for n in 1..=SLOTS {
        let mut caller = client.enqueue(note("busy")).into_future();
        assert!(poll_once(&mut caller).is_pending());
        callers.push(caller);
        probe.under_way(n).await;
    }
    callers
}

#[tokio::test]
async fn no_call_is_larger_than_a_batch() {
    let store = memory();
    let (connection, probe) = Probe::before(&store.connection);
    let client = Client::new(&connection);
    let mut callers = busy(&client, &probe).await;
    for _ in 0..1_000 {
        let mut caller = client.enqueue(note("a")).into_future();
        // Tokio's budget for a task ends in the middle of this; the line does not mind.
        tokio::task::yield_now().await;
        assert!(poll_once(&mut caller).is_pending());
        callers.push(caller);
    }
    probe.release();
    for done in join_all(callers).await {
        done.unwrap();
    }
    assert_eq!(probe.batches(), [1, 1, 256, 256, 256, 232]);
}

#[tokio::test]
async fn no_call_carries_more_than_four_mebibytes() {
    let store = memory();
    let (connection, probe) = Probe::before(&store.connection);
    let client = Client::new(&connection);
    let mut callers = busy(&client, &probe).await;
    for _ in 0..12 {
        let large = Payload::bytes(vec![0; 1 << 20]);
        let mut caller = client.enqueue_raw("raw", large).into_future();
        assert!(poll_once(&mut caller).is_pending());
        callers.push(caller);
    }
    probe.release();
    for done in join_all(callers).await {
        done.unwrap();
    }
    assert_eq!(probe.batches(), [1, 1, 3, 3, 3, 3]);
}

#[tokio::test]
async fn callers_of_a_failed_batch_get_the_error_each() {
    let store = memory();
    let (connection, probe) = Probe::before(&store.connection);
    let client = Client::new(&connection);
    probe.fail([Fault::Before(ErrorKind::Corrupt); 64]);
    let callers = (0..64).map(|_| client.enqueue(note("a")).into_future());
    for done in join_all(callers).await {
        let error = done.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("the probe"), "{error}");
    }
    assert_eq!(store.waiting().await, 0);
}

#[tokio::test]
async fn an_enqueue_that_is_dropped_before_it_was_taken_never_happens() {
    let store = memory();
    let (connection, probe) = Probe::before(&store.connection);
    let client = Client::new(&connection);
    drop(client.enqueue(note("never polled")).into_future());
    let mut waiting = client.enqueue(note("in the line")).into_future();
    assert!(poll_once(&mut waiting).is_pending());
    drop(waiting);
    client.enqueue(note("kept")).await.unwrap();
    assert_eq!(probe.batches(), [1]);
    assert_eq!(store.waiting().await, 1);
}

#[tokio::test]
async fn an_enqueue_that_is_dropped_after_it_was_taken_goes_through() {
    let store = memory();
    let (connection, probe) = Probe::before(&store.connection);
    let client = Client::new(&connection);
    probe.hold();
    let mut taken = client.enqueue(note("taken")).id("taken").into_future();
    assert!(poll_once(&mut taken).is_pending());
    probe.under_way(1).await;
    drop(taken);
    drop(client);
    probe.release();
    let there = async {
        while store.waiting().await == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), there)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_room_in_time_is_told_that_nothing_was_sent() {
    let store = memory();
    let (connection, probe) = Probe::before(&store.connection);
    let client = Client::new(&connection).enqueue_timeout(Duration::from_secs(2));
    probe.hold();
    let payload = Payload::bytes(vec![0; 1 << 20]);
    let callers = (0..40).map(|_| client.enqueue_raw("raw", payload.clone()).into_future());
    let mut unknown = 0;
    for done in join_all(callers).await {
        let error = done.unwrap_err();
        assert!(error.is_transient(), "{error}");
        unknown += usize::from(error.kind() == ErrorKind::Timeout);
    }
    assert_eq!(unknown, probe.batches().iter().sum::<usize>());
    probe.release();
}

#[tokio::test]
async fn a_broker_that_panics_leaves_no_caller_waiting() {
    let store = memory();
    let (connection, probe) = Probe::before(&store.connection);
    let client = Client::new(&connection);
    probe.fail([Fault::Panic; 3]);
    let callers = (0..8).map(|_| client.enqueue(note("a")).into_future());
    for done in join_all(callers).await {
        done.unwrap();
    }
    assert_eq!(store.waiting().await, 8);
}

#[tokio::test]
async fn who_waits_behind_senders_that_panic_is_served() {
    let store = memory();
    let (connection, probe) = Probe::before(&store.connection);
    let client = Client::new(&connection);
    let callers = busy(&client, &probe).await;
    let mut waiting = client.enqueue(note("waiting")).into_future();
    assert!(poll_once(&mut waiting).is_pending());
    drop(callers);
    probe.fail([Fault::Panic; SLOTS]);
    probe.release();
    waiting.await.unwrap();
    assert_eq!(store.waiting().await, 1);
}

#[tokio::test(start_paused = true)]
async fn calls_that_hang_give_their_slots_back() {
    let store = memory();
    let (connection, probe) = Probe::before(&store.connection);
    let client = Client::new(&connection);
    probe.fail([Fault::Hang; SLOTS]);
    for n in 1..=SLOTS {
        let mut caller = client.enqueue(note("a")).into_future();
        assert!(poll_once(&mut caller).is_pending());
        let called = async {
            while probe.batches().len() < n {
                tokio::task::yield_now().await;
            }
        };
        called.await;
    }
    let patient = client
        .enqueue(note("b"))
        .enqueue_timeout(Duration::from_secs(60));
    patient.await.unwrap();
    assert_eq!(store.waiting().await, 1);
}

#[test]
fn a_client_may_be_used_from_one_runtime_after_another() {
    let store = memory();
    let client = Client::new(&store.connection);
    for n in 1..=3 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            client.enqueue(note("a")).await.unwrap();
            assert_eq!(store.waiting().await, n);
        });
    }
}

#[tokio::test]
async fn the_last_clone_takes_everything_with_it() {
    let store = memory();
    let (connection, probe) = Probe::before(&store.connection);
    let client = Client::new(&connection);
    drop(connection);
    let clone = client.clone();
    clone.enqueue(note("a")).await.unwrap();
    drop((client, clone));
    let gone = async {
        while Arc::strong_count(&probe) > 1 {
            tokio::task::yield_now().await;
        }
    };
    let mut gone = pin!(gone);
    tokio::time::timeout(Duration::from_secs(10), gone.as_mut())
        .await
        .unwrap();
}
