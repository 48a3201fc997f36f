//! Clause 7: `lease` returns early with at least one, empty at the deadline; dropping the future
//! strands nothing.

use std::sync::Arc;
use std::time::Duration;

use tidemill_shared::schedule::{Misfire, Overlap};
use tidemill_shared::{Broker, Change, Demand, Lease, ReleaseCause, Replay, State};
use tokio::task::JoinSet;

use crate::planning::policed;
use crate::scene::{
    PATIENCE, QUEUE, Scene, TTL, WORKER, demand, ids, millis, queue, seconds, worker,
};
use crate::verdicts::{ack, release, retry};

/// How long a lease must be seen to wait before the case goes on, in real time.
const SEEN_WAITING: Duration = Duration::from_millis(40);

fn patient(max: usize) -> Demand {
    Demand {
        wait: seconds(3_600),
        ..demand(&[(QUEUE, max)], max)
    }
}

/// A lease that is being waited for.
struct Waiter(JoinSet<Vec<Lease>>);

impl Waiter {
    /// Starts to wait, and insists that there is nothing yet.
    async fn start(broker: &Arc<dyn Broker>, demand: Demand) -> Self {
        let broker = Arc::clone(broker);
        let mut set = JoinSet::new();
        set.spawn(async move { broker.lease(&demand).await.expect("lease answers") });
        let early = tokio::time::timeout(SEEN_WAITING, set.join_next()).await;
        assert!(early.is_err(), "there is nothing to lease yet: {early:?}");
        Self(set)
    }

    /// What it got at last.
    async fn leases(mut self) -> Vec<Lease> {
        let answer = tokio::time::timeout(PATIENCE, self.0.join_next()).await;
        let answer = answer.expect("a waiting lease wakes");
        answer.expect("it was started").expect("it did not panic")
    }
}

/// Clause 7.
pub(crate) async fn a_lease_returns_with_what_is_ready(scene: &Scene) {
    scene.admit_all(&["a", "b"]).await;
    let leases = scene.lease(&patient(10)).await;
    assert_eq!(ids(&leases), ["a", "b"]);
}

/// Clause 7.
pub(crate) async fn a_lease_without_a_wait_returns_at_once(scene: &Scene) {
    scene.nothing_ready().await;
}

/// Clause 7.
pub(crate) async fn a_lease_is_empty_at_its_deadline(scene: &Scene) {
    let mut demand = demand(&[(QUEUE, 5)], 5);
    demand.wait = seconds(30);
    let waiter = Waiter::start(&scene.broker, demand).await;
    scene.advance(seconds(31));
    assert_eq!(ids(&waiter.leases().await), [""; 0]);
}

/// Clause 7.
pub(crate) async fn a_waiting_lease_does_not_end_before_its_deadline(scene: &Scene) {
    let mut demand = demand(&[(QUEUE, 5)], 5);
    demand.wait = seconds(30);
    let mut waiter = Waiter::start(&scene.broker, demand).await;
    scene.advance(seconds(29));
    let early = tokio::time::timeout(SEEN_WAITING, waiter.0.join_next()).await;
    assert!(early.is_err(), "it waits on: {early:?}");
    scene.advance(seconds(2));
    assert_eq!(ids(&waiter.leases().await), [""; 0]);
}

/// Clause 7.
pub(crate) async fn a_waiting_lease_wakes_for_a_new_task(scene: &Scene) {
    let waiter = Waiter::start(&scene.broker, patient(5)).await;
    scene.admit_all(&["a"]).await;
    assert_eq!(ids(&waiter.leases().await), ["a"]);
}

/// Clause 7.
pub(crate) async fn a_waiting_lease_wakes_for_another_process(scene: &Scene) {
    let other = scene.another_process().await;
    let waiter = Waiter::start(&other.broker, patient(5)).await;
    scene.admit_all(&["a"]).await;
    assert_eq!(ids(&waiter.leases().await), ["a"]);
}

/// Clause 7. Behaviour 64.
pub(crate) async fn a_waiting_lease_wakes_when_a_task_is_due(scene: &Scene) {
    scene.admit(scene.delayed("a", seconds(10))).await;
    let mut waiter = Waiter::start(&scene.broker, patient(5)).await;
    scene.advance(seconds(10) - millis(1));
    let early = tokio::time::timeout(SEEN_WAITING, waiter.0.join_next()).await;
    assert!(early.is_err(), "it is never early: {early:?}");
    scene.advance(millis(1));
    assert_eq!(ids(&waiter.leases().await), ["a"]);
}

/// Clause 7.
pub(crate) async fn a_waiting_lease_wakes_for_a_task_that_is_due_sooner(scene: &Scene) {
    scene.admit(scene.delayed("late", seconds(600))).await;
    let waiter = Waiter::start(&scene.broker, patient(5)).await;
    scene.admit(scene.delayed("soon", seconds(10))).await;
    scene.advance(seconds(10));
    assert_eq!(ids(&waiter.leases().await), ["soon"]);
}

/// Clause 7.
pub(crate) async fn a_waiting_lease_wakes_for_a_released_task(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    let lease = scene.take("a").await;
    let waiter = Waiter::start(&scene.broker, patient(5)).await;
    let verdict = release(ReleaseCause::Shutdown);
    scene.end(&lease, verdict, State::Pending).await;
    assert_eq!(ids(&waiter.leases().await), ["a"]);
}

/// Clause 7.
pub(crate) async fn a_waiting_lease_wakes_for_a_reclaimed_task(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    scene.take("a").await;
    let waiter = Waiter::start(&scene.broker, patient(5)).await;
    scene.crash().await;
    assert_eq!(ids(&waiter.leases().await), ["a"]);
}

/// Clause 7.
pub(crate) async fn a_waiting_lease_wakes_for_a_retry(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    let lease = scene.take("a").await;
    let waiter = Waiter::start(&scene.broker, patient(5)).await;
    let verdict = retry(scene.after(seconds(2)), "boom");
    scene.end(&lease, verdict, State::Retry).await;
    scene.advance(seconds(2));
    assert_eq!(ids(&waiter.leases().await), ["a"]);
}

/// Clause 7.
pub(crate) async fn a_waiting_lease_wakes_for_an_operator(scene: &Scene) {
    scene.put("dead", State::Dead).await;
    scene.put("later", State::Scheduled).await;
    let waiter = Waiter::start(&scene.broker, patient(1)).await;
    scene.change("later", Change::RunNow).await;
    assert_eq!(ids(&waiter.leases().await), ["later"]);

    let waiter = Waiter::start(&scene.broker, patient(1)).await;
    scene
        .change("dead", Change::Replay(Replay::default()))
        .await;
    assert_eq!(ids(&waiter.leases().await), ["dead"]);

    let name = queue(QUEUE);
    scene.inspect().pause(&name, None).await.expect("paused");
    scene.put("paused", State::Pending).await;
    let waiter = Waiter::start(&scene.broker, patient(1)).await;
    scene.inspect().resume(&name).await.expect("resumed");
    assert_eq!(ids(&waiter.leases().await), ["paused"]);
}

/// Clause 7. Behaviour 65.
pub(crate) async fn a_waiting_lease_wakes_for_a_fire(scene: &Scene) {
    let policy = policed("a", Overlap::QueueOne, Misfire::FireAll);
    let plan = scene.plan(policy).await;
    let waiter = Waiter::start(&scene.broker, patient(5)).await;
    let tasks = scene.fires_in(&plan, &[60, 120]).await;
    scene.advance(seconds(60));
    let first = waiter.leases().await.remove(0);
    assert_eq!(first.token.task.as_str(), tasks[0]);
    scene.renew(&first, seconds(3_600)).await;
    scene.advance(seconds(60));
    // The second is held until the first has ended.
    let waiter = Waiter::start(&scene.broker, patient(5)).await;
    scene.end(&first, ack(), State::Completed).await;
    assert_eq!(ids(&waiter.leases().await), [tasks[1].as_str()]);
}

/// Clause 7.
pub(crate) async fn every_waiting_lease_gets_its_task(scene: &Scene) {
    let mut waiters = Vec::new();
    for n in 0..4 {
        let mut demand = patient(1);
        demand.worker = worker(&format!("worker-{n}"));
        waiters.push(Waiter::start(&scene.broker, demand).await);
    }
    let batch = (0..4).map(|n| scene.task(&format!("t{n}"))).collect();
    scene.enqueue(batch).await;
    let mut taken = Vec::new();
    for waiter in waiters {
        taken.extend(waiter.leases().await.into_iter().map(|l| l.token.task));
    }
    taken.sort();
    let taken: Vec<_> = taken.iter().map(|task| task.as_str()).collect();
    assert_eq!(taken, ["t0", "t1", "t2", "t3"]);
}

/// Clause 7.
pub(crate) async fn a_waiting_lease_serves_all_its_queues(scene: &Scene) {
    for name in ["one", "two"] {
        let mut demand = demand(&[("one", 5), ("two", 5)], 5);
        demand.wait = seconds(3_600);
        let waiter = Waiter::start(&scene.broker, demand).await;
        scene.admit(scene.task_in(name, name)).await;
        assert_eq!(ids(&waiter.leases().await), [name]);
    }
}

/// Clause 7.
pub(crate) async fn a_dropped_lease_strands_nothing(scene: &Scene) {
    for round in 0..20 {
        let task = format!("t{round}");
        let demand = patient(5);
        let mut lease = scene.broker.lease(&demand);
        // Polled a few times and then dropped, with the task arriving in between.
        let early = tokio::time::timeout(millis(round % 3), &mut lease).await;
        assert!(early.is_err(), "there is nothing to lease yet");
        scene.admit(scene.task(&task)).await;
        if round % 2 == 0 {
            tokio::select! {
                biased;
                _ = &mut lease => {}
                () = std::future::ready(()) => {}
            }
        }
        drop(lease);
        // Whoever comes next gets it: at once, or when the time to live of a lease that was made for
        // the dropped future is over.
        let mut leases = scene.ready(5).await;
        if leases.is_empty() {
            scene.advance(TTL + millis(1));
            assert!(scene.sweep().await.reclaimed.len() <= 1);
            leases = scene.ready(5).await;
        }
        assert_eq!(ids(&leases), [task.as_str()], "it was not stranded");
        assert_eq!(leases[0].token.worker, worker(WORKER));
        let done = State::Completed;
        scene.end(&leases[0], ack(), done).await;
    }
}
