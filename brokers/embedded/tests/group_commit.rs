//! Calls that wait at the same time are committed together.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[path = "support/kit.rs"]
mod kit;

use std::path::Path;

use kit::{manual_clock, open, raw, task};
use tidemill_shared::{Admission, Broker, Clock};
use tokio::task::JoinSet;

/// The commits in a write-ahead log: frames that name the size of the database after them
/// (<https://www.sqlite.org/fileformat2.html#the_write_ahead_log>).
fn commits(path: &Path) -> usize {
    let log = std::fs::read(format!("{}-wal", path.display())).unwrap();
    let frames = log.get(32..).unwrap_or_default().chunks_exact(24 + 4_096);
    frames.filter(|frame| frame[4..8] != [0; 4]).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_callers_share_a_few_commits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let clock = manual_clock();
    let store = open(&path, clock.clone());
    let before = commits(&path);
    // While somebody else writes, the calls line up.
    let other = raw(&path);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut callers = JoinSet::new();
    for n in 0..64 {
        let (store, envelope) = (store.clone(), task(&format!("t{n}"), clock.now()));
        callers.spawn(async move { store.enqueue(vec![envelope]).await.unwrap() });
    }
    tokio::task::yield_now().await;
    other.execute_batch("ROLLBACK").unwrap();
    for answer in callers.join_all().await {
        assert_eq!(answer, [Admission::Admitted]);
    }
    let commits = commits(&path) - before;
    assert!(
        (1..=16).contains(&commits),
        "{commits} commits for 64 calls"
    );
    assert_eq!(store.stats(&[]).await.unwrap()[0].pending, 64);
}
