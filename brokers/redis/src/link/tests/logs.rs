//! What is written to the log.

#[path = "../../../tests/harness/log.rs"]
mod log;

use self::log::Log;
use super::kit::{counted, open};
use super::server::Server;

#[tokio::test]
async fn a_loss_and_a_return_are_one_line_each_however_many_calls_fail() {
    let (log, _guard) = Log::of(tracing::Level::TRACE);
    let mut server = Server::start(&["--requirepass", "hunter2"]).await;
    let url = format!("redis://:hunter2@127.0.0.1:{}?timeout=50ms", server.port);
    let link = open(&url).await.unwrap();
    let mut changes = link.changes();
    server.kill();
    changes.next().await;
    for _ in 0..10 {
        counted(&link).await.unwrap_err();
    }
    server.restart().await;
    while counted(&link).await.is_err() {}
    let text = log.text();
    let ours = text
        .lines()
        .filter(|line| line.contains("tidemill"))
        .count();
    assert_eq!(ours, 2, "{text}");
    assert!(
        text.contains("WARN") && text.contains("lost the connection"),
        "{text}"
    );
    assert!(text.contains("INFO") && text.contains("is back"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    assert!(!format!("{link:?}").contains("hunter2"), "{link:?}");
}
