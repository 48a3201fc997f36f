//! Replays of many dead letters by real processes.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::bench::{Bench, PATIENCE, Running};
use crate::control::Service;

/// A store with so many dead letters, and a service on it.
fn letters(count: usize) -> (Bench, Service) {
    let bench = Bench::new();
    let service = Service::start(&bench, &[]);
    let tasks: Vec<_> = (0..count)
        .map(|n| json!({ "kind": "echo", "id": format!("t{n}"), "payload": { "n": n } }))
        .collect();
    for tasks in tasks.chunks(1_000) {
        let body = json!({ "tasks": tasks }).to_string();
        assert_eq!(service.ask("POST /api/v1/tasks/batch", None, &body).0, 202);
    }
    bench.say("task bury --all").good();
    (bench, service)
}

fn count(service: &Service, state: &str) -> u64 {
    service.ask("GET /api/v1/queues/default", None, "").1[state]
        .as_u64()
        .unwrap()
}

/// Waits for at most half a minute.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if holds() {
            return;
        }
        thread::park_timeout(Duration::from_millis(10));
    }
    panic!("not in time: {what}");
}

fn latest(bench: &Bench) -> Value {
    bench.say("dead replays -o json").json().remove(0)
}

/// Behaviour 78. What was under way when the process was killed is done again, and nothing twice.
#[test]
fn a_replay_that_was_killed_goes_on_and_doubles_nothing() {
    let (bench, service) = letters(1_500);
    let mut replay = bench.command();
    let replay = Running::start(replay.args([
        "dead",
        "replay",
        "--all",
        "--rate",
        "1000/s",
        "--reason",
        "relay is back",
    ]));
    until("it comes to 300 in time", || {
        count(&service, "pending") >= 300
    });
    replay.signal(Signal::SIGKILL);
    replay.ended();
    let batch = latest(&bench);
    assert_eq!(batch["status"], "running");
    let id = batch["id"].as_str().unwrap();
    assert!(count(&service, "dead") > 0, "it was killed on the way");

    // Meanwhile some run, and one dies again: it is not this replay's any more.
    let worker = bench.worker();
    bench.ended("t1499");
    worker.stop();
    let done = bench
        .run(["dead", "resume", id, "-o", "json"])
        .json()
        .remove(0);
    assert_eq!(done["changed"], 1_500);
    assert_eq!(count(&service, "dead"), 0);
    let mut times = HashMap::new();
    for n in 0..1_500 {
        let path = format!("GET /api/v1/tasks/t{n}/logs");
        let (_, log) = service.ask(&path, None, "");
        let lines = log["lines"].as_array().unwrap().iter();
        let replayed =
            lines.filter(|line| line["text"].as_str().unwrap().contains("relay is back"));
        *times.entry(replayed.count()).or_insert(0) += 1;
    }
    assert!(!times.contains_key(&2), "{times:?}");
    // A note is written behind its replay: of those that were under way it may be missing.
    assert!(times[&1] >= 1_500 - 100, "{times:?}");
    service.stop();
}

#[test]
fn a_replay_is_taken_back_where_nothing_has_run() {
    let (bench, service) = letters(20);
    let done = bench
        .say("dead replay --all --limit 12 -o json")
        .json()
        .remove(0);
    assert_eq!(
        (&done["changed"], &done["refused"]),
        (&json!(12), &json!(0))
    );
    let id = done["replay"].as_str().unwrap();
    let undone = bench
        .run(["dead", "undo", id, "--reason", "too early"])
        .good();
    assert_eq!(undone, "12 taken back; 0 had run\n");
    assert_eq!(count(&service, "dead"), 20);
    bench.say("dead undo nobody").refused(1, "no replay");
    let (_, audit) = service.ask("GET /api/v1/audit", None, "");
    let last = &audit["items"][0];
    assert_eq!(
        (&last["action"], &last["reason"]),
        (&json!("undo_replay"), &json!("too early"))
    );
    assert_eq!(last["actor"], "ada");
    let again = bench.run(["dead", "undo", id]).good();
    assert_eq!(
        again,
        "the replay was undone already: 12 were taken back then\n"
    );
    service.stop();
}

#[test]
fn a_replay_that_is_refused_whole_fails_and_says_why() {
    let (bench, service) = letters(3);
    bench.say("queue drain default").good();
    let refused = bench.say("dead replay --queue default --rate 50/s --limit 9 --reset-attempts");
    refused.refused(
        1,
        "none of 3 dead letters came back: the queue takes nothing in",
    );
    assert_eq!(count(&service, "dead"), 3);
    bench.say("dead replay t1").refused(1, "drained");
    bench.say("queue resume default").good();
    let edit = bench.run([
        "dead",
        "replay",
        "--all",
        "--edit",
        r#"{"n":7}"#,
        "--to-queue",
        "b",
    ]);
    edit.good();
    let (_, audit) = service.ask("GET /api/v1/audit", None, "");
    let records = audit["items"].as_array().unwrap();
    let starts = records.iter().filter(|one| one["action"] == "start_replay");
    let details: Vec<_> = starts.map(|one| &one["details"]).collect();
    assert_eq!(
        (&details[0]["how"]["edit"], &details[0]["how"]["to_queue"]),
        (&json!({ "n": 7 }), &json!("b"))
    );
    let first = details[1];
    assert_eq!(first["filter"]["queue"], "default");
    assert_eq!((&first["rate"], &first["limit"]), (&json!(50), &json!(9)));
    assert_eq!(first["how"]["reset_attempts"], true);
    service.stop();
}

#[test]
fn a_replay_in_a_service_is_stopped_and_goes_on_when_it_is_told_to() {
    let (bench, service) = letters(40);
    let (_, replay) = service.ask("POST /api/v1/replays", None, r#"{"all":true,"rate":10}"#);
    let id = replay["id"].as_str().unwrap();
    until("some are back", || count(&service, "pending") > 2);
    let said = bench.run(["dead", "stop", id]).good();
    assert!(said.starts_with(&format!("{id}: stopped after ")), "{said}");
    bench.run(["dead", "stop", id]).good();
    assert_eq!(latest(&bench)["status"], "stopped");
    assert!(count(&service, "dead") > 0, "it did not come to its end");
    let done = bench.run(["dead", "resume", id, "-o", "json"]).json();
    assert_eq!(done[0]["changed"], 40);
    assert_eq!(count(&service, "dead"), 0);
    bench.run(["dead", "undo", id]).good();
    bench.run(["dead", "resume", id]).refused(1, "was undone");
    bench
        .say("dead replay x --rate 5/s")
        .refused(2, "go with filters");
    service.stop();
}

/// Behaviour 77.
#[test]
fn letters_beyond_their_bounds_are_counted_and_exported_before_they_go() {
    let (bench, service) = letters(30);
    bench.say("dead retain").refused(2, "--max-age");
    let dry = bench.say("dead retain --max-count 20 --dry-run").good();
    assert_eq!(dry, "10 dead letters would be removed; 20 stay\n");
    bench.say("dead retain --max-age 1h").good();
    assert_eq!(count(&service, "dead"), 30);
    let done = bench
        .say("dead retain --max-count 20 --export gone.jsonl")
        .good();
    assert_eq!(done, "10 dead letters removed; 20 stay\n");
    assert_eq!(count(&service, "dead"), 20);
    bench.say("dead retain --max-bytes 1").good();
    assert_eq!(count(&service, "dead"), 0);
    let file = std::fs::read_to_string(bench.path("gone.jsonl")).unwrap();
    assert_eq!(file.lines().count(), 10);
    service.stop();
}

/// Behaviour 77. The bounds are a setting of the workers.
#[test]
fn a_worker_holds_dead_letters_within_their_bounds() {
    let (bench, service) = letters(30);
    let export = bench.path("dropped.jsonl");
    let settings = format!(
        "[dead]\nmax_age = \"7d\"\nexport = {:?}\n[dead.queue.default]\nmax_count = 20\n",
        export.to_str().unwrap()
    );
    bench.file("tidemill.toml", settings);
    let mut command = bench.command();
    command.args(["worker", "--queue", "idle", "--log-format", "json"]);
    let mut worker = Running::start(command.args(["--metrics", "127.0.0.1:0"]));
    let line = worker.line_with("serving /metrics", PATIENCE);
    let line: Value = serde_json::from_str(&line).unwrap();
    let address = line["address"].as_str().unwrap().to_owned();
    until("ten go", || count(&service, "dead") == 20);
    until("they are counted", || {
        let page = crate::health::get(&address, "/metrics").1;
        page.contains(r#"tidemill_dead_dropped_total{queue="default",bound="count"} 10"#)
    });
    worker.stop();
    let file = std::fs::read_to_string(export).unwrap();
    assert_eq!(file.lines().count(), 10);
    let back = bench.say("dead import dropped.jsonl").good();
    assert_eq!(back, "10 letters put in line; 0 were there already\n");
    bench.file("tidemill.toml", "[dead]\nmax_counts = 20\n");
    bench.say("worker").refused(2, "max_count");
    service.stop();
}

#[test]
fn letters_come_back_from_a_file_once() {
    let (bench, service) = letters(10);
    bench.say("dead export --file letters.jsonl").good();
    let again = bench.say("dead export --file letters.jsonl");
    again.refused(1, "does not exist yet");
    assert_eq!(
        bench.say("dead export --until 2000-01-01T00:00:00Z").good(),
        ""
    );
    let there = bench.say("dead import letters.jsonl").good();
    assert_eq!(there, "0 letters put in line; 10 were there already\n");
    bench.say("dead purge --all --yes").good();
    let dry = bench.say("dead import letters.jsonl --dry-run").good();
    assert_eq!(
        dry,
        "10 letters would be put in line; 0 were there already\n"
    );
    assert_eq!(
        bench.say("dead import letters.jsonl").good(),
        "10 letters put in line; 0 were there already\n"
    );
    let task = bench.task("t3");
    assert_eq!(
        (&task["payload"], &task["replay_of"]),
        (&json!({ "n": 3 }), &json!("t3"))
    );
    bench.file("bad.jsonl", "{}\n");
    bench.say("dead import bad.jsonl").refused(2, "bad.jsonl:1");
    service.stop();
}

#[test]
fn failures_of_a_range_of_time_are_repaired() {
    let bench = Bench::new();
    let worker = bench.worker();
    for (id, payload) in [
        ("rejected", r#"{"message":"no","reject":true}"#),
        ("failed", r#"{"message":"flake","succeed_on_attempt":2}"#),
    ] {
        bench.enqueue(&[
            "fail",
            "--id",
            id,
            "--max-attempts",
            "1",
            "--payload",
            payload,
        ]);
        bench.ended(id);
    }
    let retry = r#"{"message":"later"}"#;
    bench.enqueue(&["fail", "--id", "waits", "--payload", retry]);
    until("it fails in time", || {
        !bench.task("waits")["error"].is_null()
    });
    worker.stop();
    let plan = bench
        .say("repair --failed-after 1h -o json")
        .json()
        .remove(0);
    assert_eq!(plan["dry_run"], true);
    assert_eq!((&plan["replay"], &plan["leave"]), (&json!(1), &json!(1)));
    assert_eq!(bench.task("failed")["state"], "dead");
    let none = bench.say(
        "repair --failed-after 2000-01-01T00:00:00Z --failed-before 2000-01-02T00:00:00Z -o json",
    );
    assert_eq!(none.json()[0]["replay"], 0);
    bench
        .say("repair --failed-after 1h --failed-before 2h")
        .refused(2, "empty");
    // A date is its midnight in UTC.
    let day = bench.say("repair --failed-after 2024-06-01 -o json").json();
    assert_eq!(day[0]["replay"], 1);
    bench
        .say("repair --failed-after 2024-06-01 --failed-before 2024-06-01")
        .refused(2, "empty");
    bench
        .say("repair --failed-after 2024-06-31")
        .refused(2, "a date, such as 2026-03-29 (midnight in UTC)");
    let done = bench
        .say("repair --failed-after 1h --strategy auto --reason mended")
        .good();
    assert!(
        done.contains("1 task replayed") && done.contains("1 left alone"),
        "{done}"
    );
    assert_eq!(bench.task("failed")["state"], "pending");
    assert_eq!(bench.task("rejected")["state"], "dead");
    assert!(
        bench
            .say("task logs failed")
            .good()
            .contains("repaired by ada: mended")
    );
}

#[test]
fn a_task_tells_why_and_can_be_skipped() {
    let bench = Bench::new();
    bench.enqueue(&["echo", "--id", "later", "--in", "1h"]);
    bench.enqueue(&["echo", "--id", "now"]);
    let why = bench.say("task why later").good();
    assert!(why.contains("it is due at"), "{why}");
    let why = bench.say("task why now -o json").json().remove(0);
    assert_eq!(why["findings"][0]["code"], "no_worker");
    bench.say("task why nobody").refused(1, "no task nobody");
    bench.say("task skip later --reason unneeded").good();
    assert_eq!(bench.task("later")["state"], "cancelled");
    bench.enqueue(&["sleep", "--id", "runs", "--payload", r#"{"for":"60s"}"#]);
    let worker = bench.worker();
    until("it runs in time", || {
        bench.task("runs")["state"] == "active"
    });
    bench.say("task skip runs").refused(1, "--force");
    let why = bench.say("task why runs").good();
    assert!(why.contains("it runs since"), "{why}");
    bench.say("task skip runs --force").good();
    assert_eq!(bench.ended("runs")["state"], "cancelled");
    worker.stop();
}

/// What every worker gives back, and what an operator has put back, is not what it looks like.
#[test]
fn a_task_that_nobody_knows_and_one_that_was_put_back_tell_why() {
    let bench = Bench::new();
    bench.enqueue(&["nobody.knows", "--id", "odd"]);
    let flake = r#"{"message":"flake"}"#;
    bench.enqueue(&[
        "fail",
        "--id",
        "once",
        "--max-attempts",
        "1",
        "--payload",
        flake,
    ]);
    let worker = bench.worker();
    let first = |id: &str| {
        let why = bench
            .run(["task", "why", id, "-o", "json"])
            .json()
            .remove(0);
        why["findings"][0]["code"].as_str().unwrap().to_owned()
    };
    until("the worker is heard of", || {
        first("odd") == "no_worker_for_kind"
    });
    let why = bench.say("task why odd").good();
    assert!(
        why.contains("none of them knows its kind nobody.knows"),
        "{why}"
    );
    assert_eq!(bench.ended("once")["state"], "dead");
    worker.stop();
    bench.say("task retry once").good();
    let why = bench.say("task why once").good();
    for text in [
        "it has been ready for",
        "was put back in line since, with one more run",
        "retried by ada",
        "made it a dead letter",
    ] {
        assert!(why.contains(text), "{text}: {why}");
    }
    let worker = bench.worker();
    assert_eq!(bench.ended("once")["state"], "dead");
    let why = bench.say("task why once").good();
    let text = "all 1 attempts failed, and 1 more that it got by being put back";
    assert!(why.contains(text), "{why}");
    worker.stop();
}
