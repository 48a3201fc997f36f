//! What is about the file itself: how it is found, named, made and refused. These tests stand in a
//! module of this name so that `cargo xtask test` can leave them out where the store is another one.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::bench::{Bench, PATIENCE, Running, call};

/// What the first minute with Tidemill has to show.
const SOON: Duration = Duration::from_secs(15);

#[test]
fn a_mistyped_store_is_not_made_by_looking_at_it() {
    let bench = Bench::new();
    for words in [
        "task list",
        "queue list",
        "dead list",
        "schedule list",
        "workers",
        "check",
    ] {
        bench.say(words).refused(1, "test.db does not exist");
        assert!(!bench.path("test.db").exists());
    }
}

#[test]
fn a_file_that_is_no_store_is_told_once_with_a_remedy() {
    let bench = Bench::new();
    bench.file("test.db", "x".repeat(20_000));
    let answer = bench.say("task list").refused(
        1,
        "hint: restore the store from a backup, or choose another one",
    );
    assert_eq!(
        answer.stderr.matches("file is not a database").count(),
        1,
        "{answer:?}"
    );
    assert!(!answer.stderr.contains("may succeed later"), "{answer:?}");
}

#[test]
fn a_store_that_may_not_be_written_is_told_with_a_remedy() {
    let bench = Bench::new();
    bench.enqueue(&["echo"]);
    let path = bench.path("test.db");
    let mut permissions = std::fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&path, permissions).unwrap();
    bench
        .say("task list")
        .refused(2, "is read-only")
        .refused(2, "hint: make the file and its folder writable");
}

#[test]
fn a_wrong_setting_of_the_url_wins_over_a_missing_file() {
    let bench = Bench::new();
    bench
        .say("task list --broker sqlite:x.db?foo=bar")
        .refused(2, "has no setting \"foo\"");
}

#[test]
fn without_a_configuration_a_real_command_has_run_within_15_seconds_and_another_terminal_sees_it() {
    let bench = Bench::new();
    let mut dev = Running::start(bench.bare().arg("dev"));
    let line = dev.line_with("completed clock", SOON);
    let id = line
        .split_whitespace()
        .find(|word| word.starts_with("clock."))
        .unwrap()
        .to_owned();
    let other = |args: &[&str]| call(bench.bare().args(args), b"").good();
    let list = other(&["task", "list", "-o", "json", "--state", "completed"]);
    let tasks: Vec<Value> = list
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(tasks.iter().any(|task| task["id"] == id.as_str()), "{list}");
    let output = other(&["task", "logs", &id]);
    assert!(
        line.ends_with(output.trim()),
        "{line:?} does not end with {output:?}"
    );
    let echo = other(&["enqueue", "echo"]);
    other(&["task", "logs", "-f", echo.trim()]);
    dev.line_with("completed echo", PATIENCE);
    dev.signal(Signal::SIGINT);
    let (status, lines) = dev.ended();
    assert_eq!(status, 0, "{lines:#?}");
    assert!(
        !lines.concat().contains('\u{1b}'),
        "no colours without a terminal"
    );
}
