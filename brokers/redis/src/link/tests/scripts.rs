//! Scripts: loading, errors, concurrency.

use std::sync::Arc;

use redis::Value;
use tidemill_shared::ErrorKind;
use tokio::task::JoinSet;

use super::super::Script;
use super::kit::{KEY, count, counted, link_to};
use super::server::Server;

#[tokio::test]
async fn a_script_that_the_server_has_forgotten_is_loaded_again() {
    let server = Server::start(&[]).await;
    let link = link_to(&server).await;
    assert_eq!(counted(&link).await.unwrap(), Value::Int(1));
    server.run::<()>(&["SCRIPT", "FLUSH"]).unwrap();
    assert_eq!(counted(&link).await.unwrap(), Value::Int(2));
}

#[tokio::test]
async fn a_script_that_does_not_compile_is_an_internal_fault() {
    let server = Server::start(&[]).await;
    let link = link_to(&server).await;
    let broken = Script::new("return returned");
    let broken_call = link.call("break", &broken, &[], &["payload"]).await;
    let error = broken_call.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
    let nonsense = Script::new("this is not Lua");
    let error = link
        .call("break", &nonsense, &[], &["payload"])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
    assert!(!error.to_string().contains("payload"), "{error}");
}

#[tokio::test]
async fn a_key_of_a_wrong_type_is_corrupt() {
    let server = Server::start(&[]).await;
    let link = link_to(&server).await;
    server.run::<()>(&["RPUSH", KEY, "payload"]).unwrap();
    let error = counted(&link).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(!error.to_string().contains("payload"), "{error}");
}

#[tokio::test]
async fn callers_share_one_connection_and_wait_for_none_of_the_others() {
    let server = Server::start(&[]).await;
    let link = link_to(&server).await;
    let script = Arc::new(count());
    let mut calls = JoinSet::new();
    for _ in 0..200 {
        let (link, script) = (link.clone(), script.clone());
        calls.spawn(async move { link.call("count", &script, &[KEY.as_bytes()], &["1"]).await });
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap().unwrap();
    }
    assert_eq!(server.run::<String>(&["GET", KEY]).unwrap(), "200");
    let clients: String = server.run(&["CLIENT", "LIST"]).unwrap();
    assert_eq!(clients.matches("name=tidemill").count(), 1, "{clients}");
}

#[tokio::test]
async fn a_blocking_read_is_ended_from_the_shared_connection() {
    let server = Server::start(&[]).await;
    let link = link_to(&server).await;
    let mut dedicated = link.dedicated("wait").await.unwrap();
    let id = dedicated.id();
    let mut waiting = JoinSet::new();
    waiting.spawn(async move {
        let mut pop = redis::cmd("BLPOP");
        pop.arg("tidemill:{test}:none").arg(0);
        dedicated.command("wait", &pop).await
    });
    let mut unblock = redis::cmd("CLIENT");
    unblock.arg("UNBLOCK").arg(id);
    while link.command("wake", &unblock).await.unwrap() == Value::Int(0) {
        tokio::task::yield_now().await;
    }
    let answer = waiting.join_next().await.unwrap().unwrap();
    assert_eq!(answer.unwrap(), Value::Nil);
}
