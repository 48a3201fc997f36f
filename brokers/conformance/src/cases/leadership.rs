//! Who may fire schedules.

use std::time::Duration;

use tidemill_shared::ledger::Term;

use crate::scene::{Scene, TTL, millis, seconds, worker};

async fn lead(scene: &Scene, shard: u32, holder: &str) -> Option<Term> {
    let term = scene.ledger.lead(shard, &worker(holder), TTL).await;
    term.expect("lead answers")
}

/// Behaviour 60.
pub(crate) async fn one_producer_leads_at_a_time(scene: &Scene) {
    let term = lead(scene, 0, "one").await.expect("nobody leads");
    assert_eq!((term.shard, term.epoch), (0, 1));
    assert_eq!(term.holder, worker("one"));
    assert_eq!(term.until, scene.after(TTL));
    assert_eq!(lead(scene, 0, "two").await, None);
    let leader = scene.ledger.leader(0).await.expect("an answer");
    assert_eq!(leader, Some(term));
}

/// Behaviour 60.
pub(crate) async fn renewing_the_lead_keeps_its_epoch(scene: &Scene) {
    let first = lead(scene, 0, "one").await.expect("nobody leads");
    for _ in 0..5 {
        scene.advance(TTL - seconds(1));
        let term = lead(scene, 0, "one").await.expect("its own");
        assert_eq!(term.epoch, first.epoch);
        assert_eq!(term.until, scene.after(TTL));
        assert_eq!(lead(scene, 0, "two").await, None);
    }
}

/// Behaviour 61.
pub(crate) async fn another_takes_over_when_the_lead_lapses(scene: &Scene) {
    let first = lead(scene, 0, "one").await.expect("nobody leads");
    scene.advance(TTL - millis(1));
    assert_eq!(lead(scene, 0, "two").await, None);
    scene.advance(millis(1) + Duration::from_micros(1));
    assert_eq!(scene.ledger.leader(0).await.expect("an answer"), None);
    let second = lead(scene, 0, "two").await.expect("the lead lapsed");
    assert_eq!(second.epoch, first.epoch + 1);
    assert_eq!(lead(scene, 0, "one").await, None);
}

/// Behaviour 61.
pub(crate) async fn a_lapsed_lead_that_nobody_took_keeps_its_epoch(scene: &Scene) {
    let first = lead(scene, 0, "one").await.expect("nobody leads");
    scene.advance(TTL * 10);
    let again = lead(scene, 0, "one").await.expect("nobody took it");
    assert_eq!(again.epoch, first.epoch);
}

/// Behaviour 61.
pub(crate) async fn resigning_frees_the_lead_at_once(scene: &Scene) {
    let first = lead(scene, 0, "one").await.expect("nobody leads");
    let resigned = scene.ledger.resign(0, &worker("two")).await;
    resigned.expect("resigning what one does not hold does nothing");
    assert_eq!(lead(scene, 0, "two").await, None);
    let resigned = scene.ledger.resign(0, &worker("one")).await;
    resigned.expect("an answer");
    assert_eq!(scene.ledger.leader(0).await.expect("an answer"), None);
    let second = lead(scene, 0, "two").await.expect("it is free");
    assert_eq!(second.epoch, first.epoch + 1);
}

/// Behaviour 60.
pub(crate) async fn shards_are_led_apart(scene: &Scene) {
    let first = lead(scene, 0, "one").await.expect("nobody leads");
    let other = lead(scene, 1, "two").await.expect("nobody leads");
    assert_eq!((first.epoch, other.epoch), (1, 1));
    assert_eq!(lead(scene, 1, "one").await, None);
}

/// Behaviour 60.
pub(crate) async fn the_epoch_outlives_every_lease(scene: &Scene) {
    let mut last = 0;
    for n in 0..5 {
        let holder = format!("producer-{n}");
        let term = lead(scene, 0, &holder).await.expect("nobody leads");
        assert_eq!(term.epoch, last + 1);
        last = term.epoch;
        scene.advance(seconds(86_400));
        scene.sweep().await;
    }
}
