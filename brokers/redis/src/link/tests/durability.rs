//! Writes that wait for replicas.

use std::time::Duration;

use redis::Value;
use tidemill_shared::{ErrorKind, Result};
use tokio::task::JoinSet;

use super::super::Link;
use super::kit::{KEY, count, counted, eventually, open};
use super::server::Server;

async fn durably(link: &Link) -> Result<Value> {
    link.call_durably("count", &count(), &[KEY.as_bytes()], &["1"])
        .await
}

#[tokio::test]
async fn a_write_that_no_replica_confirms_has_an_unknown_outcome() {
    let server = Server::start(&[]).await;
    let link = open(&format!(
        "{}?durability=wait&wait_timeout=50ms",
        server.url()
    ))
    .await
    .unwrap();
    let error = durably(&link).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("0 of 1 replicas"), "{error}");
    assert_eq!(server.run::<String>(&["GET", KEY]).unwrap(), "1");
}

#[tokio::test]
async fn a_write_that_a_replica_confirms_is_acknowledged() {
    let master = Server::start(&["--repl-diskless-sync-delay", "0"]).await;
    let replica = Server::start(&["--replicaof", "127.0.0.1", &master.port.to_string()]).await;
    let link = open(&format!("{}?durability=wait&wait_timeout=5s", master.url()))
        .await
        .unwrap();
    assert_eq!(durably(&link).await.unwrap(), Value::Int(1));
    assert_eq!(replica.run::<String>(&["GET", KEY]).unwrap(), "1");
    let wrong = link
        .call_durably("x", &super::super::Script::new("return {}+1"), &[], &["a"])
        .await;
    assert_eq!(wrong.unwrap_err().kind(), ErrorKind::Internal);
}

#[tokio::test]
async fn other_calls_do_not_wait_for_the_replicas() {
    let server = Server::start(&[]).await;
    let url = format!("{}?durability=wait&wait_timeout=5s", server.url());
    let link = std::sync::Arc::new(open(&url).await.unwrap());
    counted(&link).await.unwrap();
    let mut calls = JoinSet::new();
    let caller = link.clone();
    calls.spawn(async move { durably(&caller).await });
    eventually("a call waits for replicas", || {
        let clients: String = server.run(&["CLIENT", "LIST"]).unwrap();
        clients.contains("cmd=wait")
    })
    .await;
    let quick = tokio::time::timeout(Duration::from_secs(2), counted(&link)).await;
    quick.expect("it does not wait").unwrap();
}
