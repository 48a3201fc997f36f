//! What is written to the log.

use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use super::kit::{counted, open};
use super::server::Server;

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
async fn a_loss_and_a_return_are_one_line_each_however_many_calls_fail() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    // The test's runtime has one thread, so that this reaches the keeper too.
    let _guard = tracing::subscriber::set_default(subscriber);
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
