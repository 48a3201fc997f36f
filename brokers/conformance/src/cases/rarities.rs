//! What is rare among many tasks: found in steps that are bounded.

use tidemill_shared::{Change, Cursor, Envelope, MAX_LOOK, State, TaskFilter, fill_page};

use crate::scene::{Scene, claim, key, kind, pattern, queue, seconds};

/// More than one call looks at.
const MANY: usize = MAX_LOOK + 100;

/// Puts so many tasks in line, or among the scheduled ones, behind what is there.
async fn crowd(scene: &Scene, name: &str, make: impl Fn(&str) -> Envelope) {
    let all: Vec<_> = (0..MANY).map(|n| make(&format!("{name}-{n}"))).collect();
    for batch in all.chunks(scene.broker.capabilities().max_batch.min(1_000)) {
        scene.enqueue(batch.to_vec()).await;
    }
}

/// A task of a kind that no other has, due when the crowd is.
fn rare(scene: &Scene, name: &str) -> Envelope {
    let mut envelope = scene.delayed(name, seconds(3_600));
    envelope.kind = kind("rare.kind");
    envelope
}

fn of_rare_kind() -> TaskFilter {
    TaskFilter {
        kind: Some(kind("rare.kind")),
        ..TaskFilter::default()
    }
}

/// The ids of a page of ten that is full, or the last one, and where the next begins.
async fn filled(
    scene: &Scene,
    filter: &TaskFilter,
    after: Option<Cursor>,
) -> (Vec<String>, Option<Cursor>) {
    let page = fill_page(scene.inspect(), filter, after, 10, || false).await;
    let page = page.expect("list answers");
    let ids = page.items.iter().map(|task| task.envelope.id.to_string());
    (ids.collect(), page.next)
}

/// Behaviour 72.
pub(crate) async fn a_page_ends_before_what_is_rare_is_found(scene: &Scene) {
    scene.admit(rare(scene, "rare")).await;
    crowd(scene, "common", |name| scene.delayed(name, seconds(3_600))).await;
    let (inspect, filter) = (scene.inspect(), of_rare_kind());
    let page = inspect.list(&filter, None, 10).await.expect("list answers");
    assert!(page.items.is_empty(), "one call does not look at all");
    assert!(page.is_partial(10), "{:?}", page.next);
    let found = filled(scene, &filter, page.next).await;
    assert_eq!(found, (vec!["rare".to_owned()], None));
}

/// Behaviour 72.
pub(crate) async fn a_page_among_many_holds_what_its_filter_says(scene: &Scene) {
    let mut odd = scene.keyed("odd", claim("k", seconds(60)));
    odd.queue = queue("other");
    odd.kind = kind("rare.kind");
    scene.admit(odd).await;
    scene.put("dead", State::Dead).await;
    scene.put("retry", State::Retry).await;
    crowd(scene, "common", |name| scene.task(name)).await;
    let any = TaskFilter::default;
    let filters = [
        (of_rare_kind(), "odd"),
        (
            TaskFilter {
                queue: Some(queue("other")),
                ..any()
            },
            "odd",
        ),
        (
            TaskFilter {
                key: Some(key("k")),
                ..any()
            },
            "odd",
        ),
        (
            TaskFilter {
                states: vec![State::Pending],
                queue: Some(queue("other")),
                ..any()
            },
            "odd",
        ),
        (
            TaskFilter {
                states: vec![State::Dead],
                error: Some(pattern("oo")),
                ..any()
            },
            "dead",
        ),
        (
            TaskFilter {
                states: vec![State::Retry],
                ..any()
            },
            "retry",
        ),
    ];
    for (filter, expected) in filters {
        let found = filled(scene, &filter, None).await;
        assert_eq!(found, (vec![expected.to_owned()], None), "{filter:?}");
    }
}

/// Behaviour 74.
pub(crate) async fn a_change_of_many_goes_on_past_what_it_does_not_mean(scene: &Scene) {
    scene.admit(rare(scene, "rare")).await;
    crowd(scene, "common", |name| scene.delayed(name, seconds(3_600))).await;
    let filter = of_rare_kind();
    let (mut cursor, mut changed): (Option<Cursor>, _) = (None, Vec::new());
    loop {
        let step = scene
            .inspect()
            .change_many(&filter, &Change::Bury, cursor, MAX_LOOK);
        let step = step.await.expect("change_many answers");
        changed.push(step.changed);
        cursor = step.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(changed, [0, 1], "one call does not look at all");
    assert_eq!(scene.state("rare").await, Some(State::Dead));
}
