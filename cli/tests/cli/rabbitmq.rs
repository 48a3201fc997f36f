//! What is about RabbitMQ: its ledger, its absence and its secrets, and a task on its way through it.

use std::process::Command;
use std::time::Instant;

use crate::bench::{Bench, PATIENCE, Running, call};

/// The program on RabbitMQ, in a namespace of its own, with its ledger in a file.
fn command(bench: &Bench) -> Command {
    let url = std::env::var_os("TIDEMILL_TEST_RABBITMQ");
    let url = url.expect("`cargo xtask test` sets TIDEMILL_TEST_RABBITMQ");
    let folder = bench.path("");
    let name = folder.file_name().unwrap().to_string_lossy();
    let mut command = bench.bare();
    command
        .env("TIDEMILL_BROKER", url)
        .env("TIDEMILL_LEDGER", "sqlite:ledger.db?synchronous=off")
        .env("TIDEMILL_NAMESPACE", name.trim_start_matches('.'));
    command
}

#[test]
fn without_a_ledger_it_is_a_wrong_call_and_no_password_is_told() {
    let bench = Bench::new();
    for (url, reason) in [
        ("amqp://:s3cret@localhost", "name a ledger beside it"),
        ("amqp://u:s3cret@localhost?time=3s", "time"),
        ("amqp://u:s3cret@localhost:99999", "a port is not a number"),
    ] {
        let mut command = bench.bare();
        command.args(["task", "list", "--broker", url]);
        let answer = call(&mut command, b"").refused(2, reason);
        assert!(!answer.stderr.contains("s3cret"), "{answer:?}");
    }
}

#[test]
fn a_server_that_is_not_there_or_refuses_is_told_without_its_password() {
    let bench = Bench::new();
    let url = command(&bench);
    let node = url.get_envs().find(|(name, _)| *name == "TIDEMILL_BROKER");
    let node = node.unwrap().1.unwrap().to_string_lossy().into_owned();
    let node = node.rsplit_once('@').unwrap().1.to_owned();
    for (url, status, reason) in [
        (
            "amqp://ada:s3cret@127.0.0.1:1?timeout=300ms".to_owned(),
            1,
            "127.0.0.1:1",
        ),
        (
            format!("amqp://ada:s3cret@{node}"),
            2,
            "refuses the user or the password",
        ),
        (
            format!("amqp://guest:guest@{node}/s3cret-vhost"),
            2,
            "no vhost",
        ),
    ] {
        let mut command = command(&bench);
        command.env("TIDEMILL_BROKER", url);
        let answer = call(command.args(["task", "list"]), b"").refused(status, reason);
        assert!(!answer.stderr.contains("ada:s3cret"), "{answer:?}");
        assert!(!answer.stderr.contains("guest:guest"), "{answer:?}");
    }
}

#[test]
fn a_task_travels_through_rabbitmq_and_its_failure_is_a_dead_letter_like_any_other() {
    let bench = Bench::new();
    let say = |words: &str| call(command(&bench).args(words.split(' ')), b"");
    let good = say("enqueue echo").good().trim().to_owned();
    let bad = r#"enqueue fail --max-attempts 1 --payload {"message":"no_net"}"#;
    let bad = say(bad).good().trim().to_owned();
    let stats = say("queue list -o json").json();
    assert_eq!(
        (&stats[0]["queue"], &stats[0]["pending"]),
        (&"default".into(), &2.into())
    );
    say(&format!("task get {good}")).refused(1, "");
    let worker = Running::start(command(&bench).args(["worker", "--log-format", "json"]));
    #[expect(clippy::disallowed_methods, reason = "a deadline for other processes")]
    let start = Instant::now();
    let letters = loop {
        let letters = say("dead list -o json").json();
        if !letters.is_empty() || start.elapsed() > PATIENCE {
            break letters;
        }
    };
    assert_eq!(letters[0]["id"], bad.as_str());
    assert_eq!(letters[0]["reason"], "attempts_exhausted");
    say(&format!("dead replay {bad}")).good();
    worker.stop();
    let stats = say("queue list -o json").json();
    assert_eq!(stats[0]["pending"], 0, "{good} was run");
}
