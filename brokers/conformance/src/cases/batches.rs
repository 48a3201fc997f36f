//! Clause 1: answers match the batch in length and order.

use tidemill_shared::{Admission, Renewal, Settled, Settlement, State};

use crate::scene::{QUEUE, Scene, TTL, demand, id, ids};
use crate::verdicts::{ack, bury};

/// Clause 1. Behaviour 11.
pub(crate) async fn a_bad_item_does_not_harm_a_good_one(scene: &Scene) {
    scene.admit_all(&["taken"]).await;
    let batch = ["first", "taken", "second"].map(|task| scene.task(task));
    assert_eq!(
        scene.enqueue(batch.to_vec()).await,
        [
            Admission::Admitted,
            Admission::IdConflict,
            Admission::Admitted
        ]
    );
    let leases = scene.ready(10).await;
    assert_eq!(ids(&leases), ["taken", "first", "second"]);
}

/// Clause 1.
pub(crate) async fn settlements_are_answered_in_their_order(scene: &Scene) {
    scene.admit_all(&["a", "b", "c"]).await;
    let leases = scene.ready(3).await;
    let settlement = |at: usize, verdict| Settlement {
        token: leases[at].token.clone(),
        started_at: Some(scene.now()),
        verdict,
    };
    let mut unknown = settlement(1, ack());
    unknown.token.task = id("nobody");
    let batch = vec![
        settlement(2, ack()),
        unknown,
        settlement(0, bury("boom")),
        settlement(2, bury("twice in one batch")),
        settlement(1, ack()),
    ];
    assert_eq!(
        scene.settle_all(batch).await,
        [
            Settled::Done(State::Completed),
            Settled::Stale,
            Settled::Done(State::Dead),
            Settled::Stale,
            Settled::Done(State::Completed),
        ]
    );
}

/// Clause 1.
pub(crate) async fn renewals_are_answered_in_their_order(scene: &Scene) {
    scene.admit_all(&["a", "b", "c"]).await;
    let leases = scene.ready(3).await;
    scene.end(&leases[1], ack(), State::Completed).await;
    let tokens: Vec<_> = leases.iter().map(|lease| lease.token.clone()).collect();
    let until = scene.after(TTL);
    assert_eq!(
        scene.broker.renew(&tokens, TTL).await.expect("an answer"),
        [Renewal::Held(until), Renewal::Lost, Renewal::Held(until)]
    );
}

/// Clause 1.
pub(crate) async fn statistics_are_answered_in_their_order(scene: &Scene) {
    scene.admit(scene.task_in("one", "a")).await;
    scene.admit(scene.task_in("two", "b")).await;
    let asked = ["two", "never-seen", "one"].map(crate::scene::queue);
    let stats = scene.broker.stats(&asked).await.expect("an answer");
    let seen: Vec<_> = stats
        .iter()
        .map(|s| (s.queue.as_str(), s.pending))
        .collect();
    assert_eq!(seen, [("two", 1), ("never-seen", 0), ("one", 1)]);
    let all = scene.broker.stats(&[]).await.expect("an answer");
    let names: Vec<_> = all.iter().map(|s| s.queue.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
}

/// Clause 1.
pub(crate) async fn an_empty_batch_is_answered_with_nothing(scene: &Scene) {
    assert_eq!(scene.enqueue(Vec::new()).await, []);
    assert_eq!(scene.settle_all(Vec::new()).await, []);
    assert_eq!(scene.broker.renew(&[], TTL).await.expect("an answer"), []);
    assert!(scene.lease(&demand(&[], 5)).await.is_empty());
    scene.admit_all(&["a"]).await;
    assert!(scene.lease(&demand(&[(QUEUE, 5)], 0)).await.is_empty());
    assert!(scene.lease(&demand(&[(QUEUE, 0)], 5)).await.is_empty());
    assert_eq!(ids(&scene.ready(5).await), ["a"]);
}

/// Clause 1.
pub(crate) async fn a_batch_of_the_largest_size_is_taken_whole(scene: &Scene) {
    let size = scene.broker.capabilities().max_batch;
    assert!(size > 0, "a broker takes at least one at a time");
    let batch = (0..size).map(|n| scene.task(&format!("t{n}"))).collect();
    let answers = scene.enqueue(batch).await;
    assert!(answers.iter().all(|answer| *answer == Admission::Admitted));
    let leases = scene.ready(size).await;
    assert_eq!(leases.len(), size);
    let batch = leases
        .iter()
        .map(|lease| Settlement {
            token: lease.token.clone(),
            started_at: None,
            verdict: ack(),
        })
        .collect();
    let answers = scene.settle_all(batch).await;
    assert!(
        answers
            .iter()
            .all(|answer| *answer == Settled::Done(State::Completed))
    );
}
