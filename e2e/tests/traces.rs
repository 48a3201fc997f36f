//! Traces through real processes into a collector that others have made.

#![expect(
    clippy::print_stdout,
    reason = "a test tells its seed, and what it has found"
)]

use std::path::Path;

use tidemill_e2e::faults::line;
use tidemill_e2e::scenario::{Protocol, Traces, message_headers};
use tidemill_e2e::{Place, Result, fresh_seed};

/// 450 tasks through the API and 50 from schedules.
async fn every_request_is_connected(protocol: Protocol, place: &Place, folder: &Path) -> Result {
    let seed = fresh_seed();
    println!("seed {seed}");
    let seen = Traces {
        seed,
        calls: 450,
        schedules: 10,
        fires: 5,
        protocol,
    }
    .run(place, folder)
    .await?;
    println!("{seen:?}: {:.2} % connected", seen.share());
    assert_eq!(seen.tasks, 500);
    assert_eq!(seen.fires, 50);
    assert!(seen.requests > 520, "too few retries: {seen:?}");
    assert_eq!(seen.whole, seen.requests);
    Ok(())
}

#[tokio::test]
async fn a_trace_is_whole_from_fire_to_request_on_sqlite_over_http() -> Result {
    let folder = tempfile::tempdir()?;
    let place = Place::file(&folder.path().join("tasks.db"));
    every_request_is_connected(Protocol::Http, &place, folder.path()).await
}

#[tokio::test]
async fn a_trace_is_whole_from_fire_to_request_on_redis_over_grpc() -> Result {
    let folder = tempfile::tempdir()?;
    let place = Place::at(&told("TIDEMILL_TEST_REDIS")?, &namespace(folder.path()));
    every_request_is_connected(Protocol::Grpc, &place, folder.path()).await
}

#[tokio::test]
async fn a_trace_is_whole_from_fire_to_request_on_rabbitmq_over_http() -> Result {
    let folder = tempfile::tempdir()?;
    let place = beside_redis(&namespace(folder.path()))?;
    every_request_is_connected(Protocol::Http, &place, folder.path()).await
}

#[tokio::test]
async fn a_message_of_rabbitmq_names_the_span_that_has_sent_it() -> Result {
    let folder = tempfile::tempdir()?;
    let name = namespace(folder.path());
    let (place, node) = (beside_redis(&name)?, told("TIDEMILL_TEST_RABBITMQ")?);
    let seen = message_headers(&place, folder.path(), &node, &line(&name)).await?;
    assert!(seen > 0);
    Ok(())
}

fn beside_redis(namespace: &str) -> Result<Place> {
    let place = Place::at(&told("TIDEMILL_TEST_RABBITMQ")?, namespace);
    Ok(place.beside(&told("TIDEMILL_TEST_REDIS")?))
}

/// As unique as the folder.
fn namespace(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default();
    name.to_string_lossy().trim_start_matches('.').to_owned()
}

#[expect(
    clippy::disallowed_methods,
    reason = "`cargo xtask test` says where, as a test has no arguments"
)]
fn told(name: &str) -> Result<String> {
    Ok(std::env::var(name)?)
}
