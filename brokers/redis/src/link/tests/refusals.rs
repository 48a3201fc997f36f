//! What a server refuses, in words.

use redis::Value;
use tidemill_shared::ErrorKind;

use super::kit::{KEY, counted, link_to, open, refused};
use super::server::Server;

#[tokio::test]
async fn a_wrong_password_is_refused_at_once_and_not_repeated() {
    let server = Server::start(&["--requirepass", "s3cret"]).await;
    let port = server.port;
    for (credentials, part) in [
        ("", "wants a password"),
        (":hunter2@", "refuses the user or the password"),
        ("hunter2:hunter2@", "refuses the user or the password"),
    ] {
        let error = refused(&format!("redis://{credentials}127.0.0.1:{port}")).await;
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(part), "{error}");
    }
    open(&format!("redis://:s3cret@127.0.0.1:{port}"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_password_that_nobody_asked_for_is_refused() {
    let server = Server::start(&[]).await;
    let error = refused(&format!("redis://:hunter2@127.0.0.1:{}", server.port)).await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("has no password"), "{error}");
}

#[tokio::test]
async fn a_database_is_chosen_and_one_that_is_not_there_refused() {
    let server = Server::start(&["--databases", "4"]).await;
    let link = open(&format!("{}/3", server.url())).await.unwrap();
    counted(&link).await.unwrap();
    assert!(
        server
            .run::<Option<String>>(&["GET", KEY])
            .unwrap()
            .is_none()
    );
    let error = refused(&format!("{}/4", server.url())).await;
    assert!(error.to_string().contains("no database 4"), "{error}");
}

#[tokio::test]
async fn a_replica_is_refused_with_the_remedy() {
    let master = Server::start(&[]).await;
    let replica = Server::start(&["--replicaof", "127.0.0.1", &master.port.to_string()]).await;
    let error = refused(&replica.url()).await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("redis+sentinel://"), "{error}");
}

#[tokio::test]
async fn a_master_that_was_demoted_is_waited_for() {
    let other = Server::start(&[]).await;
    let server = Server::start(&[]).await;
    let link = open(&format!("{}?timeout=500ms", server.url()))
        .await
        .unwrap();
    counted(&link).await.unwrap();
    let (host, port) = ("127.0.0.1", other.port.to_string());
    server.run::<()>(&["REPLICAOF", host, &port]).unwrap();
    let error = counted(&link).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("is a replica"), "{error}");
    server.run::<()>(&["REPLICAOF", "NO", "ONE"]).unwrap();
    while counted(&link).await.is_err() {}
}

#[tokio::test]
async fn a_full_server_refuses_writes_and_serves_reads() {
    let server = Server::start(&[]).await;
    let link = link_to(&server).await;
    server
        .run::<()>(&["CONFIG", "SET", "maxmemory", "1"])
        .unwrap();
    let error = counted(&link).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("maxmemory"), "{error}");
    link.server_time().await.unwrap();
    server
        .run::<()>(&["CONFIG", "SET", "maxmemory", "0"])
        .unwrap();
    assert_eq!(counted(&link).await.unwrap(), Value::Int(1));
}

#[tokio::test]
async fn too_few_replicas_are_waited_for_and_then_named() {
    let server = Server::start(&["--min-replicas-to-write", "1"]).await;
    let link = open(&format!("{}?timeout=300ms", server.url()))
        .await
        .unwrap();
    let error = counted(&link).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("NOREPLICAS"), "{error}");
}

#[tokio::test]
async fn a_server_that_takes_no_more_clients_says_so() {
    let server = Server::start(&[]).await;
    let link = link_to(&server).await;
    let mut limit = redis::cmd("CONFIG");
    limit.arg("SET").arg("maxclients").arg(1);
    link.command("limit", &limit).await.unwrap();
    // The server closes such a connection when it has said why. Whoever writes to it at that moment finds it
    // closed, and not always the words, so that the last attempt of a call may have heard nothing.
    for _ in 0..100 {
        let error = refused(&format!("{}?timeout=300ms", server.url())).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        if error.to_string().contains("max number of clients") {
            return;
        }
    }
    panic!("a hundred calls were refused without a reason");
}
