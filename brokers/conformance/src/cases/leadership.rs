//! Who may fire schedules.

use std::time::Duration;

use tidemill_shared::ErrorKind;
use tidemill_shared::ledger::{FireOutcome, PlannedFire, Shard, Term};

use crate::planning::{PRODUCER, Plan, schedule};
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
pub(crate) async fn a_lapsed_lead_comes_back_with_a_new_epoch(scene: &Scene) {
    let first = lead(scene, 0, "one").await.expect("nobody leads");
    scene.advance(TTL * 10);
    let again = lead(scene, 0, "one").await.expect("nobody took it");
    assert_eq!(again.epoch, first.epoch + 1);
    // Given up, too.
    let resigned = scene.ledger.resign(0, &worker("one")).await;
    resigned.expect("an answer");
    let last = lead(scene, 0, "one").await.expect("it is free");
    assert_eq!(last.epoch, again.epoch + 1);
}

/// Behaviour 60. A store that was set back has fewer batches than its leader was told of.
pub(crate) async fn a_term_that_knows_of_more_batches_than_there_are_is_refused(scene: &Scene) {
    let mut plan = scene.plan(schedule("a")).await;
    assert_eq!(plan.term.batches, 0);
    let fire = |plan: &Plan, minute| plan.fire(scene.after(seconds(60 * minute)), scene.now());
    for batch in 1..=3 {
        let fires = vec![fire(&plan, batch), fire(&plan, 10 + batch)];
        let recorded = scene.ledger.record_fires(Some(&plan.term), fires).await;
        let recorded = recorded.expect("record_fires answers");
        assert_eq!(recorded.batches, Some(batch));
    }
    let term = scene.lead(PRODUCER).await.expect("its own");
    assert_eq!((term.epoch, term.batches), (plan.term.epoch, 3));
    // One whose fires are all on record counts too: its answer may be all that its sender hears.
    let again = scene.ledger.record_fires(Some(&term), vec![fire(&plan, 1)]);
    let again = again.await.expect("record_fires answers");
    assert_eq!(again.batches, Some(4));
    assert_eq!(again.outcomes, [FireOutcome::Duplicate]);
    plan.term.batches = 5;
    let before = scene.schedule("a").await.expect("it is stored");
    let missed = PlannedFire {
        task: Err((FireOutcome::Missed, "nothing was up".to_owned())),
        ..fire(&plan, 40)
    };
    for fires in [vec![fire(&plan, 30)], vec![missed]] {
        let refused = scene.ledger.record_fires(Some(&plan.term), fires).await;
        let refused = refused.expect("record_fires answers");
        assert_eq!(refused.batches, None);
        assert_eq!(refused.outcomes, [FireOutcome::Refused]);
    }
    assert_eq!(scene.schedule("a").await, Some(before));
    // The count outlives terms.
    scene.advance(seconds(7_200));
    let next = scene.lead("another").await.expect("it lapsed");
    assert_eq!(next.batches, 4);
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
    let [a, b] = halves();
    let first = lead(scene, a.key(), "one").await.expect("nobody leads");
    let other = lead(scene, b.key(), "two").await.expect("nobody leads");
    assert_eq!((first.epoch, other.epoch), (1, 1));
    assert_eq!(lead(scene, b.key(), "one").await, None);
    // The epoch of one does not move that of the other.
    let resigned = scene.ledger.resign(b.key(), &worker("two")).await;
    resigned.expect("an answer");
    let moved = lead(scene, b.key(), "one").await.expect("it is free");
    let kept = lead(scene, a.key(), "one").await.expect("its own");
    assert_eq!((moved.epoch, kept.epoch), (2, 1));
}

fn halves() -> [Shard; 2] {
    let halves = Shard::all(2).expect("there may be two");
    halves.try_into().expect("two were asked for")
}

/// Behaviour 60.
pub(crate) async fn a_term_is_good_for_the_schedules_of_its_shard_alone(scene: &Scene) {
    let put = scene.ledger.put_schedule("cli", schedule("a")).await;
    let record = put.expect("a schedule can be stored");
    for shard in halves() {
        let term = lead(scene, shard.key(), "one").await.expect("nobody leads");
        let plan = Plan {
            record: record.clone(),
            term,
        };
        let expected = match shard.holds(&record.schedule.id) {
            true => FireOutcome::Enqueued,
            false => FireOutcome::Refused,
        };
        let at = scene.after(seconds(60) * (shard.number() + 1));
        assert_eq!(scene.fire(&plan, at).await, expected);
        let later = scene.after(seconds(60) * (shard.number() + 3));
        // Another takes it over.
        let resigned = scene.ledger.resign(shard.key(), &worker("one")).await;
        resigned.expect("an answer");
        lead(scene, shard.key(), "two").await.expect("it is free");
        assert_eq!(scene.fire(&plan, later).await, FireOutcome::Refused);
    }
}

/// Behaviour 60.
pub(crate) async fn schedules_are_divided_in_one_way_at_a_time(scene: &Scene) {
    let [a, _] = halves();
    let put = scene.ledger.put_schedule("cli", schedule("a")).await;
    let record = put.expect("a schedule can be stored");
    let term = lead(scene, 0, "one").await.expect("nobody leads");
    let whole = Plan { record, term };
    let refused = scene.ledger.lead(a.key(), &worker("two"), TTL).await;
    let error = refused.expect_err("the whole is led");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let told = error.to_string();
    assert!(
        told.contains("shards = 1") && told.contains("shards = 2"),
        "{told}"
    );
    assert_eq!(
        scene.fire(&whole, scene.after(seconds(60))).await,
        FireOutcome::Enqueued
    );
    // The first to come when the lease is over divides anew, and keeps the former out.
    scene.advance(TTL + millis(1));
    lead(scene, a.key(), "two").await.expect("nobody leads");
    assert_eq!(
        scene.fire(&whole, scene.after(seconds(120))).await,
        FireOutcome::Refused
    );
    let refused = scene.ledger.lead(0, &worker("one"), TTL).await;
    let error = refused.expect_err("a half is led");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    // Resigning makes way at once, and epochs go on from where they were.
    let resigned = scene.ledger.resign(a.key(), &worker("two")).await;
    resigned.expect("an answer");
    let term = lead(scene, 0, "three").await.expect("nobody leads");
    assert_eq!(term.epoch, whole.term.epoch + 1);
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
