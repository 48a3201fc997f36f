//! The clock of a real server.

use std::time::Duration;

use tidemill_shared::Clock;

use super::kit::{eventually, link_to};
use super::server::Server;
use crate::server_clock::ServerClock;

#[tokio::test]
async fn the_clock_is_that_of_the_server() {
    let server = Server::start(&[]).await;
    let link = link_to(&server).await;
    let clock = ServerClock::open(&link).await.unwrap();
    for _ in 0..20 {
        let before = clock.now();
        let time = link.server_time().await.unwrap();
        let after = clock.now();
        let tolerance = Duration::from_millis(5);
        assert!(before <= time + tolerance && time <= after + tolerance);
    }
}

#[tokio::test]
async fn the_clock_runs_on_without_its_server_and_ends_with_the_link() {
    let mut server = Server::start(&[]).await;
    let link = link_to(&server).await;
    let clock = ServerClock::open(&link).await.unwrap();
    server.kill();
    let due = clock.now() + Duration::from_millis(30);
    clock.sleep_until(due).await;
    assert!(clock.now() >= due);
    let weak = std::sync::Arc::downgrade(&link);
    link.shut();
    drop(link);
    eventually("the clock lets go of the link", || weak.strong_count() == 0).await;
}
