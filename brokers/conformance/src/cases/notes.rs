//! Notes of those who operate Tidemill.

use std::time::Duration;

use tidemill_shared::NoteName;
use tidemill_shared::ledger::{Book, NoteOrder, Precondition};

use crate::scene::{Scene, seconds};

fn name(text: &str) -> NoteName {
    NoteName::new(text).expect("the case names a valid note")
}

async fn put(
    scene: &Scene,
    note: &str,
    text: &str,
    only_if: Precondition,
    ttl: Option<Duration>,
) -> Option<u64> {
    let ledger = &scene.ledger;
    let note = name(note);
    let put = ledger.put_note(Book::Tokens, &note, text, only_if, ttl);
    put.await.expect("put_note answers")
}

async fn write(scene: &Scene, note: &str, text: &str) -> Option<u64> {
    put(scene, note, text, Precondition::None, None).await
}

async fn text(scene: &Scene, book: Book, note: &str) -> Option<String> {
    let note = scene.ledger.note(book, &name(note)).await;
    note.expect("note answers").map(|note| note.text)
}

async fn names(scene: &Scene, order: NoteOrder, after: Option<&str>, limit: usize) -> Vec<String> {
    let after = after.map(name);
    let ledger = &scene.ledger;
    let notes = ledger.notes(Book::Tokens, order, after.as_ref(), limit);
    let notes = notes.await.expect("notes answers");
    notes.iter().map(|note| note.name.to_string()).collect()
}

/// What is written can be read, in its book alone, until it is forgotten.
pub(crate) async fn a_note_is_kept_in_its_book(scene: &Scene) {
    let said = "{\"a\":\"añó\"}\n\0";
    assert_eq!(write(scene, "a", said).await, Some(1));
    assert_eq!(text(scene, Book::Tokens, "a").await.as_deref(), Some(said));
    assert_eq!(text(scene, Book::Audit, "a").await, None);
    let note = name("a");
    let forget = || scene.ledger.forget_note(Book::Tokens, &note);
    assert!(forget().await.expect("forget_note answers"));
    assert!(!forget().await.expect("forget_note answers"));
    assert_eq!(text(scene, Book::Tokens, "a").await, None);
}

/// A writer that has not seen the latest version changes nothing.
pub(crate) async fn a_note_is_written_only_under_its_precondition(scene: &Scene) {
    let absent = Precondition::Absent;
    let version = Precondition::Version;
    assert_eq!(put(scene, "a", "x", version(1), None).await, None);
    assert_eq!(put(scene, "a", "1", absent, None).await, Some(1));
    assert_eq!(put(scene, "a", "x", absent, None).await, None);
    assert_eq!(put(scene, "a", "2", version(1), None).await, Some(2));
    assert_eq!(put(scene, "a", "x", version(1), None).await, None);
    assert_eq!(write(scene, "a", "3").await, Some(3));
    assert_eq!(text(scene, Book::Tokens, "a").await.as_deref(), Some("3"));
}

/// After its time a note is not there for anybody, swept or not.
pub(crate) async fn a_note_is_forgotten_after_its_time(scene: &Scene) {
    put(scene, "a", "short", Precondition::None, Some(seconds(10))).await;
    put(scene, "b", "long", Precondition::None, Some(seconds(10))).await;
    write(scene, "b", "for ever").await;
    scene.advance(seconds(10));
    assert_eq!(text(scene, Book::Tokens, "a").await, None);
    assert_eq!(names(scene, NoteOrder::Forward, None, 9).await, ["b"]);
    scene.sweep().await;
    assert_eq!(
        text(scene, Book::Tokens, "b").await.as_deref(),
        Some("for ever")
    );
    let again = put(scene, "a", "new", Precondition::Absent, None).await;
    assert_eq!(again, Some(1));
}

/// Notes are listed by name, either way, page by page.
pub(crate) async fn notes_are_listed_by_name(scene: &Scene) {
    for note in ["b", "a", "d", "C"] {
        write(scene, note, "x").await;
    }
    assert_eq!(
        names(scene, NoteOrder::Forward, None, 3).await,
        ["C", "a", "b"]
    );
    assert_eq!(names(scene, NoteOrder::Forward, Some("b"), 3).await, ["d"]);
    assert_eq!(names(scene, NoteOrder::Backward, None, 2).await, ["d", "b"]);
    assert_eq!(
        names(scene, NoteOrder::Backward, Some("b"), 9).await,
        ["a", "C"]
    );
}
