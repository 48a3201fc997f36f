//! What is about Redis itself: how it is named, and how its absence and its secrets are told.

use crate::bench::{Bench, call};

/// Nobody listens on this port; a call gives up soon.
const NOWHERE: &str = "redis://ada:s3cret@127.0.0.1:1/0?timeout=300ms";

#[test]
fn a_server_that_is_not_there_is_told_with_its_address_and_without_its_password() {
    let bench = Bench::new();
    for words in ["task list", "enqueue echo", "check", "schedule list", "dev"] {
        let mut command = bench.bare();
        command.env("TIDEMILL_BROKER", NOWHERE);
        let answer = call(command.args(words.split(' ')), b"")
            .refused(1, "the broker cannot be opened")
            .refused(1, "127.0.0.1:1")
            .refused(1, "hint: check that the server runs");
        assert!(!answer.stderr.contains("s3cret"), "{answer:?}");
        assert!(!answer.stderr.contains("may succeed later"), "{answer:?}");
    }
}

#[test]
fn a_wrong_url_is_a_wrong_call_and_no_password_is_told() {
    let bench = Bench::new();
    for (url, reason) in [
        ("redis://:s3cret@localhost/mail", "database"),
        ("redis://:s3cret@localhost?time=3s", "time"),
        ("redis+sentinel://:s3cret@localhost", "master"),
    ] {
        let mut command = bench.bare();
        command.args(["task", "list", "--broker", url]);
        let answer = call(&mut command, b"").refused(2, reason);
        assert!(!answer.stderr.contains("s3cret"), "{answer:?}");
    }
}

#[test]
fn a_server_whose_writes_wait_for_replicas_that_are_not_there_does_not_pass_the_check() {
    let bench = Bench::new();
    let url = std::env::var_os("TIDEMILL_TEST_REDIS");
    let mut url = url.expect("`cargo xtask test` sets TIDEMILL_TEST_REDIS");
    url.push("?durability=wait&wait_timeout=50ms");
    let mut command = bench.bare();
    command.env("TIDEMILL_BROKER", url);
    let answer = call(command.arg("check"), b"").refused(1, "the broker takes no writes");
    assert!(
        answer
            .stdout
            .contains("asks for 1 replicas, but redis has 0"),
        "{answer:?}"
    );
}

/// The servers behind the Sentinels of the tests keep nothing on a disk.
#[test]
fn how_the_server_is_set_up_is_told_by_check_and_by_the_roles_alone() {
    let bench = Bench::new();
    let url = std::env::var_os("TIDEMILL_TEST_REDIS_SENTINEL");
    let url = url.expect("`cargo xtask test` sets TIDEMILL_TEST_REDIS_SENTINEL");
    let say = |words: &str| {
        let mut command = bench.bare();
        command.env("TIDEMILL_BROKER", &url);
        call(command.args(words.split(' ')), b"")
    };
    assert_eq!(say("enqueue echo").refused(0, "").stderr, "");
    assert_eq!(say("task list").refused(0, "").stderr, "");
    say("check").refused(0, "persistence is off");
    say("task list --log warn").refused(0, "persistence is off");
}
