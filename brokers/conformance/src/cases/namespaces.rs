//! Clause 11: namespaces never meet.

use tidemill_shared::ledger::Role;
use tidemill_shared::{Admission, Change, Changed, Settled, Settlement, TaskFilter};

use crate::planning::{PRODUCER, SOURCE, schedule, schedule_id};
use crate::scene::{QUEUE, Scene, TTL, claim, demand, id, ids, queue, seconds, worker};
use crate::verdicts::ack;

/// Clause 11.
pub(crate) async fn the_same_id_and_key_are_free_in_another_namespace(scene: &Scene) {
    let other = scene.other_namespace().await.broker;
    let task = scene.keyed("a", claim("k", seconds(60)));
    scene.admit(task.clone()).await;
    let answer = other.enqueue(vec![task]).await.expect("enqueue answers");
    assert_eq!(answer, [Admission::Admitted]);
}

/// Clause 11.
pub(crate) async fn a_namespace_yields_its_own_tasks_only(scene: &Scene) {
    let other = scene.other_namespace().await.broker;
    scene.admit_all(&["a"]).await;
    let demand = demand(&[(QUEUE, 5)], 5);
    let leases = other.lease(&demand).await.expect("lease answers");
    assert_eq!(ids(&leases), [""; 0]);
    let stats = other.stats(&[]).await.expect("stats answer");
    assert_eq!(stats, []);
    assert_eq!(ids(&scene.ready(5).await), ["a"]);
}

/// Clause 11.
pub(crate) async fn a_token_does_not_fit_in_another_namespace(scene: &Scene) {
    let other = scene.other_namespace().await.broker;
    let task = scene.task("a");
    scene.admit(task.clone()).await;
    other.enqueue(vec![task]).await.expect("it").len();
    let own = scene.take("a").await;
    let theirs = other.lease(&demand(&[(QUEUE, 1)], 1)).await;
    let theirs = theirs.expect("lease answers").remove(0);
    let settle = |lease: &tidemill_shared::Lease| Settlement {
        token: lease.token.clone(),
        started_at: None,
        verdict: ack(),
    };
    // Settled where it belongs, the token of the one leaves the task of the other alone.
    scene.settle_all(vec![settle(&own)]).await;
    let stats = other.stats(&[queue(QUEUE)]).await.expect("stats answer");
    assert_eq!(stats[0].active, 1);
    let answer = other
        .settle(vec![settle(&theirs)])
        .await
        .expect("an answer");
    assert!(matches!(answer[0], Settled::Done(_)));
}

/// Clause 11.
pub(crate) async fn a_sweep_leaves_other_namespaces_alone(scene: &Scene) {
    let other = scene.other_namespace().await.broker;
    scene.admit_all(&["a"]).await;
    scene.take("a").await;
    scene.advance(TTL + seconds(1));
    let swept = other.sweep(100).await.expect("sweep answers");
    assert_eq!(swept.reclaimed, []);
    assert_eq!(scene.sweep().await.reclaimed.len(), 1);
}

/// Clause 11.
pub(crate) async fn an_operator_sees_one_namespace(scene: &Scene) {
    let other = scene.other_namespace().await.broker;
    scene.admit(scene.kept("a")).await;
    let inspect = other.inspect().expect("the same broker");
    let page = inspect.list(&TaskFilter::default(), None, 10).await;
    assert!(page.expect("list answers").items.is_empty());
    assert!(inspect.get(&id("a")).await.expect("get answers").is_none());
    let changed = inspect.change(&id("a"), &Change::Delete).await;
    assert_eq!(changed.expect("change answers"), Changed::NotFound);
    inspect.pause(&queue(QUEUE), None).await.expect("paused");
    assert_eq!(ids(&scene.ready(5).await), ["a"]);
}

/// Clause 11.
pub(crate) async fn a_ledger_remembers_for_one_namespace(scene: &Scene) {
    let other = scene.other_namespace().await.ledger;
    let plan = scene.plan(schedule("backup")).await;
    scene.fires_in(&plan, &[60]).await;
    let backup = schedule_id("backup");
    assert_eq!(other.schedule(&backup).await.expect("an answer"), None);
    let fires = other.fires(&backup, None, 10).await.expect("an answer");
    assert_eq!(fires.items, []);
    let applied = other.apply_schedules(SOURCE, Vec::new()).await;
    assert_eq!(applied.expect("an answer").removed, []);
    let term = other
        .lead(0, &worker("other"), TTL)
        .await
        .expect("an answer");
    assert_eq!(term.expect("its own shard").holder, worker("other"));
    assert_eq!(
        scene.lead(PRODUCER).await.expect("the lead").epoch,
        plan.term.epoch
    );
    let present = other.present(Role::Worker).await.expect("an answer");
    assert_eq!(present, []);
    let window = seconds(60);
    scene
        .ledger
        .mark_completed(&id("a"), window)
        .await
        .expect("ok");
    assert!(!other.is_completed(&id("a")).await.expect("an answer"));
}
