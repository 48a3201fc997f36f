//! Servers that are absent, killed, restarted, paused.

use std::time::Duration;

use nix::sys::signal::Signal;
use redis::Value;
use tidemill_shared::ErrorKind;
use tokio::task::JoinSet;

use super::super::Script;
use super::kit::{KEY, counted, eventually, link_to, open, refused};
use super::server::{Server, free_port, run_at};

#[tokio::test]
async fn an_absent_server_is_named_once_the_timeout_is_over() {
    let port = free_port();
    let error = refused(&format!("redis://u:hunter2@127.0.0.1:{port}?timeout=300ms")).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let expected = format!("redis at 127.0.0.1:{port} cannot be reached: ");
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[tokio::test]
async fn a_server_that_starts_late_is_waited_for() {
    let port = free_port();
    let mut opening = JoinSet::new();
    opening.spawn(async move { open(&format!("redis://127.0.0.1:{port}")).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let _server = Server::start_at(port, &[]).await;
    opening.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_that_was_cut_while_idle_costs_no_call() {
    let server = Server::start(&[]).await;
    let link = link_to(&server).await;
    for round in 1..=5 {
        let mut changes = link.changes();
        server
            .run::<()>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
            .unwrap();
        changes.next().await;
        assert_eq!(counted(&link).await.unwrap(), Value::Int(round));
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_under_a_call_leaves_its_outcome_unknown() {
    let server = Server::start(&[]).await;
    let link = link_to(&server).await;
    let mut calls = JoinSet::new();
    let caller = link.clone();
    calls.spawn(async move {
        let mut pop = redis::cmd("BLPOP");
        pop.arg("tidemill:{test}:none").arg(0);
        caller.command("pop", &pop).await
    });
    eventually("the call is under way", || {
        let clients: String = server.run(&["CLIENT", "LIST"]).unwrap();
        clients.contains("cmd=blpop")
    })
    .await;
    server
        .run::<()>(&["CLIENT", "KILL", "TYPE", "normal"])
        .unwrap();
    let error = calls.join_next().await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("outcome is unknown"), "{error}");
    assert_eq!(counted(&link).await.unwrap(), Value::Int(1));
}

#[tokio::test]
async fn a_server_that_was_killed_and_restarted_is_found_again() {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let link = link_to(&server).await;
    counted(&link).await.unwrap();
    let mut changes = link.changes();
    server.kill();
    changes.next().await;
    let mut calls = JoinSet::new();
    let caller = link.clone();
    calls.spawn(async move { counted(&caller).await });
    server.restart().await;
    let answer = calls.join_next().await.unwrap().unwrap();
    assert_eq!(answer.unwrap(), Value::Int(2));
}

#[tokio::test]
async fn a_call_outlasts_a_pause_of_the_server() {
    let server = Server::start(&[]).await;
    let link = link_to(&server).await;
    server.signal(Signal::SIGSTOP);
    let mut calls = JoinSet::new();
    let caller = link.clone();
    calls.spawn(async move { counted(&caller).await });
    tokio::time::sleep(Duration::from_secs(2)).await;
    server.signal(Signal::SIGCONT);
    let answer = calls.join_next().await.unwrap().unwrap();
    assert_eq!(answer.unwrap(), Value::Int(1));
}

#[tokio::test]
async fn a_server_that_hangs_for_longer_than_the_timeout_is_left_and_found_again() {
    let server = Server::start(&[]).await;
    let link = open(&format!(
        "{}?timeout=300ms&connect_timeout=200ms",
        server.url()
    ))
    .await
    .unwrap();
    counted(&link).await.unwrap();
    server.signal(Signal::SIGSTOP);
    let unknown = counted(&link).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Timeout, "{unknown}");
    let undelivered = counted(&link).await.unwrap_err();
    assert_eq!(undelivered.kind(), ErrorKind::Unavailable, "{undelivered}");
    server.signal(Signal::SIGCONT);
    // The first of the two was run after all, the second was not.
    while counted(&link).await.is_err() {}
    assert_eq!(server.run::<String>(&["GET", KEY]).unwrap(), "3");
}

#[tokio::test]
async fn a_call_waits_while_a_script_keeps_the_server_busy() {
    let server = Server::start(&["--lua-time-limit", "50"]).await;
    let link = link_to(&server).await;
    let other = link_to(&server).await;
    let mut calls = JoinSet::new();
    calls.spawn(async move {
        let endless = Script::new("while true do end");
        let args: [&str; 0] = [];
        other.call("loop", &endless, &[], &args).await
    });
    eventually("the server is busy", || {
        let answer = server.run::<String>(&["PING"]);
        answer.is_err_and(|error| error.code() == Some("BUSY"))
    })
    .await;
    let port = server.port;
    let mut killer = JoinSet::new();
    killer.spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        run_at::<()>(port, &["SCRIPT", "KILL"]).unwrap();
    });
    assert_eq!(counted(&link).await.unwrap(), Value::Int(1));
    let killed = calls.join_next().await.unwrap().unwrap().unwrap_err();
    assert_eq!(killed.kind(), ErrorKind::Internal, "{killed}");
}

#[tokio::test]
async fn a_link_that_was_shut_refuses_calls_and_keeps_no_connection() {
    let server = Server::start(&[]).await;
    let link = link_to(&server).await;
    counted(&link).await.unwrap();
    let mut changes = link.changes();
    link.shut();
    changes.next().await;
    let error = counted(&link).await.unwrap_err();
    assert!(
        error.to_string().contains("closed by this program"),
        "{error}"
    );
    eventually("no connection is left", || {
        let clients: String = server.run(&["CLIENT", "LIST"]).unwrap();
        !clients.contains("name=tidemill")
    })
    .await;
}

#[tokio::test]
async fn a_blocking_read_ends_with_the_shared_connection() {
    let server = Server::start(&[]).await;
    let link = link_to(&server).await;
    let mut dedicated = link.dedicated("wait").await.unwrap();
    let mut reads = JoinSet::new();
    reads.spawn(async move {
        let mut pop = redis::cmd("BLPOP");
        pop.arg("tidemill:{test}:none").arg(0);
        dedicated.command("wait", &pop).await
    });
    eventually("the read is under way", || {
        let clients: String = server.run(&["CLIENT", "LIST"]).unwrap();
        clients.contains("cmd=blpop")
    })
    .await;
    let shared = {
        let mut id = redis::cmd("CLIENT");
        id.arg("ID");
        match link.command("ask", &id).await.unwrap() {
            Value::Int(id) => id.to_string(),
            other => panic!("{other:?}"),
        }
    };
    server
        .run::<()>(&["CLIENT", "KILL", "ID", &shared])
        .unwrap();
    let error = reads.join_next().await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    link.dedicated("wait").await.unwrap();
}

#[tokio::test]
async fn connections_that_are_cut_all_the_time_leak_nothing_and_lose_no_call() {
    let server = Server::start(&[]).await;
    let link = link_to(&server).await;
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let link = link.clone();
        callers.spawn(async move {
            let (mut done, mut unknown) = (0_u32, 0_u32);
            while done < 500 {
                match counted(&link).await {
                    Ok(_) => done += 1,
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
                        unknown += 1;
                    }
                }
            }
            (done, unknown)
        });
    }
    let (mut done, mut unknown) = (0, 0);
    let mut cuts = tokio::time::interval(Duration::from_millis(50));
    while !callers.is_empty() {
        tokio::select! {
            Some(counts) = callers.join_next() => {
                let (some, others) = counts.unwrap();
                done += some;
                unknown += others;
            }
            _ = cuts.tick() => {
                server.run::<()>(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
            }
        }
    }
    let count: u32 = server.run(&["GET", KEY]).unwrap();
    assert!(
        (done..=done + unknown).contains(&count),
        "{done}, {unknown}, {count}"
    );
    // The last cut may be one that no call has met yet.
    if let Err(error) = counted(&link).await {
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        counted(&link).await.unwrap();
    }
    let clients: String = server.run(&["CLIENT", "LIST"]).unwrap();
    assert_eq!(clients.matches("name=tidemill").count(), 1, "{clients}");
}
