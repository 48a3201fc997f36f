//! Output of runs.

use tidemill_shared::ledger::{LogLine, LogPage, LogStream};
use tidemill_shared::{Change, Cursor, State};

use crate::scene::{Scene, id};
use crate::verdicts::ack;

fn line(scene: &Scene, text: &str, stream: LogStream) -> LogLine {
    LogLine {
        at: scene.now(),
        attempt: 1,
        stream,
        text: text.into(),
    }
}

async fn append(scene: &Scene, task: &str, lines: Vec<LogLine>) {
    let appended = scene.ledger.append_log(&id(task), lines).await;
    appended.expect("append_log answers");
}

async fn read(scene: &Scene, task: &str, cursor: Option<Cursor>, limit: usize) -> LogPage {
    let page = scene.ledger.read_log(&id(task), cursor, limit).await;
    page.expect("read_log answers")
}

fn texts(page: &LogPage) -> Vec<&str> {
    page.lines.iter().map(|line| line.text.as_str()).collect()
}

/// Behaviour 45.
pub(crate) async fn lines_come_back_as_they_were_written(scene: &Scene) {
    scene.put_active("a").await;
    let mut lines = Vec::new();
    for (stream, text) in LogStream::ALL
        .into_iter()
        .zip(["", "añó 😀", "a\tb\u{1b}[1m", "x"])
    {
        lines.push(line(scene, text, stream));
    }
    append(scene, "a", lines.clone()).await;
    assert_eq!(read(scene, "a", None, 10).await.lines, lines);
}

/// Behaviour 45.
pub(crate) async fn a_log_is_read_page_by_page_and_goes_on(scene: &Scene) {
    scene.put_active("a").await;
    let write = |text: &str| line(scene, text, LogStream::Stdout);
    let lines: Vec<_> = (0..5).map(|n| write(&format!("line {n}"))).collect();
    append(scene, "a", lines).await;
    let first = read(scene, "a", None, 2).await;
    assert_eq!(texts(&first), ["line 0", "line 1"]);
    let second = read(scene, "a", Some(first.next), 10).await;
    assert_eq!(texts(&second), ["line 2", "line 3", "line 4"]);
    let nothing = read(scene, "a", Some(second.next), 10).await;
    assert_eq!(texts(&nothing), [""; 0]);
    append(scene, "a", vec![write("more")]).await;
    let more = read(scene, "a", Some(nothing.next), 10).await;
    assert_eq!(texts(&more), ["more"]);
}

/// Behaviour 45.
pub(crate) async fn an_empty_log_can_be_followed_from_its_start(scene: &Scene) {
    scene.put_active("a").await;
    let nothing = read(scene, "a", None, 10).await;
    assert_eq!(nothing.lines, []);
    append(scene, "a", vec![line(scene, "first", LogStream::Stderr)]).await;
    let page = read(scene, "a", Some(nothing.next), 10).await;
    assert_eq!(texts(&page), ["first"]);
}

/// Behaviour 34.
pub(crate) async fn a_log_is_gone_with_its_task(scene: &Scene) {
    let lease = scene.put_active("kept").await;
    append(scene, "kept", vec![line(scene, "x", LogStream::Stdout)]).await;
    scene.end(&lease, ack(), State::Completed).await;
    assert_eq!(read(scene, "kept", None, 10).await.lines.len(), 1);
    scene.change("kept", Change::Delete).await;
    assert_eq!(read(scene, "kept", None, 10).await.lines, []);

    scene.admit_all(&["removed"]).await;
    let lease = scene.take("removed").await;
    append(scene, "removed", vec![line(scene, "x", LogStream::Stdout)]).await;
    scene.end(&lease, ack(), State::Completed).await;
    scene.admit_all(&["removed"]).await;
    assert_eq!(read(scene, "removed", None, 10).await.lines, []);
}

/// Behaviour 34.
pub(crate) async fn lines_for_a_task_that_is_gone_are_dropped(scene: &Scene) {
    append(scene, "a", vec![line(scene, "early", LogStream::Stdout)]).await;
    scene.put_active("a").await;
    assert_eq!(read(scene, "a", None, 10).await.lines, []);
}

/// Behaviour 45.
pub(crate) async fn logs_of_different_tasks_are_kept_apart(scene: &Scene) {
    scene.put_active("a").await;
    scene.put_active("b").await;
    for (task, text) in [("a", "1"), ("b", "2"), ("a", "3")] {
        append(scene, task, vec![line(scene, text, LogStream::Stdout)]).await;
    }
    assert_eq!(texts(&read(scene, "a", None, 10).await), ["1", "3"]);
    assert_eq!(texts(&read(scene, "b", None, 10).await), ["2"]);
}
