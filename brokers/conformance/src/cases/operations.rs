//! What an operator can see and change.

use tidemill_shared::{
    BuryReason, Change, HistoryPoint, QueueStats, Replay, State, TaskFilter, Timestamp,
};

use crate::planning::schedule;
use crate::scene::{QUEUE, Scene, TTL, claim, demand, key, kind, pattern, queue, seconds};
use crate::verdicts::{ack, bury, retry};

/// Behaviour 71.
pub(crate) async fn counts_are_right_in_every_state(scene: &Scene) {
    assert_eq!(scene.stats(QUEUE).await, QueueStats::empty(queue(QUEUE)));
    scene.put_one_of_each().await;
    let stats = scene.stats(QUEUE).await;
    let counts = [
        stats.scheduled,
        stats.pending,
        stats.active,
        stats.retry,
        stats.completed,
        stats.dead,
        stats.cancelled,
    ];
    assert_eq!(counts, [1; 7]);
    assert_eq!(stats.enqueued_total, 7);
    assert_eq!((stats.succeeded_total, stats.failed_total), (1, 2));
}

/// Behaviour 71.
pub(crate) async fn counts_follow_every_change(scene: &Scene) {
    scene.admit_all(&["a", "b"]).await;
    let lease = scene.take("a").await;
    let at = scene.after(seconds(5));
    scene.end(&lease, retry(at, "boom"), State::Retry).await;
    let stats = scene.stats(QUEUE).await;
    assert_eq!((stats.pending, stats.active, stats.retry), (1, 0, 1));
    scene.advance(seconds(5));
    scene.sweep().await;
    let stats = scene.stats(QUEUE).await;
    assert_eq!((stats.pending, stats.active, stats.retry), (2, 0, 0));
    scene.change("b", Change::Delete).await;
    let lease = scene.take("a").await;
    scene.end(&lease, bury("boom"), State::Dead).await;
    let replay = Replay {
        to_queue: Some(queue("other")),
        ..Replay::default()
    };
    scene.change("a", Change::Replay(replay)).await;
    let own = scene.stats(QUEUE).await;
    let other = scene.stats("other").await;
    assert_eq!((own.pending, own.dead, other.pending), (0, 0, 1));
    assert_eq!((own.enqueued_total, own.failed_total), (2, 2));
}

/// Behaviour 71.
pub(crate) async fn the_age_of_the_oldest_is_that_of_the_longest_ready(scene: &Scene) {
    assert_eq!(scene.stats(QUEUE).await.oldest_pending_at, None);
    let start = scene.now();
    scene.admit(scene.delayed("due", seconds(5))).await;
    scene.advance(seconds(1));
    let mut urgent = scene.kept("urgent");
    urgent.priority = tidemill_shared::Priority::HIGHEST;
    scene.admit(urgent).await;
    let oldest = Some(start + seconds(1));
    assert_eq!(scene.stats(QUEUE).await.oldest_pending_at, oldest);
    scene.advance(seconds(60));
    scene.sweep().await;
    scene.take("urgent").await;
    let oldest = Some(start + seconds(5));
    assert_eq!(scene.stats(QUEUE).await.oldest_pending_at, oldest);
    scene.take("due").await;
    assert_eq!(scene.stats(QUEUE).await.oldest_pending_at, None);
}

async fn history(scene: &Scene, since: Timestamp) -> Vec<HistoryPoint> {
    let history = scene.inspect().history(&queue(QUEUE), since).await;
    let mut points = history.expect("history answers");
    // A minute in which nothing happened may be told or left out.
    points.retain(|p| p.enqueued + p.succeeded + p.failed > 0);
    points
}

/// Behaviour 71.
pub(crate) async fn history_is_kept_by_the_minute(scene: &Scene) {
    let start = scene.now();
    scene.admit_all(&["a", "b", "c"]).await;
    let leases = scene.ready(2).await;
    scene.end(&leases[0], ack(), State::Completed).await;
    scene.advance(seconds(60));
    scene.renew(&leases[1], TTL).await;
    scene.end(&leases[1], bury("boom"), State::Dead).await;
    scene.advance(seconds(120));
    scene.admit_all(&["d"]).await;
    let point = |minute: u64, enqueued, succeeded, failed| HistoryPoint {
        minute: start + seconds(60 * minute),
        enqueued,
        succeeded,
        failed,
    };
    let all = [point(0, 3, 1, 0), point(1, 0, 0, 1), point(3, 1, 0, 0)];
    assert_eq!(history(scene, start).await, all);
    assert_eq!(history(scene, start + seconds(60)).await, all[1..]);
    scene.advance(seconds(86_400));
    scene.admit_all(&["e"]).await;
    scene.sweep().await;
    let left = history(scene, scene.now() - seconds(86_400)).await;
    let newest: Vec<_> = left.iter().map(|p| p.minute).collect();
    assert!(newest.iter().all(|at| *at >= scene.now() - seconds(86_460)));
    assert_eq!(newest.last(), Some(&scene.now()));
}

/// Behaviour 71.
pub(crate) async fn queues_are_listed_by_name(scene: &Scene) {
    for name in ["b", "c", "a"] {
        scene.admit(scene.task_in(name, name)).await;
    }
    // Asking for a queue does not make it.
    scene.lease(&demand(&[("nowhere", 1)], 1)).await;
    assert_eq!(scene.stats("nowhere").await.pending, 0);
    let names = scene.inspect().queues().await.expect("queues answer");
    let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

async fn page(scene: &Scene, cursor: Option<tidemill_shared::Cursor>) -> Paged {
    let filter = TaskFilter::default();
    let page = scene.inspect().list(&filter, cursor, 2).await;
    let page = page.expect("list answers");
    let tasks = page.items.iter().map(|r| r.envelope.id.to_string());
    (tasks.collect(), page.next)
}

type Paged = (Vec<String>, Option<tidemill_shared::Cursor>);

/// Behaviour 72.
pub(crate) async fn paging_is_stable_under_change(scene: &Scene) {
    scene.admit_all(&["a", "b", "c", "d", "e", "f"]).await;
    let (first, next) = page(scene, None).await;
    assert_eq!(first, ["f", "e"]);
    scene.admit_all(&["new"]).await;
    scene.change("c", Change::Delete).await;
    scene.change("f", Change::Delete).await;
    scene.take("a").await;
    let (second, next) = page(scene, next).await;
    assert_eq!(second, ["d", "b"]);
    let (third, next) = page(scene, next).await;
    assert_eq!(third, ["a"]);
    assert_eq!(next, None);
}

/// Behaviour 72.
pub(crate) async fn pages_hold_everything_once(scene: &Scene) {
    let batch = (0..25).map(|n| scene.task(&format!("t{n}"))).collect();
    scene.enqueue(batch).await;
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let (tasks, next) = page(scene, cursor).await;
        seen.extend(tasks);
        assert!(seen.len() <= 25, "paging ends");
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    let expected: Vec<_> = (0..25).rev().map(|n| format!("t{n}")).collect();
    assert_eq!(seen, expected);
}

/// Behaviour 72.
pub(crate) async fn a_page_is_bounded_whatever_is_asked_for(scene: &Scene) {
    for part in 0..3 {
        let batch = (0..400).map(|n| scene.task(&format!("t{part}-{n}")));
        scene.enqueue(batch.collect()).await;
    }
    let all = TaskFilter::default();
    let page = scene.inspect().list(&all, None, usize::MAX).await;
    let page = page.expect("list answers");
    assert_eq!(page.items.len(), 1_000);
    let rest = scene.inspect().list(&all, page.next, usize::MAX).await;
    assert_eq!(rest.expect("list answers").items.len(), 200);
}

/// Behaviour 72.
pub(crate) async fn a_filter_finds_what_it_says(scene: &Scene) {
    scene.put_one_of_each().await;
    scene.advance(seconds(1));
    let mut odd = scene.keyed("odd", claim("k", seconds(60)));
    odd.queue = queue("other");
    odd.kind = kind("other.kind");
    scene.admit(odd).await;
    let plan = scene.plan(schedule("backup")).await;
    let fires = scene.fires_in(&plan, &[3_600]).await;
    let any = TaskFilter::default;
    let now = scene.now();
    let filters = [
        any(),
        TaskFilter {
            states: vec![State::Dead, State::Retry],
            ..any()
        },
        TaskFilter {
            states: vec![State::Scheduled],
            queue: Some(queue(QUEUE)),
            ..any()
        },
        TaskFilter {
            queue: Some(queue("other")),
            ..any()
        },
        TaskFilter {
            queue: Some(queue("nowhere")),
            ..any()
        },
        TaskFilter {
            kind: Some(kind("other.kind")),
            ..any()
        },
        TaskFilter {
            key: Some(key("k")),
            ..any()
        },
        TaskFilter {
            schedule: Some(plan.record.schedule.id.clone()),
            ..any()
        },
        TaskFilter {
            since: Some(now),
            ..any()
        },
        TaskFilter {
            until: Some(now),
            ..any()
        },
        TaskFilter {
            error: Some(pattern("oo")),
            ..any()
        },
        TaskFilter {
            error: Some(pattern("%")),
            ..any()
        },
        TaskFilter {
            error: Some(pattern("BOOM")),
            ..any()
        },
        TaskFilter {
            error: Some(pattern("^error: b(o+)m$")),
            ..any()
        },
        TaskFilter {
            reason: Some(BuryReason::AttemptsExhausted),
            ..any()
        },
        TaskFilter {
            reason: Some(BuryReason::Rejected),
            ..any()
        },
        TaskFilter {
            ended_since: Some(now),
            ..any()
        },
        TaskFilter {
            ended_since: Some(Timestamp::MIN),
            ended_until: Some(now),
            ..any()
        },
    ];
    let inspect = scene.inspect();
    let everything = inspect.list(&any(), None, 1_000).await;
    let everything = everything.expect("list answers").items;
    assert_eq!(everything.len(), 9);
    for filter in filters {
        let expected = everything.iter().filter(|record| filter.matches(record));
        let expected: Vec<_> = expected.map(|r| r.envelope.id.to_string()).collect();
        assert_eq!(scene.listed(&filter).await, expected, "{filter:?}");
    }
    let of_schedule = TaskFilter {
        schedule: Some(plan.record.schedule.id.clone()),
        ..any()
    };
    assert_eq!(scene.listed(&of_schedule).await, fires);
}
