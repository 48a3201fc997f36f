//! What may be opened, and what is refused, with the remedy.

#[path = "support/kit.rs"]
mod kit;

use std::fs;
use std::sync::Barrier;
use std::thread;

use kit::{admit, demand, manual_clock, open, raw, refusal, task};
use tidemill_embedded::SqliteStore;
use tidemill_shared::{Broker, Clock, ErrorKind, Inspect};

#[test]
fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = refusal(&folder.path().join("nowhere/tasks.db"));
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("nowhere"), "{error}");
    assert!(error.to_string().contains("make it first"), "{error}");
}

#[test]
fn a_folder_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let error = refusal(folder.path());
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("is a folder"), "{error}");
}

#[test]
fn a_read_only_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    drop(open(&path, manual_clock()));
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    let error = refusal(&path);
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("read-only"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let letter = "Dear Ada, ".repeat(1_000);
    fs::write(&path, &letter).unwrap();
    let error = refusal(&path);
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(fs::read_to_string(&path).unwrap(), letter);
}

#[test]
fn the_database_of_another_program_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    raw(&path)
        .execute_batch("CREATE TABLE letters (text)")
        .unwrap();
    let error = refusal(&path);
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let tables: i64 = raw(&path)
        .query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1);
}

#[test]
fn a_store_of_a_newer_build_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    drop(open(&path, manual_clock()));
    raw(&path).pragma_update(None, "user_version", 99).unwrap();
    let error = refusal(&path);
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("99"), "{error}");
}

#[tokio::test]
async fn a_truncated_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let clock = manual_clock();
    let store = open(&path, clock.clone());
    let batch = (0..500).map(|n| task(&format!("t{n}"), clock.now()));
    let answers = store.enqueue(batch.collect()).await.unwrap();
    assert_eq!(answers.len(), 500);
    store.close().await.unwrap();
    let whole = fs::metadata(&path).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(whole - 40_000).unwrap();
    let error = refusal(&path);
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn damage_inside_the_file_is_reported_where_it_is_met() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let clock = manual_clock();
    let store = open(&path, clock.clone());
    let batch = (0..500).map(|n| task(&format!("t{n}"), clock.now()));
    let answers = store.enqueue(batch.collect()).await.unwrap();
    assert_eq!(answers.len(), 500);
    store.close().await.unwrap();
    let root: i64 = raw(&path)
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'task'",
            (),
            |row| row.get(0),
        )
        .unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let start = usize::try_from(root - 1).unwrap() * 4_096;
    bytes[start..start + 64].fill(0xee);
    fs::write(&path, bytes).unwrap();
    let store = open(&path, clock);
    let error = store.lease(&demand(10, std::time::Duration::ZERO)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Corrupt);
    let error = store.list(&Default::default(), None, 10).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_closed_store_answers_that_it_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let clock = manual_clock();
    let store = open(&folder.path().join("tasks.db"), clock.clone());
    admit(&store, task("t", clock.now())).await;
    store.close().await.unwrap();
    store.close().await.unwrap();
    for error in [
        store
            .enqueue(vec![task("u", clock.now())])
            .await
            .unwrap_err(),
        store.stats(&[]).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let clock = manual_clock();
    let store: SqliteStore = open(&path, clock.clone());
    admit(&store, task("t", clock.now())).await;
    drop(store);
    let store = open(&path, clock);
    assert_eq!(store.stats(&[]).await.unwrap()[0].pending, 1);
}

#[test]
fn a_new_file_that_several_open_at_once_is_opened_by_all() {
    for _ in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tasks.db");
        let together = Barrier::new(4);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    together.wait();
                    drop(open(&path, manual_clock()));
                });
            }
        });
    }
}
