//! Each scenario in its smallest size: it must account for every task and print its line of JSON.

use std::process::{Command, Output};

use serde_json::Value;

fn loadtest(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidemill-loadtest"))
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn run(scenario: &str, more: &[&str]) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = format!(
        "sqlite:{}?synchronous=normal",
        folder.path().join("load.db").display()
    );
    let output = loadtest(&[&["run", "--broker", &broker, "--scenario", scenario], more].concat());
    last_line(&output)
}

fn last_line(output: &Output) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    let text = str::from_utf8(&output.stdout).expect("text");
    serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
}

#[test]
fn enqueue_by_many_callers_and_in_batches() {
    let found = run("enqueue", &["--tasks", "300", "--callers", "8"]);
    assert!(found["enqueued_per_second"].as_u64().unwrap() > 0);
    let found = run("enqueue", &["--tasks", "300", "--batch", "64"]);
    assert!(found["call"]["p50_us"].as_u64().unwrap() > 0);
}

#[test]
fn drain_runs_everything_once() {
    let found = run("drain", &["--tasks", "500"]);
    assert!(found["drained_per_second"].as_u64().unwrap() > 0);
}

#[test]
fn lifecycle_takes_every_batch_through() {
    let found = run("lifecycle", &["--tasks", "500", "--batch", "64"]);
    assert!(found["life_cycles_per_second"].as_u64().unwrap() > 0);
}

#[test]
fn latency_is_measured_in_one_process_and_across() {
    let found = run("latency", &["--tasks", "20"]);
    assert!(found["latency"]["p99_us"].as_u64().unwrap() > 0);
    let found = run("latency", &["--tasks", "20", "--across-processes"]);
    assert!(found["latency"]["p99_us"].as_u64().unwrap() > 0);
}

/// Behaviour 64.
#[test]
fn delayed_tasks_are_never_early() {
    let found = run("delayed", &["--tasks", "100", "--over", "1s"]);
    assert!(
        found["lateness"]["p50_us"].as_u64().unwrap() < 50_000,
        "{found}"
    );
    run("burst", &["--tasks", "200"]);
}

#[test]
fn a_steady_rate_is_offered() {
    let found = run("steady", &["--tasks", "200", "--rate", "500"]);
    assert!(found["latency"]["p50_us"].as_u64().unwrap() > 0);
}

#[test]
fn each_instant_of_a_schedule_is_fired_once_with_a_worker_and_without() {
    let load = ["--rate", "50", "--over", "2s"];
    let found = run("fires", &load);
    assert!(found["fires_per_second"].as_u64().unwrap() > 0);
    let found = run(
        "fires",
        &[&load[..], &["--workers", "1", "--jitter", "1s"]].concat(),
    );
    assert_eq!(
        (&found["lost"], &found["duplicates"]),
        (&0.into(), &0.into())
    );
    assert!(found["lateness"]["p50_us"].as_u64().unwrap() > 0);
}

#[test]
fn a_killed_workers_tasks_run_again() {
    let found = run("crash", &["--tasks", "20", "--lease", "1s"]);
    assert!(found["last_again_after_ms"].as_u64().unwrap() > 0);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "`cargo xtask test` says where, as a test has no arguments"
)]
fn a_redis_that_is_killed_loses_nothing_that_was_acknowledged() {
    let server = std::env::var("TIDEMILL_TEST_REDIS_SERVER");
    let server = server.unwrap_or_else(|_| "redis-server".into());
    let load = ["--rate", "200", "--over", "6s", "--away", "200ms"];
    let found = last_line(&loadtest(
        &[&["outage", "--server", &server], &load[..]].concat(),
    ));
    assert!(found["acknowledged"].as_u64().unwrap() > 200, "{found}");
    assert_eq!(found["lost"], 0);
}

#[test]
fn a_payload_has_the_size_that_is_asked_for() {
    let found = run("drain", &["--tasks", "50", "--payload", "1024"]);
    assert_eq!(found["payload"], 1_024);
}

#[test]
fn the_store_is_compared_with_its_floor() {
    let found = last_line(&loadtest(&[
        "compare", "--tasks", "200", "--batch", "64", "--turns", "1",
    ]));
    assert!(found["store_per_floor"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_queue_that_holds_tasks_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let broker = format!("sqlite:{}", folder.path().join("load.db").display());
    let arguments = [
        "run",
        "--broker",
        &broker,
        "--scenario",
        "enqueue",
        "--tasks",
        "5",
    ];
    last_line(&loadtest(&arguments));
    let again = loadtest(&arguments);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("not empty"));
}
