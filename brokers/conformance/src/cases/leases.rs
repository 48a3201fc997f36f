//! Clause 3: one live lease per task.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidemill_shared::{Broker, Clock, Settlement};
use tokio::task::JoinSet;

use crate::scene::{QUEUE, Scene, TTL, WORKER, demand, millis, queue, seconds, worker};
use crate::verdicts::ack;

/// How many tasks several workers fight for.
const BACKLOG: usize = 200;

/// Clause 3.
pub(crate) async fn a_leased_task_is_not_leased_again(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    scene.take("a").await;
    scene.nothing_ready().await;
    scene.advance(TTL - millis(1));
    scene.sweep().await;
    scene.nothing_ready().await;
}

/// Clause 3.
pub(crate) async fn a_lease_carries_its_proof_and_its_end(scene: &Scene) {
    let envelope = scene.task("a");
    scene.admit(envelope.clone()).await;
    let lease = scene.take("a").await;
    assert_eq!(lease.envelope, envelope);
    assert_eq!(lease.token.worker, worker(WORKER));
    assert_eq!(lease.token.queue, queue(QUEUE));
    assert_eq!(lease.token.fence, 1);
    assert_eq!(lease.expires_at, scene.after(TTL));
    assert_eq!(lease.ready_at, scene.now());
    assert_eq!((lease.attempt, lease.failures, lease.crashes), (1, 0, 0));
}

/// Clause 3.
pub(crate) async fn the_fence_grows_with_every_lease(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    let mut last = 0;
    for _ in 0..2 {
        let lease = scene.take("a").await;
        assert!(
            lease.token.fence > last,
            "{} after {last}",
            lease.token.fence
        );
        last = lease.token.fence;
        scene.crash().await;
    }
}

/// Clause 3.
pub(crate) async fn many_workers_share_a_backlog_without_doubles(scene: &Scene) {
    let brokers = vec![Arc::clone(&scene.broker); 4];
    share_a_backlog(scene, brokers).await;
}

/// Clause 3.
pub(crate) async fn two_processes_share_a_backlog_without_doubles(scene: &Scene) {
    let other = scene.another_process().await.broker;
    let own = Arc::clone(&scene.broker);
    share_a_backlog(
        scene,
        vec![Arc::clone(&own), Arc::clone(&other), own, other],
    )
    .await;
}

async fn share_a_backlog(scene: &Scene, brokers: Vec<Arc<dyn Broker>>) {
    let batch = (0..BACKLOG).map(|n| scene.task(&format!("t{n}"))).collect();
    scene.enqueue(batch).await;
    let mut workers = JoinSet::new();
    for (n, broker) in brokers.into_iter().enumerate() {
        let mut demand = demand(&[(QUEUE, 7)], 7);
        demand.worker = worker(&format!("worker-{n}"));
        let now = scene.clock.now();
        workers.spawn(async move {
            let mut taken = Vec::new();
            loop {
                let leases = broker.lease(&demand).await.expect("lease answers");
                if leases.is_empty() {
                    return taken;
                }
                taken.extend(leases.iter().map(|lease| lease.token.task.to_string()));
                let batch = leases.into_iter().map(|lease| Settlement {
                    token: lease.token,
                    started_at: Some(now),
                    verdict: ack(),
                });
                let answers = broker.settle(batch.collect()).await;
                answers.expect("settle answers");
            }
        });
    }
    let taken: Vec<String> = workers.join_all().await.into_iter().flatten().collect();
    assert_eq!(taken.len(), BACKLOG, "each task is leased once");
    let distinct: BTreeSet<_> = taken.iter().collect();
    assert_eq!(distinct.len(), BACKLOG, "no task is leased twice");
}

/// Clause 3. Behaviour 46.
pub(crate) async fn a_renewed_lease_lasts_as_long_as_its_run(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    let lease = scene.take("a").await;
    for _ in 0..10 {
        scene.advance(TTL - seconds(1));
        let held = tidemill_shared::Renewal::Held(scene.after(TTL));
        assert_eq!(scene.renew(&lease, TTL).await, held);
        assert_eq!(scene.sweep().await.reclaimed, []);
    }
    scene.nothing_ready().await;
    let done = tidemill_shared::State::Completed;
    scene.end(&lease, ack(), done).await;
}

/// Clause 3.
pub(crate) async fn a_renewal_sets_the_end_of_the_lease_from_now(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    let lease = scene.take("a").await;
    let held = tidemill_shared::Renewal::Held(scene.after(seconds(60)));
    assert_eq!(scene.renew(&lease, seconds(60)).await, held);
    scene.advance(seconds(59));
    assert_eq!(scene.sweep().await.reclaimed, []);
    scene.advance(seconds(2));
    assert_eq!(scene.sweep().await.reclaimed.len(), 1);
}
