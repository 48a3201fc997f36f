//! `tidemill dev`.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::bench::{Bench, PATIENCE, Running, call};

/// What the first minute with Tidemill has to show.
const SOON: Duration = Duration::from_secs(15);

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

#[test]
fn the_start_says_what_to_type_in_another_terminal() {
    let bench = Bench::new();
    bench.file("my jobs.toml", "broker = \"sqlite:x.db\"\n[[schedule]]\nid = \"t\"\nevery = \"1s\"\nkind = \"echo\"\nqueue = \"q\"\n");
    let mut dev = Running::start(bench.bare().args(["dev", "--config", "my jobs.toml"]));
    let list = dev.line_with("task list", PATIENCE);
    assert!(
        list.contains("--config 'my jobs.toml' --broker sqlite:x.db task list"),
        "{list}"
    );
    dev.line_with("completed t", SOON);
    let (status, lines) = dev.stop();
    assert_eq!(status, 0, "{lines:#?}");
    // What is printed works as it is typed.
    let mut shell = std::process::Command::new("sh");
    shell
        .current_dir(bench.path(""))
        .args(["-c", &format!("{list} -o json")]);
    shell
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let answer = call(&mut shell, b"").good();
    assert!(answer.lines().count() > 0);
}

#[test]
fn the_sample_is_written_when_asked_and_never_over_something() {
    let bench = Bench::new();
    bench.say("dev --write-sample tidemill.toml").good();
    bench
        .say("dev --write-sample tidemill.toml")
        .refused(1, "cannot be written");
    let plan = bench.say("schedule plan tidemill.toml").good();
    assert!(
        plan.ends_with("4 to add, 0 to change, 0 to remove, 0 unchanged\n"),
        "{plan}"
    );
}

#[test]
fn the_sample_stops_firing_once_there_is_a_configuration() {
    let bench = Bench::new();
    let mut dev = Running::start(bench.bare().arg("dev"));
    dev.line_with("Ctrl-C", PATIENCE);
    dev.stop();
    let schedules = || call(bench.bare().args(["schedule", "list", "-o", "json"]), b"").json();
    assert_eq!(schedules().len(), 4);
    bench.file(
        "tidemill.toml",
        "[[schedule]]\nid = \"mine\"\nevery = \"1h\"\nkind = \"echo\"\n",
    );
    let mut dev = Running::start(bench.bare().arg("dev"));
    dev.line_with("Ctrl-C", PATIENCE);
    dev.stop();
    let left = schedules();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["id"], "mine");
}

#[test]
fn a_failure_is_told_with_its_reason() {
    let bench = Bench::new();
    bench.file("tidemill.toml", "");
    let mut dev = Running::start(bench.bare().arg("dev"));
    dev.line_with("Ctrl-C", PATIENCE);
    let args = [
        "enqueue",
        "fail",
        "--payload",
        r#"{"message":"no luck","reject":true}"#,
    ];
    call(bench.bare().args(args), b"").good();
    let line = dev.line_with("dead", PATIENCE);
    assert!(
        line.contains("fail") && line.ends_with("rejected: no luck"),
        "{line}"
    );
    dev.stop();
}

/// S20.
#[test]
fn it_ends_when_nobody_reads_any_more() {
    let bench = Bench::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let answer = call(bench.bare().arg("dev").stdout(writer), b"");
    assert_eq!((answer.status, answer.stderr.as_str()), (0, ""));

    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = bench.bare();
    command.arg("dev").stdout(writer);
    let watched = std::thread::spawn(move || call(&mut command, b""));
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(reader));
    lines
        .find(|line| line.as_ref().unwrap().contains("completed clock"))
        .unwrap()
        .unwrap();
    drop(lines);
    let answer = watched.join().unwrap();
    assert_eq!((answer.status, answer.stderr.as_str()), (0, ""));
}
