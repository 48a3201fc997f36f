//! Waiting for work: nobody is woken in vain for ever, and no wake-up is lost.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tidemill_shared::{Broker, Inspect, Lease, Result, Verdict};
use tokio::task::JoinSet;

use super::scene::{LEASE, Scene, demand, queue, seconds};

/// Counts how often it is woken.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Counter {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// The leases, if the call has come to its end.
    fn look<F: Future<Output = Result<Vec<Lease>>>>(
        self: &Arc<Self>,
        lease: Pin<&mut F>,
    ) -> Option<Vec<Lease>> {
        let waker = Waker::from(Arc::clone(self));
        match lease.poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(leases) => Some(leases.unwrap()),
            Poll::Pending => None,
        }
    }
}

#[tokio::test]
async fn one_task_wakes_one_of_two_waiters() {
    let scene = Scene::new();
    let wanted = demand(&["default"], 10, seconds(60));
    let (mut first, mut second) = (
        pin!(scene.store.lease(&wanted)),
        pin!(scene.store.lease(&wanted)),
    );
    let (a, b) = (Arc::new(Counter::default()), Arc::new(Counter::default()));
    assert!(a.look(first.as_mut()).is_none());
    assert!(b.look(second.as_mut()).is_none());

    scene.add(scene.envelope("t1")).await;
    assert_eq!((a.count(), b.count()), (1, 0));
    assert_eq!(a.look(first.as_mut()).unwrap().len(), 1);
    assert_eq!(b.count(), 0, "nothing was left for the second");

    scene.add(scene.envelope("t2")).await;
    assert_eq!(b.count(), 1);
    assert_eq!(b.look(second.as_mut()).unwrap().len(), 1);
}

#[tokio::test]
async fn a_waiter_that_is_dropped_after_its_wake_up_passes_it_on() {
    let scene = Scene::new();
    let wanted = demand(&["default"], 10, seconds(60));
    let mut first = Box::pin(scene.store.lease(&wanted));
    let mut second = pin!(scene.store.lease(&wanted));
    let (a, b) = (Arc::new(Counter::default()), Arc::new(Counter::default()));
    assert!(a.look(first.as_mut()).is_none());
    assert!(b.look(second.as_mut()).is_none());

    scene.add(scene.envelope("t1")).await;
    assert_eq!((a.count(), b.count()), (1, 0));
    drop(first);
    assert_eq!(b.count(), 1);
    assert_eq!(b.look(second.as_mut()).unwrap().len(), 1);
}

#[tokio::test]
async fn a_waiter_that_takes_something_else_passes_its_wake_up_on() {
    let scene = Scene::new();
    let both = demand(&["a", "b"], 1, seconds(60));
    let other = demand(&["b"], 1, seconds(60));
    let mut first = pin!(scene.store.lease(&both));
    let mut second = pin!(scene.store.lease(&other));
    let (a, b) = (Arc::new(Counter::default()), Arc::new(Counter::default()));
    assert!(a.look(first.as_mut()).is_none());
    assert!(b.look(second.as_mut()).is_none());

    scene.add(scene.envelope_in("of.b", "b")).await;
    assert_eq!((a.count(), b.count()), (1, 0));
    scene.add(scene.envelope_in("of.a", "a")).await;
    let leases = a.look(first.as_mut()).unwrap();
    assert_eq!(leases[0].token.task.as_str(), "of.a");
    assert_eq!(b.count(), 1);
    assert_eq!(b.look(second.as_mut()).unwrap().len(), 1);
}

#[tokio::test]
async fn the_end_of_a_pause_wakes_a_waiter() {
    let scene = Scene::new();
    let name = queue("default");
    scene.store.pause(&name, None).await.unwrap();
    let wanted = demand(&["default"], 1, seconds(60));
    let mut lease = pin!(scene.store.lease(&wanted));
    let counter = Arc::new(Counter::default());
    assert!(counter.look(lease.as_mut()).is_none());
    scene.add(scene.envelope("t1")).await;
    assert_eq!(counter.count(), 0);
    scene.store.resume(&name).await.unwrap();
    assert_eq!(counter.count(), 1);
    assert_eq!(counter.look(lease.as_mut()).unwrap().len(), 1);
}

#[tokio::test]
async fn a_task_in_another_queue_wakes_nobody() {
    let scene = Scene::new();
    let wanted = demand(&["a"], 1, seconds(60));
    let mut lease = pin!(scene.store.lease(&wanted));
    let counter = Arc::new(Counter::default());
    assert!(counter.look(lease.as_mut()).is_none());
    scene.add(scene.envelope_in("t1", "b")).await;
    assert_eq!(counter.count(), 0);
}

/// Behaviour 8. Behaviour 64.
#[tokio::test]
async fn a_waiter_gets_a_delayed_task_when_it_is_due_and_not_before() {
    let scene = Scene::new();
    let mut envelope = scene.envelope("t1");
    envelope.due_at = scene.now() + Duration::from_millis(500);
    scene.add(envelope).await;
    let wanted = demand(&["default"], 1, seconds(60));
    let mut lease = pin!(scene.store.lease(&wanted));
    let counter = Arc::new(Counter::default());
    assert!(counter.look(lease.as_mut()).is_none());
    scene.clock.advance(Duration::from_micros(499_999));
    assert!(counter.look(lease.as_mut()).is_none());
    scene.clock.advance(Duration::from_micros(1));
    assert!(counter.count() > 0);
    assert_eq!(counter.look(lease.as_mut()).unwrap().len(), 1);
}

#[tokio::test]
async fn a_task_that_is_due_earlier_shortens_the_wait() {
    let scene = Scene::new();
    let due_in = |id: &str, after: u64| {
        let mut envelope = scene.envelope(id);
        envelope.due_at = scene.now() + seconds(after);
        envelope
    };
    scene.add(due_in("late", 100)).await;
    let wanted = demand(&["default"], 1, seconds(1_000));
    let mut lease = pin!(scene.store.lease(&wanted));
    let counter = Arc::new(Counter::default());
    assert!(counter.look(lease.as_mut()).is_none());
    scene.add(due_in("early", 10)).await;
    assert!(counter.look(lease.as_mut()).is_none());
    scene.clock.advance(seconds(10));
    let leases = counter.look(lease.as_mut()).unwrap();
    assert_eq!(leases[0].token.task.as_str(), "early");
}

#[tokio::test]
async fn a_waiter_leaves_with_nothing_at_its_deadline() {
    let scene = Scene::new();
    let wanted = demand(&["default"], 1, seconds(3));
    let mut lease = pin!(scene.store.lease(&wanted));
    let counter = Arc::new(Counter::default());
    assert!(counter.look(lease.as_mut()).is_none());
    scene.clock.advance(seconds(2));
    assert!(counter.look(lease.as_mut()).is_none());
    scene.clock.advance(seconds(1));
    assert!(counter.look(lease.as_mut()).unwrap().is_empty());
}

#[tokio::test]
async fn what_comes_back_wakes_a_waiter() {
    let scene = Scene::new();
    let wanted = demand(&["default"], 1, seconds(600));
    let counter = Arc::new(Counter::default());
    scene.add(scene.envelope("t1")).await;
    let lease = scene.take_one().await;

    let mut waiting = pin!(scene.store.lease(&wanted));
    assert!(counter.look(waiting.as_mut()).is_none());
    let cause = tidemill_shared::ReleaseCause::Shutdown;
    scene
        .settle(&lease, Verdict::Release { at: None, cause })
        .await;
    assert_eq!(counter.look(waiting.as_mut()).unwrap().len(), 1);

    let mut waiting = pin!(scene.store.lease(&wanted));
    assert!(counter.look(waiting.as_mut()).is_none());
    scene.clock.advance(LEASE);
    assert_eq!(scene.store.sweep(10).await.unwrap().reclaimed.len(), 1);
    assert_eq!(counter.look(waiting.as_mut()).unwrap().len(), 1);
}

#[tokio::test]
async fn a_long_row_of_due_tasks_elsewhere_hides_nothing() {
    let scene = Scene::new();
    let later = scene.now() + seconds(1);
    for n in 0..1_000 {
        let mut envelope = scene.envelope_in(&format!("other.{n}"), "other");
        envelope.due_at = later;
        scene.add(envelope).await;
    }
    let mut envelope = scene.envelope("mine");
    envelope.due_at = later;
    scene.add(envelope).await;
    scene.clock.advance(seconds(1));
    assert_eq!(scene.take_one().await.token.task.as_str(), "mine");
}

/// The clock stands still, so that one lost wake-up is a hang.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_task_reaches_a_waiter_while_others_are_dropped() {
    const TASKS: usize = 4_000;
    let scene = Scene::new();
    let mut consumers = JoinSet::new();
    let (found, mut seen) = tokio::sync::mpsc::channel(TASKS);
    for n in 0..8 {
        let (store, found) = (scene.store.clone(), found.clone());
        consumers.spawn(async move {
            let wanted = demand(&["a", "b"], 1 + n % 3, seconds(60));
            let mut turn = 0_u32;
            loop {
                turn = turn.wrapping_add(1);
                let leases = if turn.is_multiple_of(3) {
                    // A future that is dropped right away, perhaps after its wake-up.
                    tokio::select! {
                        biased;
                        leases = store.lease(&wanted) => leases,
                        () = tokio::task::yield_now() => continue,
                    }
                } else {
                    store.lease(&wanted).await
                };
                for lease in leases.unwrap() {
                    found.send(lease.token.task).await.unwrap();
                }
            }
        });
    }
    let mut producers = JoinSet::new();
    for n in 0..TASKS {
        let name = if n % 2 == 0 { "a" } else { "b" };
        let envelope = scene.envelope_in(&format!("t{n}"), name);
        let store = scene.store.clone();
        producers.spawn(async move { store.enqueue(vec![envelope]).await });
    }
    let mut all = BTreeSet::new();
    let collect = async {
        while all.len() < TASKS {
            assert!(all.insert(seen.recv().await.unwrap()), "leased twice");
        }
    };
    tokio::time::timeout(seconds(60), collect).await.unwrap();
    consumers.shutdown().await;
}
