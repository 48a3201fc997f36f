//! A server that has lost its data, and who says so.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[path = "harness/redis.rs"]
mod harness;

use std::io;
use std::sync::{Arc, Mutex};

use harness::Redis;
use tidemill_conformance::Fixture;
use tidemill_shared::Connection;
use tracing_subscriber::fmt::MakeWriter;

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
    fn errors(&self) -> usize {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.matches("ERROR").count()
    }
}

async fn sweep(connection: &Connection) {
    connection.broker.sweep(10).await.unwrap();
}

/// Behaviour 56.
#[tokio::test]
async fn a_loss_is_said_once_by_each_process_that_knew_the_data() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::ERROR)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let space = Redis("TIDEMILL_TEST_REDIS").space().await;
    let first = space.connection();
    let second = space.another_process().await.unwrap();
    sweep(&first).await;
    sweep(&second).await;
    assert_eq!(log.errors(), 0);

    let client = redis::Client::open(space.url()).unwrap();
    let mut raw = client.get_connection().unwrap();
    let meta = format!("tidemill:{{{}}}:meta", space.namespace());
    redis::cmd("DEL").arg(meta).exec(&mut raw).unwrap();
    // The time of the tests stands still, and a namespace is known by when it was made.
    space.clock().advance(std::time::Duration::from_millis(1));

    // Whoever comes new finds nothing to have been lost, and leaves no sign that anything was.
    let third = space.another_process().await.unwrap();
    sweep(&third).await;
    assert_eq!(log.errors(), 0);
    for _ in 0..2 {
        sweep(&second).await;
        assert_eq!(log.errors(), 1);
    }
    sweep(&first).await;
    assert_eq!(log.errors(), 2);
}
