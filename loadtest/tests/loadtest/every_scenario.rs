//! Each scenario in its smallest size: it must account for every task and print its line of JSON.

use serde_json::Value;

use crate::program::{errors, last_line, loadtest, number, redis_server};

/// A run on a fresh file; its line of JSON.
fn run(scenario: &str, more: &[&str]) -> Value {
    let to = [
        "run",
        "--broker",
        "sqlite?synchronous=normal",
        "--scenario",
        scenario,
    ];
    last_line(&loadtest(&[&to, more].concat()))
}

/// The call is refused with status 2, and these words.
fn refused(arguments: &[&str], words: &str) {
    let said = errors(&loadtest(arguments), 2);
    assert!(said.contains(words), "{said}");
}

#[test]
fn enqueue_by_many_callers_and_in_batches() {
    let found = run("enqueue", &["--tasks", "300", "--producers", "8"]);
    assert!(number(&found, "tasks_per_second") > 0.0);
    let more = [
        "--tasks",
        "300",
        "--batch",
        "64",
        "--pending",
        "100",
        "--queues",
        "3",
    ];
    let found = run("enqueue", &more);
    assert!(number(&found, "call_ms.p50") > 0.0);
    assert!(number(&found, "broker_bytes_per_pending_task") > 100.0);
}

#[test]
fn the_line_of_json_has_every_name_and_null_where_there_is_no_figure() {
    let found = run(
        "drain",
        &["--tasks", "500", "--payload", "1024", "-o", "json"],
    );
    for name in [
        "scenario",
        "broker",
        "tasks",
        "tasks_per_second",
        "latency_ms",
        "lateness_ms",
        "lost",
        "duplicates",
        "broker_cpu_us_per_task",
        "worker_cpu_us_per_task",
        "worker_rss_bytes",
        "broker_bytes_per_pending_task",
        "commands_per_task",
        "seed",
        "versions",
    ] {
        assert!(found.get(name).is_some(), "{name} is missing in {found}");
    }
    assert_eq!(found["payload"], 1_024);
    assert_eq!(found["latency_ms"], Value::Null);
    assert!(number(&found, "tasks_per_second") > 0.0);
    assert!(number(&found, "broker_cpu_us_per_task") > 0.0);
}

#[test]
fn drain_by_several_processes_runs_everything_once() {
    let more = ["--tasks", "1000", "--workers", "2", "--queues", "5"];
    let found = run("drain", &more);
    assert!(number(&found, "worker_rss_bytes") > 0.0);
}

#[test]
fn lifecycle_takes_every_batch_through_while_others_wait() {
    let more = ["--tasks", "500", "--batch", "64", "--pending", "200"];
    let found = run("lifecycle", &more);
    assert!(number(&found, "tasks_per_second") > 0.0);
}

#[test]
fn on_a_redis_of_its_own_commands_and_memory_are_counted() {
    let server = redis_server();
    let to = [
        "run",
        "--broker",
        "redis",
        "--server",
        &server,
        "--scenario",
    ];
    let more = ["lifecycle", "--tasks", "640", "--batch", "64"];
    let found = last_line(&loadtest(&[&to[..], &more].concat()));
    assert!(number(&found, "commands_per_task") > number(&found, "scripts_per_task"));
    let more = ["drain", "--tasks", "500"];
    let found = last_line(&loadtest(&[&to[..], &more].concat()));
    assert!(number(&found, "broker_bytes_per_pending_task") > 100.0);
    assert!(
        found["versions"]["broker"]
            .as_str()
            .unwrap()
            .starts_with("redis ")
    );
}

#[test]
fn latency_is_measured_in_one_process_and_across() {
    let found = run("latency", &["--tasks", "50"]);
    assert!(number(&found, "latency_ms.p99") > 0.0);
    let found = run("latency", &["--tasks", "50", "--workers", "1"]);
    assert!(number(&found, "latency_ms.p99") > 0.0);
}

/// Behaviour 64.
#[test]
fn delayed_tasks_are_never_early() {
    let found = run("delayed", &["--tasks", "100", "--duration", "1s"]);
    assert!(number(&found, "lateness_ms.p50") < 50.0, "{found}");
    run("burst", &["--tasks", "200"]);
}

#[test]
fn a_steady_rate_is_offered_and_warming_up_is_left_out() {
    let more = ["--duration", "600ms", "--rate", "500", "--warmup", "200ms"];
    let found = run("steady", &more);
    assert_eq!(found["tasks"], 300);
    assert!(number(&found, "latency_ms.p50") > 0.0);
}

#[test]
fn a_mixed_load_comes_out_even_though_some_fail_at_first() {
    let more = [
        "--tasks",
        "150",
        "--rate",
        "150",
        "--seed",
        "7",
        "--workers",
        "1",
    ];
    let found = run("mixed", &more);
    assert_eq!(found["seed"], 7);
}

#[test]
fn each_instant_of_a_schedule_is_fired_once_with_a_worker_and_without() {
    let load = ["--rate", "50", "--duration", "2s"];
    let found = run("fires", &load);
    assert!(number(&found, "tasks_per_second") > 0.0);
    let found = run(
        "fires",
        &[&load[..], &["--workers", "1", "--jitter", "1s"]].concat(),
    );
    assert_eq!(
        (&found["lost"], &found["duplicates"]),
        (&0.into(), &0.into())
    );
    assert!(number(&found, "lateness_ms.p50") > 0.0);
}

#[test]
fn a_killed_workers_tasks_run_again() {
    let found = run("takeover", &["--tasks", "20", "--lease", "1s"]);
    assert!(number(&found, "last_again_after_ms") > 0.0);
}

#[test]
fn workers_are_killed_under_load_and_nothing_is_lost() {
    let more = ["--duration", "3s", "--kill-every", "1s", "--lease", "1s"];
    let found = run("crash", &[&more[..], &["--seed", "5"]].concat());
    assert!(number(&found, "kills") >= 2.0, "{found}");
}

#[test]
fn a_soak_prints_slopes() {
    let found = run(
        "soak",
        &["--duration", "8s", "--workers", "1", "--seed", "5"],
    );
    let slopes = found["slopes_per_hour"].as_object().unwrap();
    assert!(slopes.contains_key("worker_1_descriptors"), "{found}");
}

#[test]
fn a_redis_that_is_killed_loses_nothing_that_was_acknowledged() {
    let server = redis_server();
    let load = ["--rate", "200", "--over", "6s", "--away", "200ms"];
    let found = last_line(&loadtest(
        &[&["outage", "--server", &server], &load[..]].concat(),
    ));
    assert!(number(&found, "acknowledged") > 200.0, "{found}");
    assert_eq!(found["lost"], 0);
}

#[test]
fn a_queue_that_holds_tasks_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let broker = format!("sqlite:{}", folder.path().join("load.db").display());
    let run = ["run", "--broker", &broker, "--scenario"];
    let fires = ["fires", "--rate", "1", "--duration", "1s"];
    last_line(&loadtest(&[&run[..], &fires].concat()));
    let again = loadtest(&[&run[..], &["drain", "--tasks", "5"]].concat());
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("not empty"));
}

#[test]
fn a_call_that_makes_no_sense_is_refused_in_words() {
    let run = ["run", "--broker", "memory:", "--scenario"];
    let with = |more: &[&'static str]| [&run[..], more].concat();
    refused(
        &with(&["drain", "--batch", "7"]),
        "--batch means nothing to the scenario drain",
    );
    refused(
        &with(&["steady", "--tasks", "7", "--duration", "1s"]),
        "give one of them",
    );
    refused(
        &with(&["steady", "--rate", "0"]),
        "--rate is 0; expected 1 or more",
    );
    refused(
        &with(&["steady", "--duration", "1s", "--warmup", "2s"]),
        "leaves nothing to measure",
    );
    refused(
        &with(&["drain", "--workers", "2"]),
        "a store that they can share",
    );
    refused(&with(&["nonsense"]), "possible values: enqueue, drain");
    refused(
        &["run", "--broker", "nonsense:", "--scenario", "drain"],
        "nonsense",
    );
}
