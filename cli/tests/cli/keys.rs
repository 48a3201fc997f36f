//! Keys, as whoever types `--key` meets them: until when a second task is the duplicate of a first.

use std::time::{Duration, Instant};

use crate::bench::{Bench, PATIENCE, Running};

/// Enqueues with a key, and answers the id of the task that holds the key then.
fn keyed(bench: &Bench, more: &[&str]) -> String {
    let mut args = vec!["echo", "--key", "k"];
    args.extend(more);
    bench.enqueue(&args)
}

/// Enqueues with the key until that makes a task of its own.
fn until_free(bench: &Bench, holder: &str) {
    #[expect(clippy::disallowed_methods, reason = "a deadline for other processes")]
    let start = Instant::now();
    while keyed(bench, &[]) == holder {
        assert!(start.elapsed() < PATIENCE, "the key stays taken");
    }
}

/// Behaviour 17.
#[test]
fn a_key_is_free_again_after_success() {
    let bench = Bench::new();
    let first = keyed(&bench, &["--retention", "1h"]);
    assert_eq!(keyed(&bench, &[]), first);
    let worker = bench.worker();
    assert_eq!(bench.ended(&first)["state"], "completed");
    worker.stop();
    assert_ne!(keyed(&bench, &[]), first);
}

/// Behaviour 18.
#[test]
fn a_key_is_free_again_after_its_time_to_live() {
    let bench = Bench::new();
    let first = keyed(&bench, &["--key-ttl", "2s"]);
    assert_eq!(keyed(&bench, &[]), first);
    until_free(&bench, &first);
    assert_eq!(bench.task(&first)["state"], "pending");
}

/// Behaviour 20.
#[test]
fn an_id_that_is_taken_leaves_no_key_behind() {
    let bench = Bench::new();
    bench.enqueue(&["echo", "--id", "x"]);
    bench
        .say("enqueue echo --id x --key k")
        .refused(1, "the id x is taken");
    assert_ne!(keyed(&bench, &[]), "x");
}

/// Behaviour 21.
#[test]
fn a_dead_letter_holds_no_key() {
    let bench = Bench::new();
    let reject = r#"{"message":"no","reject":true}"#;
    let fail = || bench.enqueue(&["fail", "--key", "k", "--payload", reject]);
    let _worker = bench.worker();
    let first = fail();
    assert_eq!(bench.ended(&first)["state"], "dead");
    assert_ne!(fail(), first);
}

/// Behaviour 22.
#[test]
fn a_key_outlives_its_time_to_live_while_its_task_runs() {
    let bench = Bench::new();
    let script = r#"{"argv":["sh","-c","echo up; until [ -e go ]; do sleep 0.05; done"]}"#;
    let run = |more: &[&str]| {
        let mut args = vec!["command", "--key", "k", "--payload", script];
        args.extend(more);
        bench.enqueue(&args)
    };
    let _worker = bench.worker();
    let first = run(&["--key-ttl", "3s", "--retention", "1h"]);
    #[expect(clippy::disallowed_methods, reason = "a deadline for other processes")]
    let start = Instant::now();
    let mut follow = Running::start(bench.command().args(["task", "logs", "-f", &first]));
    follow.line_with("up", PATIENCE);
    while start.elapsed() < Duration::from_millis(3_500) {
        assert_eq!(run(&[]), first);
    }
    bench.file("go", "");
    follow.ended();
    assert_ne!(run(&[]), first);
}

/// Behaviour 23.
#[test]
fn the_same_key_of_another_kind_or_queue_is_another_key() {
    let bench = Bench::new();
    let first = keyed(&bench, &[]);
    let kind = bench.enqueue(&["sleep", "--key", "k"]);
    let queue = keyed(&bench, &["--queue", "mail"]);
    assert!(first != kind && first != queue && kind != queue);
    assert_eq!(keyed(&bench, &["--queue", "mail"]), queue);
}

/// Behaviour 24.
#[test]
fn a_delayed_task_holds_its_key_until_it_is_due_and_its_time_to_live_on_top() {
    let bench = Bench::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "how long it lasts is what is tested"
    )]
    let start = Instant::now();
    let delayed = keyed(&bench, &["--in", "1s", "--key-ttl", "2s"]);
    until_free(&bench, &delayed);
    let held = start.elapsed();
    assert!(held >= Duration::from_millis(2_990), "{held:?}");
}
