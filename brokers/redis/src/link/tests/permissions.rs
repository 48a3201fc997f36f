//! Users with few rights.

use redis::Value;
use tidemill_shared::ErrorKind;

use super::super::refusal::ACL_RULE;
use super::kit::{KEY, counted, open, refused};
use super::server::Server;
use crate::checks::examine;

async fn server_with(rights: &str) -> (Server, String) {
    let server = Server::start(&[]).await;
    let mut rule = vec!["ACL", "SETUSER", "worker", "on", ">hunter2"];
    rule.extend(rights.split_whitespace());
    server.run::<()>(&rule).unwrap();
    let url = format!("redis://worker:hunter2@127.0.0.1:{}", server.port);
    (server, url)
}

/// What the messages advise, without `ACL SETUSER NAME`.
fn advised() -> &'static str {
    ACL_RULE.strip_prefix("ACL SETUSER NAME ").unwrap()
}

/// Does everything that Tidemill does with a server by itself.
async fn do_all(url: &str) -> tidemill_shared::Result<Vec<String>> {
    let link = open(&format!("{url}/1?durability=wait&wait_timeout=1ms")).await?;
    assert_eq!(counted(&link).await?, Value::Int(1));
    link.server_time().await?;
    let mut dedicated = link.dedicated("wait").await?;
    let mut pop = redis::cmd("BZPOPMIN");
    pop.arg("tidemill:{test}:b").arg(0.01);
    dedicated.command("wait", &pop).await?;
    let mut unblock = redis::cmd("CLIENT");
    unblock.arg("UNBLOCK").arg(dedicated.id());
    link.command("wake", &unblock).await?;
    let args = ["1"];
    let keys = [KEY.as_bytes()];
    let short = link
        .call_durably("count", &super::kit::count(), &keys, &args)
        .await;
    match short {
        // There are no replicas to wait for.
        Err(error) if error.kind() == ErrorKind::Timeout => examine(&link).await,
        Err(error) => Err(error),
        Ok(answer) => panic!("{answer:?}"),
    }
}

/// What a server has refused to whom.
fn refusals(server: &Server) -> usize {
    server.run::<Vec<Value>>(&["ACL", "LOG"]).unwrap().len()
}

#[tokio::test]
async fn the_advised_rights_suffice() {
    let (server, url) = server_with(advised()).await;
    let findings = do_all(&url).await.unwrap();
    assert!(
        !findings.iter().any(|f| f.contains("could not")),
        "{findings:?}"
    );
    assert_eq!(refusals(&server), 0);
}

#[tokio::test]
async fn each_of_the_advised_rights_is_needed() {
    let given = advised().split_whitespace();
    // A Cluster alone is asked for its slots.
    for right in given.filter(|word| word.starts_with('+') && *word != "+cluster|slots") {
        let others = advised().split_whitespace().filter(|word| *word != right);
        let (server, url) = server_with(&others.collect::<Vec<_>>().join(" ")).await;
        do_all(&url).await.ok();
        assert!(refusals(&server) > 0, "{right}");
    }
}

#[tokio::test]
async fn the_advised_rights_give_neither_other_keys_nor_the_server() {
    let (_server, url) = server_with(advised()).await;
    let link = open(&url).await.unwrap();
    for words in [
        ["GET", "other"].as_slice(),
        &["FLUSHALL"],
        &["KEYS", "*"],
        &["CONFIG", "SET", "maxmemory", "1"],
        &["SCRIPT", "FLUSH"],
    ] {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let error = link.command("try", &command).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{words:?}: {error}");
        assert!(error.to_string().contains("ACL SETUSER"), "{error}");
    }
}

#[tokio::test]
async fn a_missing_right_is_named_with_the_rule_that_gives_it() {
    for (rights, part) in [
        ("~tidemill:* +@all -evalsha", "may not run evalsha"),
        ("~tidemill:* +@all -script", "may not run script"),
        ("~tidemill:* +@all -incrby", "may not run"),
        ("~other:* +@all", "may not touch the keys tidemill:*"),
    ] {
        let (_server, url) = server_with(rights).await;
        let link = open(&url).await.unwrap();
        let error = counted(&link).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        let message = error.to_string();
        assert!(
            message.contains(part) && message.contains(ACL_RULE),
            "{message}"
        );
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[tokio::test]
async fn a_user_who_may_do_nothing_is_refused_in_words() {
    let (_server, url) = server_with("+ping").await;
    let error = refused(&format!("{url}/1")).await;
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("select"), "{error}");
}

#[tokio::test]
async fn what_may_not_be_looked_at_is_said() {
    let (_server, url) = server_with("~tidemill:* +@all -config -info").await;
    let link = open(&url).await.unwrap();
    let findings = examine(&link).await.unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].contains("could not be checked"), "{findings:?}");
}

#[tokio::test]
async fn the_checks_name_eviction_and_missing_persistence() {
    let server = Server::start(&[]).await;
    let link = super::kit::link_to(&server).await;
    let findings = examine(&link).await.unwrap();
    assert!(findings[0].contains("every task"), "{findings:?}");
    server
        .run::<()>(&["CONFIG", "SET", "maxmemory", "100mb"])
        .unwrap();
    server
        .run::<()>(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"])
        .unwrap();
    let refused = examine(&link).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.to_string().contains("noeviction"), "{refused}");
}

#[tokio::test]
async fn a_right_that_is_missing_is_named_at_the_start() {
    for (right, word) in [
        ("-multi", "multi"),
        ("-exec", "exec"),
        ("-blpop", "blpop"),
        ("-wait", "wait"),
        ("-client|unblock", "client|unblock"),
        ("-@write", "del"),
        // Those that scripts alone run.
        ("-hset", "may not run hset,"),
        ("-hmget", "may not run hmget,"),
        ("-zadd -unlink", "may not run unlink, zadd,"),
        ("-rpush", "may not run rpush,"),
        ("-sadd", "may not run sadd,"),
        ("-hdel", "may not run hdel,"),
    ] {
        let (server, url) = server_with(&format!("{} {right}", advised())).await;
        let link = open(&url).await.unwrap();
        let error = examine(&link).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{right}: {error}");
        let text = error.to_string();
        assert!(
            text.contains(word) && text.contains(ACL_RULE),
            "{right}: {text}"
        );
        let keys: i64 = server.run(&["DBSIZE"]).unwrap();
        assert_eq!(keys, 0, "{right}");
    }
}
