//! Clause 8: order within a queue.

use tidemill_shared::{Change, Priority, ReleaseCause, Replay, State};

use crate::scene::{QUEUE, Scene, TTL, demand, ids, queue, seconds};
use crate::verdicts::{bury, release, retry};

/// Clause 8. Behaviour 25.
pub(crate) async fn the_first_that_is_ready_goes_first(scene: &Scene) {
    let tasks = ["d", "a", "c", "b"];
    scene.admit_all(&tasks).await;
    assert_eq!(ids(&scene.ready(2).await), ["d", "a"]);
    assert_eq!(ids(&scene.ready(2).await), ["c", "b"]);
}

/// Clause 8. Behaviour 25.
pub(crate) async fn a_batch_keeps_its_order(scene: &Scene) {
    let batch = (0..50).rev().map(|n| scene.task(&format!("t{n}")));
    scene.enqueue(batch.collect()).await;
    let leases = scene.ready(50).await;
    let expected: Vec<_> = (0..50).rev().map(|n| format!("t{n}")).collect();
    assert_eq!(ids(&leases), expected);
}

/// Clause 8.
pub(crate) async fn the_higher_priority_goes_first(scene: &Scene) {
    for (task, level) in [("low", 0), ("first", 5), ("high", 9), ("second", 5)] {
        let mut envelope = scene.task(task);
        envelope.priority = Priority::new(level).expect("a level");
        scene.admit(envelope).await;
        scene.advance(seconds(1));
    }
    let leases = scene.ready(10).await;
    assert_eq!(ids(&leases), ["high", "first", "second", "low"]);
}

/// Clause 8.
pub(crate) async fn a_delayed_task_is_ready_when_it_is_due(scene: &Scene) {
    scene.admit(scene.delayed("delayed", seconds(10))).await;
    scene.admit_all(&["early"]).await;
    scene.advance(seconds(5));
    scene.admit_all(&["middle"]).await;
    scene.advance(seconds(10));
    scene.admit_all(&["late"]).await;
    let leases = scene.ready(10).await;
    assert_eq!(ids(&leases), ["early", "middle", "delayed", "late"]);
    assert_eq!(leases[2].ready_at, scene.now() - seconds(5));
}

/// Clause 8.
pub(crate) async fn delayed_tasks_go_in_the_order_of_their_due_times(scene: &Scene) {
    for (task, by) in [("c", 30), ("a", 10), ("b", 20), ("a2", 10)] {
        scene.admit(scene.delayed(task, seconds(by))).await;
    }
    scene.advance(seconds(60));
    assert_eq!(ids(&scene.ready(10).await), ["a", "a2", "b", "c"]);
}

/// Clause 8. Behaviour 53.
pub(crate) async fn a_released_task_goes_back_to_the_front(scene: &Scene) {
    scene.admit_all(&["a", "b", "c"]).await;
    let leases = scene.ready(2).await;
    for lease in leases.iter().rev() {
        let verdict = release(ReleaseCause::Shutdown);
        scene.end(lease, verdict, State::Pending).await;
    }
    scene.admit_all(&["d"]).await;
    assert_eq!(ids(&scene.ready(10).await), ["a", "b", "c", "d"]);
}

/// Clause 8.
pub(crate) async fn a_reclaimed_task_goes_back_to_the_front(scene: &Scene) {
    scene.admit_all(&["a", "b"]).await;
    let lease = scene.take("a").await;
    scene.crash().await;
    scene.admit_all(&["c"]).await;
    let leases = scene.ready(10).await;
    assert_eq!(ids(&leases), ["a", "b", "c"]);
    assert_eq!(leases[0].ready_at, lease.ready_at);
}

/// Clause 8.
pub(crate) async fn a_retried_task_takes_its_place_by_its_due_time(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    let lease = scene.take("a").await;
    let at = scene.after(seconds(10));
    scene.end(&lease, retry(at, "boom"), State::Retry).await;
    scene.admit_all(&["b"]).await;
    scene.advance(seconds(20));
    scene.admit_all(&["c"]).await;
    assert_eq!(ids(&scene.ready(10).await), ["b", "a", "c"]);
}

/// Clause 8.
pub(crate) async fn a_replayed_task_is_ready_when_it_was_replayed(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    let lease = scene.take("a").await;
    scene.end(&lease, bury("boom"), State::Dead).await;
    scene.admit_all(&["b"]).await;
    scene.advance(seconds(1));
    scene.change("a", Change::Replay(Replay::default())).await;
    scene.advance(seconds(1));
    scene.admit_all(&["c"]).await;
    assert_eq!(ids(&scene.ready(10).await), ["b", "a", "c"]);
}

/// Clause 8.
pub(crate) async fn queues_are_served_in_the_order_of_the_demand(scene: &Scene) {
    for (name, task) in [("one", "1"), ("two", "2"), ("one", "3"), ("two", "4")] {
        scene.admit(scene.task_in(name, task)).await;
    }
    let leases = scene.lease(&demand(&[("two", 9), ("one", 9)], 3)).await;
    assert_eq!(ids(&leases), ["2", "4", "1"]);
}

/// Clause 8.
pub(crate) async fn a_demand_limits_what_comes_from_each_queue(scene: &Scene) {
    for n in 0..4 {
        scene.admit(scene.task_in("one", &format!("a{n}"))).await;
        scene.admit(scene.task_in("two", &format!("b{n}"))).await;
    }
    let leases = scene.lease(&demand(&[("one", 1), ("two", 2)], 9)).await;
    assert_eq!(ids(&leases), ["a0", "b0", "b1"]);
    let leases = scene.lease(&demand(&[("one", 9), ("two", 9)], 4)).await;
    assert_eq!(ids(&leases), ["a1", "a2", "a3", "b2"]);
}

/// Clause 8.
pub(crate) async fn a_queue_that_was_not_asked_for_yields_nothing(scene: &Scene) {
    scene.admit(scene.task_in("other", "a")).await;
    scene.admit(scene.task_in("Default", "b")).await;
    scene.nothing_ready().await;
}

/// Behaviour 28.
pub(crate) async fn a_paused_queue_yields_nothing_while_others_go_on(scene: &Scene) {
    let name = queue(QUEUE);
    scene.admit_all(&["a"]).await;
    let inspect = scene.inspect();
    inspect.pause(&name, Some("deploy")).await.expect("paused");
    inspect.pause(&name, Some("later")).await.expect("paused");
    scene.admit_all(&["b"]).await;
    scene.admit(scene.task_in("other", "c")).await;
    let both = demand(&[(QUEUE, 9), ("other", 9)], 9);
    assert_eq!(ids(&scene.lease(&both).await), ["c"]);
    let stats = scene.stats(QUEUE).await;
    assert!(stats.paused);
    assert_eq!(stats.pause_reason.as_deref(), Some("later"));
    assert_eq!(stats.pending, 2);
    inspect.resume(&name).await.expect("resumed");
    assert_eq!(ids(&scene.lease(&both).await), ["a", "b"]);
    let stats = scene.stats(QUEUE).await;
    assert_eq!((stats.paused, stats.pause_reason), (false, None));
}

/// Behaviour 28.
pub(crate) async fn a_pause_leaves_what_runs_alone(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    let lease = scene.take("a").await;
    scene
        .inspect()
        .pause(&queue(QUEUE), None)
        .await
        .expect("paused");
    let held = tidemill_shared::Renewal::Held(scene.after(TTL));
    assert_eq!(scene.renew(&lease, TTL).await, held);
    scene
        .end(&lease, crate::verdicts::ack(), State::Completed)
        .await;
}
