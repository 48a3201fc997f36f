//! Clause 10: `sweep` is bounded, idempotent, and any process may call it at any time.

use std::collections::BTreeSet;

use tidemill_shared::{State, Swept, TaskFilter};

use crate::scene::{QUEUE, RETENTION, Scene, TTL, demand, millis, seconds};

const NOTHING: Swept = Swept {
    promoted: 0,
    skipped: 0,
    reclaimed: Vec::new(),
    pruned: 0,
    more: false,
};

/// Clause 10.
pub(crate) async fn a_sweep_of_an_empty_store_does_nothing(scene: &Scene) {
    assert_eq!(scene.sweep().await, NOTHING);
}

/// Clause 10.
pub(crate) async fn sweeping_twice_changes_nothing_more(scene: &Scene) {
    scene.put("done", State::Completed).await;
    scene.put("dead", State::Dead).await;
    scene.put_active("active").await;
    scene.admit(scene.delayed("due", seconds(5))).await;
    scene.advance(RETENTION);
    let swept = scene.sweep().await;
    assert_eq!((swept.promoted, swept.reclaimed.len()), (1, 1));
    assert_eq!((swept.pruned, swept.skipped), (1, 0));
    assert_eq!(scene.sweep().await, NOTHING);
    let left = scene.listed(&TaskFilter::default()).await;
    assert_eq!(left, ["due", "active", "dead"]);
}

/// Clause 10.
pub(crate) async fn a_sweep_does_no_more_than_its_budget(scene: &Scene) {
    for n in 0..5 {
        scene.put(&format!("done{n}"), State::Completed).await;
    }
    for n in 0..5 {
        scene.put_active(&format!("active{n}")).await;
    }
    for n in 0..5 {
        let task = scene.delayed(&format!("due{n}"), seconds(5));
        scene.admit(task).await;
    }
    scene.advance(RETENTION);
    let mut total = NOTHING;
    for round in 0.. {
        assert!(round < 10, "a sweep of two gets somewhere");
        let swept = scene.broker.sweep(2).await.expect("sweep answers");
        assert!(swept.promoted <= 2 && swept.pruned <= 2, "{swept:?}");
        assert!(swept.reclaimed.len() <= 2, "{swept:?}");
        total.promoted += swept.promoted;
        total.pruned += swept.pruned;
        total.reclaimed.extend(swept.reclaimed);
        if !swept.more {
            break;
        }
    }
    assert_eq!((total.promoted, total.pruned), (5, 5));
    assert_eq!(total.reclaimed.len(), 5);
}

/// Clause 10.
pub(crate) async fn two_processes_sweep_without_doing_anything_twice(scene: &Scene) {
    let other = scene.another_process().await.broker;
    let batch = (0..40).map(|n| scene.task(&format!("t{n}"))).collect();
    scene.enqueue(batch).await;
    scene.lease(&demand(&[(QUEUE, 40)], 40)).await;
    scene.advance(TTL + millis(1));
    let mut taken_back = Vec::new();
    for _ in 0..10 {
        let (own, others) = tokio::join!(scene.broker.sweep(5), other.sweep(5));
        for swept in [own, others] {
            let swept = swept.expect("sweep answers");
            taken_back.extend(swept.reclaimed.into_iter().map(|r| r.task));
        }
    }
    assert_eq!(taken_back.len(), 40, "each lease is taken back once");
    let distinct: BTreeSet<_> = taken_back.iter().collect();
    assert_eq!(distinct.len(), 40);
    let leases = scene.ready(50).await;
    assert!(leases.iter().all(|lease| lease.crashes == 1));
}

/// Clause 10.
pub(crate) async fn a_sweep_says_what_it_took_back(scene: &Scene) {
    scene.put_active("a").await;
    let swept = scene.crash().await;
    let reclaimed = &swept.reclaimed[0];
    assert_eq!(reclaimed.task.as_str(), "a");
    assert_eq!(reclaimed.kind.as_str(), "test.kind");
    assert_eq!(reclaimed.queue.as_str(), QUEUE);
    assert_eq!(reclaimed.worker.as_str(), crate::scene::WORKER);
    assert_eq!((reclaimed.attempt, reclaimed.buried), (1, None));
    assert_eq!(reclaimed.schedule, None);
}

/// Clause 10.
pub(crate) async fn a_sweep_promotes_what_is_due(scene: &Scene) {
    scene.put("retry", State::Retry).await;
    scene.admit(scene.delayed("due", seconds(5))).await;
    scene.admit(scene.delayed("later", seconds(7_200))).await;
    scene.advance(seconds(601));
    let swept = scene.sweep().await;
    assert_eq!(swept.promoted, 2);
    for task in ["retry", "due"] {
        assert_eq!(scene.state(task).await, Some(State::Pending));
    }
    assert_eq!(scene.state("later").await, Some(State::Scheduled));
}
