//! Sentinels, and a master that changes.

use redis::Value;
use tidemill_shared::ErrorKind;

use super::kit::{counted, eventually, open, refused};
use super::server::Server;

struct Set {
    master: Server,
    replica: Server,
    sentinels: Vec<Server>,
}

impl Set {
    /// A master, a replica, and three Sentinels that call them `main`.
    async fn start() -> Self {
        let master = Server::start(&["--repl-diskless-sync-delay", "0"]).await;
        let port = master.port.to_string();
        let replica = Server::start(&["--replicaof", "127.0.0.1", &port]).await;
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            let sentinel = Server::start(&["--sentinel"]).await;
            for words in [
                vec!["SENTINEL", "MONITOR", "main", "127.0.0.1", &port, "2"],
                vec!["SENTINEL", "SET", "main", "down-after-milliseconds", "500"],
                vec!["SENTINEL", "SET", "main", "failover-timeout", "3000"],
            ] {
                sentinel.run::<()>(&words).unwrap();
            }
            sentinels.push(sentinel);
        }
        let set = Self {
            master,
            replica,
            sentinels,
        };
        eventually("the Sentinels know each other and the replica", || {
            set.sentinels.iter().all(|sentinel| {
                let of = |kind| {
                    let answer = sentinel.run::<Vec<Value>>(&["SENTINEL", kind, "main"]);
                    answer.map_or(0, |known| known.len())
                };
                of("SENTINELS") == 2 && of("REPLICAS") == 1
            })
        })
        .await;
        set
    }

    fn url(&self) -> String {
        let hosts: Vec<_> = self
            .sentinels
            .iter()
            .map(|s| format!("127.0.0.1:{}", s.port))
            .collect();
        format!("redis+sentinel://{}/main", hosts.join(","))
    }
}

#[tokio::test]
async fn a_master_that_was_killed_is_followed_to_its_replica() {
    let mut set = Set::start().await;
    let link = open(&format!("{}?timeout=30s", set.url())).await.unwrap();
    assert_eq!(counted(&link).await.unwrap(), Value::Int(1));
    set.sentinels[0].kill();
    set.sentinels[0].restart().await;
    set.master.kill();
    while counted(&link)
        .await
        .is_err_and(|e| e.kind() == ErrorKind::Timeout)
    {}
    counted(&link).await.unwrap();
    let role: Vec<Value> = set.replica.run(&["ROLE"]).unwrap();
    assert_eq!(role[0], Value::BulkString(b"master".to_vec()));
}

#[tokio::test]
async fn a_name_that_no_sentinel_knows_and_a_server_that_is_none_are_refused() {
    let sentinel = Server::start(&["--sentinel"]).await;
    let error = refused(&format!(
        "redis+sentinel://127.0.0.1:{}/main",
        sentinel.port
    ))
    .await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.to_string().contains("no master named main"),
        "{error}"
    );
    let error = refused(&sentinel.url()).await;
    assert!(error.to_string().contains("is a Sentinel"), "{error}");
    let server = Server::start(&[]).await;
    let error = refused(&format!("redis+sentinel://127.0.0.1:{}/main", server.port)).await;
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("not a Sentinel"), "{error}");
}
