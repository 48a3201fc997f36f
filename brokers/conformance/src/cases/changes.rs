//! What an operator can change, one task or many, and a whole queue.

use std::collections::BTreeMap;

use tidemill_shared::{
    Burial, BuryReason, Change, Changed, Inspect, QueueStats, Removed, Replay, State, TaskFilter,
};

use crate::scene::{QUEUE, Scene, id, ids, queue, seconds};
use crate::verdicts::ack;

/// What each change does in each state: the state after, removal, or a refusal.
#[derive(Clone, Copy)]
enum Expect {
    To(State),
    Gone,
    No,
}

/// Behaviour 73.
pub(crate) async fn a_change_is_right_from_each_state_or_refused(scene: &Scene) {
    use Expect::{Gone, No, To};
    use State::{Active, Cancelled, Dead, Pending, Retry, Scheduled};
    let later = scene.after(seconds(3_600));
    let replay = Change::Replay(Replay::default());
    let burial = Burial {
        reason: BuryReason::Rejected,
        buried_at: scene.now(),
        due_at: scene.now(),
        failures: 1,
        crashes: 0,
    };
    // In the order of `State::ALL`.
    let table = [
        (
            Change::Cancel,
            [
                To(Cancelled),
                To(Cancelled),
                To(Active),
                To(Cancelled),
                No,
                No,
                No,
            ],
        ),
        (Change::Delete, [Gone, Gone, No, Gone, Gone, Gone, Gone]),
        (Change::Purge, [No, No, No, No, No, Gone, No]),
        (
            Change::RunNow,
            [To(Pending), No, No, To(Pending), No, No, No],
        ),
        (
            Change::Reschedule(later),
            [To(Scheduled), To(Scheduled), No, To(Retry), No, No, No],
        ),
        (Change::Bury, [To(Dead), To(Dead), No, To(Dead), No, No, No]),
        (
            Change::Rebury(burial),
            [To(Dead), To(Dead), No, No, No, No, No],
        ),
        (
            replay,
            [No, No, No, No, To(Pending), To(Pending), To(Pending)],
        ),
    ];
    for (n, (change, row)) in table.into_iter().enumerate() {
        for (from, expected) in State::ALL.into_iter().zip(row) {
            let task = format!("{n}-{from}");
            scene.put(&task, from).await;
            let answer = scene.change(&task, change.clone()).await;
            let after = match expected {
                To(to) => {
                    assert_eq!(answer, Changed::Done { from, to: Some(to) }, "{change:?}");
                    Some(to)
                }
                Gone => {
                    assert_eq!(answer, Changed::Done { from, to: None }, "{change:?}");
                    None
                }
                No => {
                    assert_eq!(answer, Changed::Refused(from), "{change:?}");
                    Some(from)
                }
            };
            assert_eq!(scene.state(&task).await, after, "{change:?} from {from}");
            clear(scene, &task).await;
        }
    }
}

/// Removes a task in whatever state it is, so that the next one has the queue for itself.
async fn clear(scene: &Scene, task: &str) {
    if scene.state(task).await == Some(State::Active) {
        scene.crash().await;
    }
    scene.change(task, Change::Delete).await;
    assert_eq!(scene.state(task).await, None);
}

/// Behaviour 73.
pub(crate) async fn a_change_of_an_unknown_task_is_not_found(scene: &Scene) {
    for change in [
        Change::Cancel,
        Change::Delete,
        Change::RunNow,
        Change::Reschedule(scene.now()),
        Change::Bury,
        Change::Replay(Replay::default()),
    ] {
        assert_eq!(scene.change("nobody", change).await, Changed::NotFound);
    }
    assert!(scene.find("nobody").await.is_none());
    assert_eq!(scene.attempts("nobody").await, []);
}

/// Behaviour 73.
pub(crate) async fn a_rescheduled_task_runs_at_its_new_time(scene: &Scene) {
    scene.put("pending", State::Pending).await;
    scene.put("scheduled", State::Scheduled).await;
    let at = scene.after(seconds(30));
    for task in ["pending", "scheduled"] {
        scene.change(task, Change::Reschedule(at)).await;
        assert_eq!(scene.record(task).await.due_at, at);
    }
    scene.nothing_ready().await;
    scene.advance(seconds(30));
    assert_eq!(ids(&scene.ready(5).await), ["pending", "scheduled"]);
    scene.put("sooner", State::Scheduled).await;
    scene
        .change("sooner", Change::Reschedule(scene.now()))
        .await;
    scene.take("sooner").await;
}

/// Behaviour 73.
pub(crate) async fn an_operator_can_bury_and_the_letter_says_so(scene: &Scene) {
    scene.put("a", State::Pending).await;
    scene.change("a", Change::Bury).await;
    let record = scene.record("a").await;
    assert_eq!(record.bury_reason, Some(BuryReason::Operator));
    assert_eq!(record.finished_at, Some(scene.now()));
    assert_eq!(scene.stats(QUEUE).await.failed_total, 0, "it was not a run");
}

/// Behaviour 74.
pub(crate) async fn a_change_of_many_counts_and_is_bounded(scene: &Scene) {
    for n in 0..7 {
        scene.put(&format!("dead{n}"), State::Dead).await;
    }
    scene.put("active", State::Active).await;
    let all = TaskFilter::default();
    let inspect = scene.inspect();
    let mut cursor = None;
    let (mut changed, mut refused, mut calls) = (0, 0, 0);
    loop {
        let bulk = inspect.change_many(&all, &Change::Delete, cursor, 3).await;
        let bulk = bulk.expect("change_many answers");
        assert!(bulk.changed + bulk.refused <= 3, "{bulk:?}");
        changed += bulk.changed;
        refused += bulk.refused;
        calls += 1;
        assert!(calls < 10, "it comes to an end");
        cursor = bulk.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((changed, refused), (7, 1));
    assert_eq!(scene.listed(&all).await, ["active"]);
}

/// Behaviour 74.
pub(crate) async fn a_change_of_many_touches_what_matches_alone(scene: &Scene) {
    for n in 0..3 {
        scene.put(&format!("dead{n}"), State::Dead).await;
    }
    scene.put("pending", State::Pending).await;
    scene.put("completed", State::Scheduled).await;
    let dead = TaskFilter {
        states: vec![State::Dead],
        ..TaskFilter::default()
    };
    let replay = Change::Replay(Replay::default());
    let bulk = scene.inspect().change_many(&dead, &replay, None, 100).await;
    let bulk = bulk.expect("change_many answers");
    assert_eq!((bulk.changed, bulk.refused, bulk.next), (3, 0, None));
    assert_eq!(scene.listed(&dead).await, [""; 0]);
    let stats = scene.stats(QUEUE).await;
    assert_eq!((stats.pending, stats.scheduled), (4, 1));
}

async fn remove(inspect: &dyn Inspect, force: bool, budget: usize) -> Removed {
    let removed = inspect.remove_queue(&queue(QUEUE), force, budget).await;
    removed.expect("remove_queue answers")
}

/// Behaviour 75.
pub(crate) async fn a_queue_that_holds_tasks_is_not_removed(scene: &Scene) {
    assert_eq!(remove(scene.inspect(), false, 10).await, Removed::NotFound);
    scene.put("a", State::Dead).await;
    scene.put("b", State::Completed).await;
    assert_eq!(remove(scene.inspect(), false, 10).await, Removed::Holds(2));
    assert_eq!(scene.state("a").await, Some(State::Dead));
}

/// Behaviour 75.
pub(crate) async fn an_empty_queue_is_removed_with_all_about_it(scene: &Scene) {
    scene.admit_all(&["a"]).await;
    let lease = scene.take("a").await;
    scene.end(&lease, ack(), State::Completed).await;
    let inspect = scene.inspect();
    let name = queue(QUEUE);
    inspect.pause(&name, Some("deploy")).await.expect("paused");
    inspect.set_limit(&name, Some(1)).await.expect("limited");
    assert_eq!(remove(inspect, false, 10).await, Removed::Done);
    assert_eq!(inspect.queues().await.expect("queues answer"), []);
    assert_eq!(scene.stats(QUEUE).await, QueueStats::empty(name));
    assert_eq!(remove(inspect, false, 10).await, Removed::NotFound);
}

/// Behaviour 75.
pub(crate) async fn a_forced_removal_is_bounded_and_spares_what_runs(scene: &Scene) {
    let lease = scene.put_active("active").await;
    for n in 0..5 {
        scene.put(&format!("t{n}"), State::Dead).await;
    }
    scene.admit(scene.task_in("other", "stays")).await;
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(remove(scene.inspect(), true, 2).await);
    }
    assert_eq!(answers[0], Removed::Holds(4));
    assert_eq!(answers[1], Removed::Holds(2));
    assert_eq!(answers[3], Removed::Holds(1));
    scene.end(&lease, ack(), State::Completed).await;
    assert_eq!(remove(scene.inspect(), true, 2).await, Removed::Done);
    assert_eq!(scene.listed(&TaskFilter::default()).await, ["stays"]);
}

/// Behaviour 74.
pub(crate) async fn a_purge_takes_dead_letters_by_age(scene: &Scene) {
    scene.put("old", State::Dead).await;
    scene.advance(seconds(3_600));
    scene.put("new", State::Dead).await;
    let old = TaskFilter {
        states: vec![State::Dead],
        until: Some(scene.now()),
        ..TaskFilter::default()
    };
    let bulk = scene.inspect().change_many(&old, &Change::Delete, None, 10);
    assert_eq!(bulk.await.expect("change_many answers").changed, 1);
    let mut left = BTreeMap::new();
    for task in ["old", "new"] {
        left.insert(task, scene.state(task).await);
    }
    assert_eq!(
        left,
        BTreeMap::from([("old", None), ("new", Some(State::Dead))])
    );
    assert!(
        scene
            .inspect()
            .get(&id("old"))
            .await
            .expect("get answers")
            .is_none()
    );
}
