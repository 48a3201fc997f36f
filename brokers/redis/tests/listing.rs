//! Listings of long lines.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[path = "harness/redis.rs"]
mod harness;
#[path = "harness/scene.rs"]
mod scene;

use std::time::Duration;

use scene::Scene;
use tidemill_shared::{Change, Envelope, Kind, QueueName, TaskFilter};

/// More places than one step of a listing passes over.
const GHOSTS: usize = 6_000;

fn ghosts(scene: &Scene) -> Vec<Envelope> {
    let kind = Kind::new("ghost").unwrap();
    let one = |n| {
        let mut envelope = scene.envelope(&format!("ghost-{n}"));
        envelope.kind = kind.clone();
        envelope
    };
    (0..GHOSTS).map(one).collect()
}

#[tokio::test]
async fn a_task_before_thousands_that_left_the_line_is_listed() {
    let scene = Scene::new().await;
    scene.admit(&["old"]).await;
    let ghosts = ghosts(&scene);
    let meant = TaskFilter {
        kind: Some(ghosts[0].kind.clone()),
        ..TaskFilter::default()
    };
    let broker = scene.connection().broker;
    for batch in ghosts.chunks(500) {
        let answers = broker.enqueue(batch.to_vec()).await.unwrap();
        assert_eq!(answers.len(), batch.len());
    }
    let inspect = broker.inspect().unwrap();
    let deleted = inspect.change_many(&meant, &Change::Delete, None, 2 * GHOSTS);
    assert_eq!(deleted.await.unwrap().next, None);
    let page = inspect
        .list(&TaskFilter::default(), None, 10)
        .await
        .unwrap();
    let listed: Vec<_> = page
        .items
        .iter()
        .map(|task| task.envelope.id.as_str())
        .collect();
    assert_eq!((listed, page.next), (vec!["old"], None));
}

/// A step takes a few of each queue, and yet all are listed, newest first.
#[tokio::test]
async fn tasks_of_many_queues_are_listed_in_their_order() {
    const QUEUES: usize = 60;
    let scene = Scene::new().await;
    let broker = scene.connection().broker;
    let mut enqueued = Vec::new();
    for round in 0..20 {
        let one = |n| {
            let mut envelope = scene.envelope(&format!("task-{round}-{n}"));
            // Of every other round, half of the queues have twice as many and the others none.
            let queue = if round % 2 == 0 { n } else { n / 2 };
            envelope.queue = QueueName::new(format!("q{queue}")).unwrap();
            if n % 2 == 0 {
                envelope.due_at = envelope.due_at + Duration::from_secs(3_600);
            }
            envelope
        };
        let batch: Vec<_> = (0..QUEUES).map(one).collect();
        for envelope in batch {
            enqueued.push(envelope.id.clone());
            broker.enqueue(vec![envelope]).await.unwrap();
        }
    }
    enqueued.reverse();
    let inspect = broker.inspect().unwrap();
    let (mut cursor, mut listed) = (None, Vec::new());
    loop {
        let page = inspect.list(&TaskFilter::default(), cursor, 100).await;
        let page = page.unwrap();
        listed.extend(page.items.into_iter().map(|task| task.envelope.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(listed, enqueued);
}

/// Each step reads all that is active and was never renewed, so a page takes fewer steps where these are many.
#[tokio::test]
async fn a_page_among_thousands_of_active_tasks_ends_and_the_next_goes_on() {
    let scene = Scene::new().await;
    let broker = scene.connection().broker;
    let mut old = scene.envelope("old");
    old.kind = Kind::new("rare").unwrap();
    old.queue = QueueName::new("aside").unwrap();
    let meant = TaskFilter {
        kind: Some(old.kind.clone()),
        ..TaskFilter::default()
    };
    broker.enqueue(vec![old]).await.unwrap();
    for batch in ghosts(&scene).chunks(500) {
        broker.enqueue(batch.to_vec()).await.unwrap();
        let leases = scene.lease(500).await;
        assert_eq!(leases.len(), batch.len());
    }
    let inspect = broker.inspect().unwrap();
    let (mut cursor, mut pages, mut listed) = (None, 0, Vec::new());
    loop {
        let page = inspect.list(&meant, cursor, 10).await.unwrap();
        listed.extend(page.items.into_iter().map(|task| task.envelope.id));
        pages += 1;
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let listed: Vec<_> = listed.iter().map(|id| id.as_str()).collect();
    assert_eq!(listed, ["old"]);
    // Two steps of 250 tasks and 6,000 others each.
    assert!(pages >= 12, "{pages}");
}
