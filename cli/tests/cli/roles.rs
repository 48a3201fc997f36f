//! `tidemill worker` and `tidemill producer`: processes that run until they are told to stop.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::bench::{Bench, PATIENCE, Running};

const TICK: &str = "[[schedule]]\nid = \"tick\"\nevery = \"1s\"\nkind = \"echo\"\n";

/// Behaviour 53.
#[test]
fn a_worker_finishes_what_runs_when_it_is_told_to_stop() {
    let bench = Bench::new();
    let script = r#"{"argv":["sh","-c","echo up; sleep 1; echo down"]}"#;
    let id = bench.enqueue(&["command", "--payload", script]);
    let worker = bench.worker();
    let mut follow = Running::start(bench.command().args(["task", "logs", "-f", &id]));
    follow.line_with("up", PATIENCE);
    let (status, lines) = worker.stop();
    assert_eq!(status, 0, "{lines:#?}");
    assert_eq!(bench.task(&id)["state"], "completed");
    assert!(bench.run(["task", "logs", &id]).good().contains("down"));
}

#[test]
fn a_second_signal_ends_a_worker_at_once_and_the_task_goes_back_uncounted() {
    let bench = Bench::new();
    let id = bench.enqueue(&[
        "command",
        "--payload",
        r#"{"argv":["sh","-c","echo up; sleep 60"]}"#,
    ]);
    let mut worker = bench.worker();
    let mut follow = Running::start(bench.command().args(["task", "logs", "-f", &id]));
    follow.line_with("up", PATIENCE);
    worker.signal(Signal::SIGINT);
    worker.line_with("stopping", PATIENCE);
    worker.signal(Signal::SIGINT);
    let (status, lines) = worker.ended();
    assert_eq!(status, 1, "{lines:#?}");
    assert!(
        lines.iter().any(|line| line.contains("second signal")),
        "{lines:#?}"
    );
    let task = bench.task(&id);
    assert_eq!(task["state"], "pending", "{task}");
    assert_eq!(task["attempts"][0]["outcome"], "released", "{task}");
}

/// Behaviour 76.
#[test]
fn workers_and_producers_are_listed_while_they_are_alive() {
    let bench = Bench::new();
    bench.file("jobs.toml", TICK);
    let mut producer = bench.command();
    producer.args([
        "producer",
        "--schedules",
        "jobs.toml",
        "--log-format",
        "json",
    ]);
    let mut producer = Running::start(&mut producer);
    producer.line_with("leads", PATIENCE);
    let mut worker = bench.command();
    worker.args([
        "worker",
        "--queue",
        "mail=3",
        "--queue",
        "default",
        "--concurrency",
        "7",
    ]);
    let worker = Running::start(&mut worker);
    let list = |role: &str| bench.run([role, "-o", "json"]).json();
    let workers = eventually(|| Some(list("workers")).filter(|found| found.len() == 1));
    assert_eq!(workers[0]["slots"], 7);
    assert_eq!(workers[0]["queues"], serde_json::json!(["mail", "default"]));
    let leads = |found: &Vec<Value>| found.first().is_some_and(|p| p["leader"] == true);
    let producers = eventually(|| Some(list("producers")).filter(leads));
    assert!(producers[0]["epoch"].as_u64() >= Some(1));
    assert!(bench.say("workers").good().contains("mail,default"));
    assert!(bench.say("producers").good().contains("leader"));
    let (status, lines) = producer.stop();
    assert_eq!(status, 0, "{lines:#?}");
    worker.stop();
    eventually(|| list("workers").is_empty().then_some(()));
    eventually(|| list("producers").is_empty().then_some(()));
}

/// Asks again and again; every question is a process, so this does not spin.
#[track_caller]
fn eventually<T>(ask: impl Fn() -> Option<T>) -> T {
    #[expect(clippy::disallowed_methods, reason = "a deadline for other processes")]
    let start = std::time::Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(found) = ask() {
            return found;
        }
    }
    panic!("it never comes about");
}

#[test]
fn a_producer_fires_and_a_worker_runs_what_is_due() {
    let bench = Bench::new();
    bench.file(
        "tidemill.toml",
        format!("{TICK}[producer]\nhorizon = \"3s\"\nlease = \"2s\"\n"),
    );
    let _producer = Running::start(bench.command().arg("producer"));
    let _worker = bench.worker();
    let fires = eventually(|| {
        let fires = bench.say("schedule fires tick -o json");
        let done = |fire: &Value| fire["ended"] == "completed";
        let fires = if fires.status == 0 {
            fires.json()
        } else {
            Vec::new()
        };
        (fires.iter().filter(|fire| done(fire)).count() >= 2).then_some(fires)
    });
    let mut instants: Vec<_> = fires
        .iter()
        .map(|fire| fire["scheduled_at"].to_string())
        .collect();
    instants.sort();
    instants.dedup();
    assert_eq!(instants.len(), fires.len(), "each instant once");
}

#[test]
fn wrong_settings_of_a_worker_or_producer_are_refused_at_once() {
    let bench = Bench::new();
    for (words, reason) in [
        ("worker --concurrency 0", "1 to 100000"),
        ("worker --lease 1ms", "100 ms"),
        ("worker --lease 0s", "zero"),
        ("worker --queue a --queue a", "given twice"),
        ("producer --horizon 2h", "horizon"),
        ("producer --lease 1ms", "lease"),
        (
            "producer --schedules missing.toml",
            "missing.toml cannot be read",
        ),
    ] {
        bench.say(words).refused(2, reason);
    }
}

/// Behaviour 27.
#[test]
fn strict_order_drains_the_first_queue_first() {
    let bench = Bench::new();
    for number in 0..3 {
        bench.enqueue(&["echo", "--queue", "low", "--id", &format!("low{number}")]);
        bench.enqueue(&["echo", "--queue", "high", "--id", &format!("high{number}")]);
    }
    let mut command = bench.command();
    command
        .env("TIDEMILL_WORKER_QUEUES", "high,low")
        .env("TIDEMILL_WORKER_STRICT", "true");
    let _worker = Running::start(command.args(["worker", "--concurrency", "1"]));
    for id in ["low0", "low1", "low2"] {
        bench.ended(id);
    }
    let started = |id: &str| bench.task(id)["started_at"].as_str().unwrap().to_owned();
    let last_high = ["high0", "high1", "high2"].map(started).into_iter().max();
    let first_low = ["low0", "low1", "low2"].map(started).into_iter().min();
    assert!(last_high < first_low, "{last_high:?} {first_low:?}");
}

#[test]
fn a_worker_of_another_namespace_sees_nothing() {
    let bench = Bench::new();
    let id = bench.enqueue(&["echo"]);
    let mut command = bench.command();
    command.args(["worker", "--namespace", "other", "--log-format", "json"]);
    let mut worker = Running::start(&mut command);
    worker.line_with("serving", PATIENCE);
    let other = bench.say("enqueue echo --namespace other").good();
    bench
        .say(&format!("task logs -f {} --namespace other", other.trim()))
        .good();
    assert_eq!(bench.task(&id)["state"], "pending");
    worker.stop();
}

const WRONG: &str = "[producer]\n\nhorizon = \"100h\"\n";

#[test]
fn a_producer_that_is_refused_has_applied_nothing() {
    let bench = Bench::new();
    bench.file("tidemill.toml", format!("{WRONG}{TICK}"));
    for role in ["producer", "dev", "check"] {
        bench
            .say(role)
            .refused(2, "tidemill.toml:3: producer.horizon: the horizon is");
        assert!(!bench.path("test.db").exists(), "{role}");
    }
    bench.file("tidemill.toml", TICK);
    bench.say("schedule apply tidemill.toml").good();
    bench.file("tidemill.toml", WRONG);
    bench.say("producer").refused(2, "producer.horizon");
    bench.say("dev").refused(2, "producer.horizon");
    let stored = bench.say("schedule list -o json").json();
    assert_eq!(
        stored.len(),
        1,
        "what stood in the file before is untouched"
    );
}

#[test]
fn settings_of_the_file_that_a_role_refuses_are_named_with_their_line_by_check_too() {
    let bench = Bench::new();
    for (role, line, reason) in [
        ("worker", "concurrency = 0", "worker.concurrency: "),
        ("worker", "lease = \"1ms\"", "worker.lease: "),
        ("worker", "queues = [\"a\", \"a\"]", "worker.queues: "),
        ("producer", "horizon = \"0s\"", "producer.horizon: "),
        ("producer", "lease = \"1ms\"", "producer.lease: "),
        ("producer", "shards = 65", "producer.shards: "),
    ] {
        bench.file("tidemill.toml", format!("[{role}]\n{line}\n"));
        for command in [role, "check", "dev"] {
            bench
                .say(command)
                .refused(2, &format!("tidemill.toml:2: {reason}"));
        }
    }
    // A flag that overrides the line is what counts, and is not blamed on the file.
    bench.file("tidemill.toml", "[worker]\nlease = \"1ms\"\n");
    let answer = bench.say("worker --lease 2ms").refused(2, "2ms");
    assert!(!answer.stderr.contains("tidemill.toml"), "{answer:?}");
}

#[test]
fn missed_fires_of_one_catch_up_are_one_line_of_the_log() {
    let bench = Bench::new();
    bench.file("jobs.toml", TICK);
    bench.say("schedule apply jobs.toml").good();
    // While nothing is up, instants pass: more than the 5 s that are no misfire.
    let start = bench.say("schedule show tick -o json").json()[0]["updated_at"].clone();
    eventually(|| {
        let next = bench.say("schedule show tick -o json").json()[0]["next"][0].clone();
        let second = |at: &Value| -> u64 {
            let text = at.as_str().unwrap();
            let number =
                |place: std::ops::Range<usize>| text.get(place).unwrap().parse::<u64>().unwrap();
            number(14..16) * 60 + number(17..19)
        };
        let passed = (second(&next) + 3_600 - second(&start)) % 3_600;
        (passed >= 9).then_some(())
    });
    let mut producer = bench.command();
    let flags = ["--schedules", "jobs.toml", "--log-format", "json"];
    producer.arg("producer").args(flags);
    let mut producer = Running::start(&mut producer);
    let line = producer.line_with("fires missed", PATIENCE);
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&line["level"], &line["schedule_id"]),
        (&"WARN".into(), &"tick".into())
    );
    assert!(line["count"].as_u64() >= Some(2), "{line}");
    let (_, lines) = producer.stop();
    let warnings = lines.iter().filter(|line| line.contains("missed"));
    assert_eq!(warnings.count(), 1, "{lines:#?}");
}
