//! Fires: each due instant once, and what became of it.

use tidemill_shared::State;
use tidemill_shared::ledger::{FireOutcome, PlannedFire};

use crate::planning::{PRODUCER, Plan, schedule, schedule_id};
use crate::scene::{QUEUE, Scene, id, ids, queue, seconds, worker};
use crate::verdicts::{ack, bury};

/// Behaviour 60.
pub(crate) async fn an_instant_fires_once(scene: &Scene) {
    let plan = scene.plan(schedule("a")).await;
    let at = scene.after(seconds(60));
    assert_eq!(scene.fire(&plan, at).await, FireOutcome::Enqueued);
    for _ in 0..3 {
        assert_eq!(scene.fire(&plan, at).await, FireOutcome::Duplicate);
    }
    scene.advance(seconds(60));
    let lease = scene.take(&plan.task(at)).await;
    scene.end(&lease, ack(), State::Completed).await;
    // The record of a fire outlives its task.
    scene.advance(seconds(86_400));
    scene.sweep().await;
    assert_eq!(scene.state(&plan.task(at)).await, None);
    assert_eq!(scene.fire(&plan, at).await, FireOutcome::Duplicate);
    scene.nothing_ready().await;
}

/// Behaviour 60.
pub(crate) async fn an_instant_fires_once_within_a_batch(scene: &Scene) {
    let plan = scene.plan(schedule("a")).await;
    let at = scene.after(seconds(60));
    let fire = || plan.fire(at, scene.now());
    let outcomes = scene
        .record_fires(Some(&plan.term), vec![fire(), fire()])
        .await;
    assert_eq!(outcomes, [FireOutcome::Enqueued, FireOutcome::Duplicate]);
    assert_eq!(scene.stats(QUEUE).await.scheduled, 1);
}

/// Behaviour 60.
pub(crate) async fn the_fires_of_a_former_leader_are_refused(scene: &Scene) {
    let old = scene.plan(schedule("a")).await;
    scene.advance(seconds(3_601));
    let term = scene.lead("producer-2").await.expect("the lead lapsed");
    assert!(term.epoch > old.term.epoch);
    let at = scene.after(seconds(60));
    assert_eq!(scene.fire(&old, at).await, FireOutcome::Refused);
    let new = crate::planning::Plan { term, ..old };
    assert_eq!(scene.fire(&new, at).await, FireOutcome::Enqueued);
}

/// Behaviour 60.
pub(crate) async fn a_fire_without_a_term_is_refused_unless_manual(scene: &Scene) {
    let plan = scene.plan(schedule("a")).await;
    let fire = plan.fire(scene.after(seconds(60)), scene.now());
    let outcomes = scene.record_fires(None, vec![fire]).await;
    assert_eq!(outcomes, [FireOutcome::Refused]);
    assert_eq!(scene.fires("a").await, []);
}

/// Behaviour 58.
pub(crate) async fn a_fire_of_an_old_revision_is_refused(scene: &Scene) {
    let old = scene.plan(schedule("a")).await;
    let mut changed = schedule("a");
    changed.payload = serde_json::json!("changed");
    scene.plan(changed).await;
    let at = scene.after(seconds(60));
    assert_eq!(scene.fire(&old, at).await, FireOutcome::Refused);
    assert_eq!(scene.fires("a").await, []);
    assert_eq!(scene.stats(QUEUE).await.scheduled, 0);
}

/// Behaviour 60.
pub(crate) async fn a_fire_and_its_task_and_the_cursor_are_one_step(scene: &Scene) {
    let plan = scene.plan(schedule("a")).await;
    let at = scene.after(seconds(60));
    scene.fire(&plan, at).await;
    let record = scene.schedule("a").await.expect("it is there");
    assert_eq!(record.planned_until, at);
    assert_eq!(record.fire_count, 1);
    assert_eq!(record.revision, plan.record.revision, "a fire is no change");
    assert_eq!(scene.state(&plan.task(at)).await, Some(State::Scheduled));
    let fires = scene.fires("a").await;
    assert_eq!(fires.len(), 1);
    assert_eq!(fires[0].outcome, FireOutcome::Enqueued);
    assert_eq!(fires[0].task, Some(id(&plan.task(at))));
    assert_eq!(fires[0].scheduled_at, at);
    assert_eq!(fires[0].revision, plan.record.revision);
    assert_eq!((fires[0].count, fires[0].manual), (1, false));
}

/// Behaviour 62. Behaviour 67.
pub(crate) async fn missed_and_skipped_instants_are_on_record(scene: &Scene) {
    let plan = scene.plan(schedule("a")).await;
    let fire = |offset: u64, outcome, reason: &str, count| PlannedFire {
        task: Err((outcome, reason.into())),
        count,
        ..plan.fire(scene.after(seconds(offset)), scene.now())
    };
    let batch = vec![
        fire(60, FireOutcome::Missed, "nothing was up", 41),
        fire(120, FireOutcome::Skipped, "the operator said so", 1),
    ];
    let outcomes = scene.record_fires(Some(&plan.term), batch).await;
    assert_eq!(outcomes, [FireOutcome::Missed, FireOutcome::Skipped]);
    let fires = scene.fires("a").await;
    let seen: Vec<_> = fires
        .iter()
        .map(|f| (f.outcome, f.reason.as_deref(), f.count, f.task.as_ref()))
        .collect();
    assert_eq!(
        seen,
        [
            (FireOutcome::Missed, Some("nothing was up"), 41, None),
            (FireOutcome::Skipped, Some("the operator said so"), 1, None),
        ]
    );
    assert_eq!(scene.stats(QUEUE).await.scheduled, 0);
    let record = scene.schedule("a").await.expect("it is there");
    assert_eq!(record.planned_until, scene.after(seconds(120)));
    assert_eq!(record.fire_count, 0);
}

/// Behaviour 62. Behaviour 67.
pub(crate) async fn a_missed_instant_can_be_made_up_for_by_hand_once(scene: &Scene) {
    let plan = scene.plan(schedule("a")).await;
    let (missed, skipped) = (scene.after(seconds(60)), scene.after(seconds(120)));
    let idle = |at, outcome| PlannedFire {
        task: Err((outcome, "nothing was up".into())),
        ..plan.fire(at, scene.now())
    };
    let batch = vec![
        idle(missed, FireOutcome::Missed),
        idle(skipped, FireOutcome::Skipped),
    ];
    scene.record_fires(Some(&plan.term), batch).await;
    scene.advance(seconds(180));
    let by_hand = |at| PlannedFire {
        manual: true,
        ..plan.fire(at, scene.now())
    };
    // A producer that plans it again stands before what is on record.
    assert_eq!(scene.fire(&plan, missed).await, FireOutcome::Duplicate);
    let outcomes = scene
        .record_fires(
            None,
            vec![by_hand(missed), by_hand(missed), by_hand(skipped)],
        )
        .await;
    let once = [
        FireOutcome::Enqueued,
        FireOutcome::Duplicate,
        FireOutcome::Duplicate,
    ];
    assert_eq!(outcomes, once);
    let again = scene.record_fires(None, vec![by_hand(missed)]).await;
    assert_eq!(again, [FireOutcome::Duplicate]);
    assert_eq!(scene.fire(&plan, missed).await, FireOutcome::Duplicate);
    let lease = scene.take(&plan.task(missed)).await;
    scene.end(&lease, ack(), State::Completed).await;
    let fires = scene.fires("a").await;
    let seen: Vec<_> = fires
        .iter()
        .map(|fire| (fire.scheduled_at, fire.outcome, fire.manual, fire.ended))
        .collect();
    assert_eq!(
        seen,
        [
            (missed, FireOutcome::Enqueued, true, Some(State::Completed)),
            (skipped, FireOutcome::Skipped, false, None),
        ]
    );
    assert_eq!(fires[0].reason, None);
    assert_eq!(fires[0].task, Some(id(&plan.task(missed))));
    let record = scene.schedule("a").await.expect("it is there");
    assert_eq!((record.planned_until, record.fire_count), (skipped, 1));
}

pub(crate) async fn a_missed_instant_stays_missed_while_its_queue_is_full(scene: &Scene) {
    let plan = scene.plan(schedule("a")).await;
    let missed = scene.after(seconds(60));
    let idle = PlannedFire {
        task: Err((FireOutcome::Missed, "nothing was up".into())),
        ..plan.fire(missed, scene.now())
    };
    scene.record_fires(Some(&plan.term), vec![idle]).await;
    scene.advance(seconds(180));
    let by_hand = || PlannedFire {
        manual: true,
        ..plan.fire(missed, scene.now())
    };
    let (inspect, name) = (scene.inspect(), queue(QUEUE));
    inspect.set_limit(&name, Some(0)).await.expect("limited");
    let outcomes = scene.record_fires(None, vec![by_hand()]).await;
    assert_eq!(outcomes, [FireOutcome::Skipped]);
    let fires = scene.fires("a").await;
    assert_eq!(fires[0].outcome, FireOutcome::Missed);
    assert_eq!(fires[0].reason.as_deref(), Some("nothing was up"));
    inspect.set_limit(&name, None).await.expect("lifted");
    let outcomes = scene.record_fires(None, vec![by_hand()]).await;
    assert_eq!(outcomes, [FireOutcome::Enqueued]);
    assert_eq!(scene.fires("a").await[0].outcome, FireOutcome::Enqueued);
}

/// Behaviour 66.
pub(crate) async fn a_manual_fire_leaves_the_calendar_intact(scene: &Scene) {
    let plan = scene.plan(schedule("a")).await;
    scene.fires_in(&plan, &[60]).await;
    let before = scene.schedule("a").await.expect("it is there");
    scene.advance(seconds(1));
    let manual = PlannedFire {
        manual: true,
        ..plan.fire(scene.now(), scene.now())
    };
    let outcomes = scene.record_fires(None, vec![manual]).await;
    assert_eq!(outcomes, [FireOutcome::Enqueued]);
    let after = scene.schedule("a").await.expect("it is there");
    assert_eq!(after.planned_until, before.planned_until);
    assert_eq!(after.revision, before.revision);
    assert_eq!(ids(&scene.ready(5).await), [plan.task(scene.now())]);
    let fires = scene.fires("a").await;
    let manual: Vec<_> = fires.iter().map(|fire| fire.manual).collect();
    assert_eq!(manual, [true, false]);
}

/// Behaviour 66.
pub(crate) async fn a_paused_schedule_can_still_be_fired_by_hand(scene: &Scene) {
    let plan = scene.plan(schedule("a")).await;
    let id = plan.record.schedule.id.clone();
    scene
        .ledger
        .pause_schedule(&id, None)
        .await
        .expect("paused");
    let record = scene.schedule("a").await.expect("it is there");
    let plan = Plan { record, ..plan };
    let manual = PlannedFire {
        manual: true,
        ..plan.fire(scene.now(), scene.now())
    };
    assert_eq!(
        scene.record_fires(None, vec![manual]).await,
        [FireOutcome::Enqueued]
    );
    assert_eq!(ids(&scene.ready(5).await), [plan.task(scene.now())]);
    assert!(scene.schedule("a").await.expect("it is there").paused);
}

/// Behaviour 67.
pub(crate) async fn a_fire_follows_its_task_to_the_end(scene: &Scene) {
    let plan = scene.plan(schedule("a")).await;
    let planned_at = scene.now();
    let at = scene.after(seconds(60));
    scene.fire(&plan, at).await;
    scene.advance(seconds(61));
    let lease = scene.take(&plan.task(at)).await;
    let started_at = scene.now();
    let later = crate::verdicts::retry(scene.after(seconds(1)), "boom");
    scene.end(&lease, later, State::Retry).await;
    scene.advance(seconds(5));
    let lease = scene.take(&plan.task(at)).await;
    scene.end(&lease, ack(), State::Completed).await;
    let fire = scene.fires("a").await.remove(0);
    assert_eq!(fire.enqueued_at, Some(planned_at));
    assert_eq!(fire.started_at, Some(started_at), "the first run counts");
    assert_eq!(fire.finished_at, Some(scene.now()));
    assert_eq!(fire.ended, Some(State::Completed));
    assert_eq!(fire.outcome, FireOutcome::Enqueued);
}

/// Behaviour 67.
pub(crate) async fn a_fire_tells_how_its_task_ended(scene: &Scene) {
    let plan = scene.plan(schedule("a")).await;
    let tasks = scene.fires_in(&plan, &[60, 120]).await;
    scene
        .change(&tasks[1], tidemill_shared::Change::Cancel)
        .await;
    scene.advance(seconds(60));
    let lease = scene.take(&tasks[0]).await;
    scene.end(&lease, bury("boom"), State::Dead).await;
    let fires = scene.fires("a").await;
    let ended: Vec<_> = fires.iter().map(|fire| fire.ended).collect();
    assert_eq!(ended, [Some(State::Dead), Some(State::Cancelled)]);
}

/// Behaviour 67.
pub(crate) async fn fires_are_paged_from_the_newest(scene: &Scene) {
    let plan = scene.plan(schedule("a")).await;
    let offsets = [60, 120, 180, 240, 300];
    scene.fires_in(&plan, &offsets).await;
    let start = scene.now();
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = scene.ledger.fires(&schedule_id("a"), cursor, 2).await;
        let page = page.expect("fires answer");
        assert!(page.items.len() <= 2, "a page is bounded");
        seen.extend(
            page.items
                .iter()
                .map(|f| f.scheduled_at.since(start).as_secs()),
        );
        assert!(seen.len() <= 5, "paging ends");
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, [300, 240, 180, 120, 60]);
}

/// Behaviour 67.
pub(crate) async fn fires_are_forgotten_after_a_week(scene: &Scene) {
    let plan = scene.plan(schedule("a")).await;
    let tasks = scene.fires_in(&plan, &[60]).await;
    scene.advance(seconds(60));
    let lease = scene.take(&tasks[0]).await;
    scene.end(&lease, ack(), State::Completed).await;
    let week = seconds(7 * 86_400);
    scene.advance(week - seconds(1));
    scene.sweep().await;
    assert_eq!(scene.fires("a").await.len(), 1);
    scene.advance(seconds(2));
    scene.sweep().await;
    assert_eq!(scene.fires("a").await, []);
}

/// Behaviour 60. Behaviour 61.
pub(crate) async fn two_processes_fire_each_instant_once(scene: &Scene) {
    let other = scene.another_process().await.ledger;
    let plan = scene.plan(schedule("a")).await;
    let mut enqueued = 0;
    for n in 1..=20 {
        let fire = || plan.fire(scene.after(seconds(60 * n)), scene.now());
        let term = Some(&plan.term);
        let (own, theirs) = tokio::join!(
            scene.ledger.record_fires(term, vec![fire()]),
            other.record_fires(term, vec![fire()]),
        );
        for outcome in [own, theirs] {
            match outcome.expect("record_fires answers").outcomes[0] {
                FireOutcome::Enqueued => enqueued += 1,
                outcome => assert_eq!(outcome, FireOutcome::Duplicate),
            }
        }
    }
    assert_eq!(enqueued, 20);
    assert_eq!(scene.stats(QUEUE).await.scheduled, 20);
    let held = other.lead(0, &worker("producer-2"), seconds(60)).await;
    assert_eq!(held.expect("lead answers"), None);
    assert_eq!(
        scene.lead(PRODUCER).await.expect("the lead").epoch,
        plan.term.epoch
    );
}
