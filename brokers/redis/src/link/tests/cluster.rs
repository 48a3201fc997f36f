//! A Cluster, and a slot that moves.

use redis::Value;
use tidemill_shared::ErrorKind;
use tokio::task::JoinSet;

use super::super::{Script, slot};
use super::kit::{KEY, counted, eventually, open, refused};
use super::server::Server;

const ARGUMENTS: [&str; 6] = [
    "--cluster-enabled",
    "yes",
    "--cluster-require-full-coverage",
    "no",
    "--cluster-node-timeout",
    "1000",
];

/// So many nodes that know each other. The first owns all slots, but one for each of the voters that
/// follow it: a replica is promoted by the vote of most masters, and only masters with slots vote.
async fn start<const N: usize>(voters: u16) -> [Server; N] {
    let mut nodes = Vec::new();
    for _ in 0..N {
        nodes.push(Server::start(&ARGUMENTS).await);
    }
    let ours = slot::of(KEY);
    for (voter, node) in (0..=voters).zip(&nodes) {
        let owns = |slot: &u16| match slot.wrapping_sub(ours) {
            distance if (1..=voters).contains(&distance) => distance == voter,
            _ => voter == 0,
        };
        let slots = (0..16_384).filter(owns).map(|slot| slot.to_string());
        let slots: Vec<String> = slots.collect();
        let mut add = vec!["CLUSTER", "ADDSLOTS"];
        add.extend(slots.iter().map(String::as_str));
        node.run::<()>(&add).unwrap();
    }
    for node in &nodes[1..] {
        let port = node.port.to_string();
        nodes[0]
            .run::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port])
            .unwrap();
    }
    eventually("the nodes agree", || {
        let all = format!("cluster_known_nodes:{N}\r");
        nodes.iter().all(|node| {
            let info: String = node.run(&["CLUSTER", "INFO"]).unwrap();
            info.contains("cluster_state:ok") && info.contains(&all)
        })
    })
    .await;
    nodes.try_into().ok().expect("as many as were asked for")
}

fn id(node: &Server) -> String {
    node.run(&["CLUSTER", "MYID"]).unwrap()
}

fn set_slot(on: &Server, what: &[&str]) {
    let slot = slot::of(KEY).to_string();
    let mut words = vec!["CLUSTER", "SETSLOT", &slot];
    words.extend(what);
    on.run::<()>(&words).unwrap();
}

#[tokio::test]
async fn the_owner_is_found_from_any_node_and_followed_when_the_slot_moves() {
    let nodes = start::<2>(0).await;
    let link = open(&format!("redis+cluster://127.0.0.1:{}", nodes[1].port))
        .await
        .unwrap();
    assert_eq!(counted(&link).await.unwrap(), Value::Int(1));
    let (from, to) = (id(&nodes[0]), id(&nodes[1]));
    set_slot(&nodes[1], &["IMPORTING", &from]);
    set_slot(&nodes[0], &["MIGRATING", &to]);
    // The key that always exists, and one that never does: no call is run in between.
    let both = Script::new("return redis.call('INCR', KEYS[1])");
    let mut calls = JoinSet::new();
    let link = std::sync::Arc::new(link);
    let caller = link.clone();
    calls.spawn(async move {
        let keys = [KEY.as_bytes(), b"tidemill:{test}:never"];
        let args: [&str; 0] = [];
        caller.call("count", &both, &keys, &args).await
    });
    eventually("the call was refused during the migration", || {
        let errors: String = nodes[0].run(&["INFO", "errorstats"]).unwrap();
        errors.contains("TRYAGAIN") || errors.contains("ASK")
    })
    .await;
    let port = nodes[1].port.to_string();
    let migrate = ["MIGRATE", "127.0.0.1", &port, KEY, "0", "5000"];
    nodes[0].run::<()>(&migrate).unwrap();
    set_slot(&nodes[1], &["NODE", &to]);
    set_slot(&nodes[0], &["NODE", &to]);
    let answer = calls.join_next().await.unwrap().unwrap();
    assert_eq!(answer.unwrap(), Value::Int(2));
    assert_eq!(counted(&link).await.unwrap(), Value::Int(3));
    assert_eq!(nodes[1].run::<String>(&["GET", KEY]).unwrap(), "3");
}

#[tokio::test]
async fn a_slot_that_nobody_owns_is_waited_for() {
    let nodes = start::<2>(0).await;
    let slot = slot::of(KEY).to_string();
    for node in &nodes {
        node.run::<()>(&["CLUSTER", "DELSLOTS", &slot]).unwrap();
    }
    let url = format!("redis+cluster://127.0.0.1:{}", nodes[0].port);
    let error = refused(&format!("{url}?timeout=300ms")).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("owns slot"), "{error}");
    let mut opening = JoinSet::new();
    opening.spawn(async move { open(&url).await });
    nodes[0].run::<()>(&["CLUSTER", "ADDSLOTS", &slot]).unwrap();
    let link = opening.join_next().await.unwrap().unwrap().unwrap();
    counted(&link).await.unwrap();
}

#[tokio::test]
async fn a_scheme_of_the_wrong_kind_is_refused_with_the_right_one() {
    let nodes = start::<2>(0).await;
    let error = refused(&nodes[0].url()).await;
    assert!(error.to_string().contains("redis+cluster://"), "{error}");
    let server = Server::start(&[]).await;
    let error = refused(&format!("redis+cluster://127.0.0.1:{}", server.port)).await;
    assert!(
        error.to_string().contains("not a node of a Cluster"),
        "{error}"
    );
}

#[tokio::test]
async fn a_master_that_was_killed_is_followed_to_its_replica() {
    let mut nodes = start::<4>(2).await;
    let master = id(&nodes[0]);
    nodes[3]
        .run::<()>(&["CLUSTER", "REPLICATE", &master])
        .unwrap();
    eventually(
        "the replica has the data, and all know it and the voters",
        || {
            let info: String = nodes[3].run(&["INFO", "replication"]).unwrap();
            info.contains("master_link_status:up")
                && nodes.iter().all(|node| {
                    let all: String = node.run(&["CLUSTER", "NODES"]).unwrap();
                    let info: String = node.run(&["CLUSTER", "INFO"]).unwrap();
                    all.contains("slave") && info.contains("cluster_size:3")
                })
        },
    )
    .await;
    let url = format!("redis+cluster://127.0.0.1:{}?timeout=30s", nodes[0].port);
    let link = open(&url).await.unwrap();
    counted(&link).await.unwrap();
    nodes[0].kill();
    while counted(&link)
        .await
        .is_err_and(|e| e.kind() == ErrorKind::Timeout)
    {}
    counted(&link).await.unwrap();
    let role: Vec<Value> = nodes[3].run(&["ROLE"]).unwrap();
    assert_eq!(role[0], Value::BulkString(b"master".to_vec()));
}
