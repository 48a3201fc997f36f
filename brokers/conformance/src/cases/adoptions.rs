//! Tasks that come from a broker that keeps none.

use tidemill_shared::ledger::Adoptee;
use tidemill_shared::{Admission, AttemptOutcome, Envelope, ErrorKind, LeaseToken, Renewal};
use tidemill_shared::{Settled, Settlement, State, Verdict};

use crate::scene::{Scene, TTL, WORKER, claim, ids, queue, seconds, worker};
use crate::verdicts::{ack, retry};

async fn adopt(scene: &Scene, envelope: Envelope, crashes: u32) -> Option<LeaseToken> {
    let batch = vec![Adoptee { envelope, crashes }];
    let adopted = scene.ledger.adopt(&worker(WORKER), batch, TTL).await;
    let mut adopted = adopted.expect("adopt answers");
    assert_eq!(adopted.len(), 1, "one answer for each task");
    adopted.remove(0)
}

async fn taken_in(scene: &Scene, envelope: Envelope, crashes: u32) -> LeaseToken {
    let token = adopt(scene, envelope, crashes).await;
    token.expect("the id is free")
}

async fn settle(scene: &Scene, token: &LeaseToken, verdict: Verdict) -> Settled {
    let settlement = Settlement {
        token: token.clone(),
        started_at: Some(scene.now()),
        verdict,
    };
    scene.settle_all(vec![settlement]).await.remove(0)
}

pub(crate) async fn an_adopted_task_is_leased_by_its_worker(scene: &Scene) {
    let token = taken_in(scene, scene.kept("a"), 0).await;
    scene.nothing_ready().await;
    let renewed = scene.broker.renew(std::slice::from_ref(&token), TTL).await;
    let until = scene.after(TTL);
    assert_eq!(renewed.expect("renew answers"), [Renewal::Held(until)]);
    let record = scene.record("a").await;
    assert_eq!((record.state, record.attempt), (State::Active, 1));
    assert_eq!(record.worker, Some(worker(WORKER)));
    let stats = scene.stats("default").await;
    assert_eq!((stats.active, stats.enqueued_total), (1, 1));
    let settled = settle(scene, &token, ack()).await;
    assert_eq!(settled, Settled::Done(State::Completed));
    assert_eq!(settle(scene, &token, ack()).await, Settled::Stale);
}

pub(crate) async fn the_failure_of_an_adopted_task_is_kept_with_it(scene: &Scene) {
    let token = taken_in(scene, scene.task("a"), 0).await;
    let verdict = retry(scene.after(seconds(60)), "boom");
    let settled = settle(scene, &token, verdict).await;
    assert_eq!(settled, Settled::Done(State::Retry));
    let attempts = scene.attempts("a").await;
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].outcome, AttemptOutcome::Failed);
    scene.advance(seconds(60));
    let lease = scene.take("a").await;
    assert_eq!((lease.attempt, lease.failures), (2, 1));
    assert!(lease.token.fence > token.fence);
}

pub(crate) async fn past_crashes_of_an_adopted_task_count(scene: &Scene) {
    let token = taken_in(scene, scene.task("a"), 1).await;
    assert_eq!(token.fence, 2);
    let swept = scene.crash().await;
    assert_eq!((swept.reclaimed.len(), swept.reclaimed[0].attempt), (1, 2));
    let lease = scene.take("a").await;
    assert_eq!((lease.attempt, lease.crashes), (3, 2));
    assert_eq!(settle(scene, &token, ack()).await, Settled::Stale);
}

pub(crate) async fn a_taken_id_is_not_adopted(scene: &Scene) {
    scene.admit(scene.task("known")).await;
    assert_eq!(adopt(scene, scene.task("known"), 0).await, None);
    let token = taken_in(scene, scene.task("new"), 0).await;
    assert_eq!(adopt(scene, scene.task("new"), 0).await, None);
    let settled = settle(scene, &token, ack()).await;
    assert_eq!(settled, Settled::Done(State::Completed));
    assert_eq!(ids(&scene.ready(5).await), ["known"]);
}

pub(crate) async fn a_full_and_paused_queue_adopts_all_the_same(scene: &Scene) {
    let name = queue("default");
    let limited = scene.inspect().set_limit(&name, Some(1)).await;
    limited.expect("a limit can be set");
    let paused = scene.inspect().pause(&name, None).await;
    paused.expect("a queue can be paused");
    scene.admit(scene.task("first")).await;
    let token = taken_in(scene, scene.task("a"), 0).await;
    let refused = scene.enqueue_one(scene.task("b")).await;
    assert_eq!(refused, Admission::QueueFull { limit: 1 });
    let settled = settle(scene, &token, ack()).await;
    assert_eq!(settled, Settled::Done(State::Completed));
}

pub(crate) async fn a_task_with_a_key_is_not_adopted(scene: &Scene) {
    let keyed = scene.keyed("a", claim("k", seconds(60)));
    let batch = [scene.task("b"), keyed].map(|envelope| Adoptee {
        envelope,
        crashes: 0,
    });
    let refused = scene.ledger.adopt(&worker(WORKER), batch.into(), TTL).await;
    let refused = refused.expect_err("a key belongs to a ledger from the start");
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert_eq!(scene.find("b").await.map(|record| record.state), None);
}
