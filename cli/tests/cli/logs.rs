//! The log in JSON: every line of every role is what its schema says, and tells which run it is of.

use std::process::{Child, Command};
use std::sync::mpsc::sync_channel;
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::bench::{Bench, PATIENCE, Running, call};

const SCHEMA: &str = include_str!("../../../docs/log-line.schema.json");

/// Reads lines, each of which has to be what the schema says.
#[track_caller]
fn read<'a>(lines: impl IntoIterator<Item = &'a String>) -> Vec<Value> {
    let schema = serde_json::from_str(SCHEMA).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let read = lines.into_iter().map(|line| {
        let value: Value = serde_json::from_str(line).expect(line);
        if let Err(error) = schema.validate(&value) {
            panic!("{error}: {line}");
        }
        value
    });
    read.collect()
}

fn in_json(bench: &Bench, role: &str) -> Command {
    let mut command = bench.command();
    command.args([
        role,
        "--log-format",
        "json",
        "--log",
        "info,tidemill::run=debug",
    ]);
    command
}

/// A worker and a producer, through successes, failures, panics and a schedule.
#[test]
fn every_line_of_a_worker_and_a_producer_is_what_the_schema_says() {
    let bench = Bench::new();
    bench.file(
        "jobs.toml",
        "[[schedule]]\nid = \"tick\"\nevery = \"1s\"\nkind = \"echo\"\n",
    );
    let mut producer = in_json(&bench, "producer");
    let mut producer =
        Running::start(producer.args(["--schedules", "jobs.toml", "--horizon", "1s"]));
    producer.line_with("leads", PATIENCE);
    let good = bench.enqueue(&["echo"]);
    let bad = bench.enqueue(&["fail", "--max-attempts", "1"]);
    let panics = bench.enqueue(&[
        "fail",
        "--max-attempts",
        "1",
        "--payload",
        r#"{"panic":true}"#,
    ]);
    let unknown = bench.enqueue(&["nobody-knows"]);
    let mut worker = Running::start(&mut in_json(&bench, "worker"));
    for id in [&good, &bad, &panics, &unknown] {
        worker.line_with(id, PATIENCE);
    }
    // One from the schedule, from its beginning to its end.
    worker.line_with("\"schedule_id\":\"tick\"", PATIENCE);
    let (_, lines) = worker.stop();
    let lines = read(&lines);
    let about = |id: &str, status: &str| -> Value {
        let found = lines
            .iter()
            .find(|line| line["task_id"] == id && line["status"] == status);
        found
            .unwrap_or_else(|| panic!("no {status} of {id} in {lines:#?}"))
            .clone()
    };
    assert_eq!(about(&good, "started")["kind"], "echo");
    for (id, status) in [(&good, "completed"), (&bad, "dead"), (&panics, "dead")] {
        let line = about(id, status);
        assert!(
            line["executed_at"].is_string() && line["duration_ms"].is_u64(),
            "{line}"
        );
    }
    // A panic is told by the hook, within the run.
    let panicked = lines.iter().find(|line| {
        line["message"]
            .as_str()
            .is_some_and(|text| text.starts_with("panicked:"))
    });
    assert_eq!(panicked.unwrap()["task_id"], *panics);
    assert_eq!(panicked.unwrap()["level"], "ERROR");
    let fired = lines.iter().find(|line| line["schedule_id"] == "tick");
    assert!(fired.unwrap()["scheduled_at"].is_string());
    let (_, lines) = producer.stop();
    assert!(!read(&lines).is_empty());
}

#[test]
fn every_line_of_dev_and_control_is_what_the_schema_says() {
    let bench = Bench::new();
    let mut control = in_json(&bench, "control");
    let mut control = Running::start(control.args(["--listen", "127.0.0.1:0"]));
    control.line_with("the control API listens", PATIENCE);
    let (_, lines) = control.stop();
    assert!(!read(&lines).is_empty());

    let mut dev = Running::start(&mut in_json(&bench, "dev"));
    dev.line_with("\"schedule_id\":\"clock\"", PATIENCE);
    let (_, lines) = dev.stop();
    // Standard output is for people.
    let log = lines.iter().filter(|line| line.starts_with('{'));
    assert!(!read(log).is_empty());
}

/// A role that cannot start says so in JSON too, and a secret in what it was told stays one.
#[test]
fn a_role_that_fails_says_so_in_its_log_without_the_password() {
    let bench = Bench::new();
    let mut worker = bench.bare();
    worker.args(["worker", "--log-format", "json", "--metrics", "off"]);
    worker.args([
        "--broker",
        "redis://ada:hunter2@127.0.0.1:1/0?nonsense=hunter2",
    ]);
    let answer = call(&mut worker, b"");
    assert_eq!(answer.status, 2, "{answer:?}");
    let lines: Vec<_> = answer.stderr.lines().map(str::to_owned).collect();
    assert_eq!(read(&lines).last().unwrap()["level"], "ERROR");
    assert!(!answer.stderr.contains("hunter2"), "{answer:?}");
}

/// The trace of the task is on the lines of its run also where nobody records spans.
#[test]
fn the_lines_of_a_run_name_the_trace_that_its_task_came_with() {
    let bench = Bench::new();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let header = format!("traceparent=00-{trace}-b7ad6b7169203331-01");
    let id = bench.enqueue(&["echo", "--header", &header]);
    let mut worker = bench.worker();
    let line = worker.line_with(&id, PATIENCE);
    let line = &read([&line])[0];
    assert_eq!(line["trace_id"], trace);
    assert_eq!(line["span_id"], "b7ad6b7169203331");
    worker.stop();
}

/// A worker with so much log that any pipe is full soon, and what becomes of its end of that pipe.
#[track_caller]
fn work_with(log: impl FnOnce(&mut Child)) {
    let bench = Bench::new();
    let mut worker = bench.command();
    worker.args(["worker", "--log-format", "json", "--log", "trace"]);
    let mut worker = worker.spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(worker.id()).unwrap());
    log(&mut worker);
    for _ in 0..20 {
        let id = bench.enqueue(&["echo", "--retention", "1h"]);
        assert_eq!(bench.ended(&id)["state"], "completed");
    }
    kill(pid, Signal::SIGTERM).unwrap();
    let (sender, ended) = sync_channel(1);
    thread::spawn(move || sender.send(worker.wait()).ok());
    let Ok(status) = ended.recv_timeout(PATIENCE) else {
        kill(pid, Signal::SIGKILL).ok();
        panic!("it does not end");
    };
    assert!(status.unwrap().success());
}

/// F57: the pipe is full, and stays so.
#[test]
fn a_log_that_nobody_reads_holds_no_work_up() {
    work_with(|_| {});
}

/// F57: writing to the pipe is an error.
#[test]
fn a_log_that_nobody_can_read_holds_no_work_up() {
    work_with(|worker| drop(worker.stderr.take()));
}
