use std::sync::Arc;

use super::{Feed, Follower, KEPT, Next};

fn follower(feed: &Arc<Feed>, seen: u64) -> Follower {
    feed.lock().followers += 1;
    Follower {
        feed: Arc::clone(feed),
        latest: feed.latest.subscribe(),
        seen,
    }
}

fn number(next: Option<Next>) -> Option<u64> {
    match next? {
        Next::Event(event) => Some(event.number),
        Next::Skipped(_) => None,
    }
}

#[test]
fn whoever_falls_behind_hears_how_far() {
    let feed = Arc::new(Feed::default());
    for n in 0..KEPT + 7 {
        feed.push("task", None, &n);
    }
    let mut late = follower(&feed, 0);
    assert!(matches!(late.ready(), Some(Next::Skipped(7))));
    assert_eq!(number(late.ready()), Some(8));
    assert_eq!(late.id(), feed.id(8));
    let last = u64::try_from(KEPT + 7).unwrap();
    let mut early = follower(&feed, last - 1);
    assert_eq!(number(early.ready()), Some(last));
    assert!(early.ready().is_none());
    drop((late, early));
    assert_eq!(feed.lock().followers, 0);
}
