//! `tidemill queue`.

use serde_json::json;

use crate::bench::Bench;

/// Behaviour 71.
#[test]
fn queues_are_listed_with_what_they_hold() {
    let bench = Bench::new();
    bench.enqueue(&["echo", "--queue", "mail"]);
    bench.enqueue(&["echo", "--queue", "mail", "--in", "1h"]);
    bench.enqueue(&["echo"]);
    let queues = bench.say("queue list -o json").json();
    let mail = queues
        .iter()
        .find(|queue| queue["queue"] == "mail")
        .unwrap();
    assert_eq!(
        (
            &mail["pending"],
            &mail["scheduled"],
            &mail["enqueued_total"]
        ),
        (&json!(1), &json!(1), &json!(2))
    );
    assert_eq!(queues.len(), 2);
    let table = bench.say("queue list").good();
    assert!(
        table.contains("mail") && table.contains("running"),
        "{table}"
    );
    let stats = bench.say("queue stats mail").good();
    assert!(
        stats.contains("pending    1") && stats.contains("enqueued   2 ever"),
        "{stats}"
    );
    let history = bench.say("queue history mail -o json").json();
    let enqueued: u64 = history
        .iter()
        .map(|point| point["enqueued"].as_u64().unwrap())
        .sum();
    assert_eq!(enqueued, 2);
}

/// Behaviour 28.
#[test]
fn a_paused_queue_yields_nothing_while_others_go_on() {
    let bench = Bench::new();
    bench.enqueue(&["echo", "--queue", "other"]);
    assert_eq!(
        bench
            .run(["queue", "pause", "mail", "--reason", "the relay is down"])
            .good(),
        "queue mail paused\n"
    );
    let list = bench.say("queue list").good();
    assert!(list.contains("paused: the relay is down"), "{list}");
    let held = bench.enqueue(&["echo", "--queue", "mail"]);
    let free = bench.enqueue(&["echo"]);
    let mut command = bench.command();
    command.args(["worker", "--queue", "mail=5", "--queue", "default"]);
    let _worker = crate::bench::Running::start(&mut command);
    assert_eq!(bench.ended(&free)["state"], "completed");
    assert_eq!(bench.task(&held)["state"], "pending");
    assert_eq!(
        bench.say("queue resume mail").good(),
        "queue mail resumed\n"
    );
    assert_eq!(bench.ended(&held)["state"], "completed");
}

/// Behaviour 75.
#[test]
fn a_queue_that_holds_tasks_is_removed_by_force_alone_and_leaves_no_key() {
    let bench = Bench::new();
    bench.enqueue(&["echo", "--queue", "mail", "--key", "k"]);
    bench
        .say("queue remove mail")
        .refused(1, "still holds 1 task")
        .refused(1, "--force");
    let dry = bench.say("queue remove mail --force --dry-run").good();
    assert_eq!(dry, "queue mail with 1 task would be removed (dry run)\n");
    assert_eq!(
        bench.say("queue remove mail --force").good(),
        "queue mail removed\n"
    );
    assert_eq!(bench.say("queue list -o json").good(), "");
    bench
        .say("queue remove mail")
        .refused(1, "there is no queue mail");
    let again = bench
        .say("enqueue echo --queue mail --key k -o json")
        .json();
    assert_eq!(again[0]["admission"], "admitted");
}

/// Behaviour 15.
#[test]
fn a_limit_is_set_shown_and_lifted() {
    let bench = Bench::new();
    bench.enqueue(&["echo"]);
    assert_eq!(
        bench.say("queue limit default 5").good(),
        "queue default limited to 5 tasks\n"
    );
    assert_eq!(
        bench.say("queue stats default -o json").json()[0]["limit"],
        5
    );
    bench.say("queue limit default none").good();
    let lifted = bench.say("queue stats default -o json").json().remove(0);
    assert_eq!(lifted.get("limit"), None);
    bench
        .say("queue limit default 0")
        .refused(2, "expected a number from 1, or none");
}

#[test]
fn a_queue_that_is_changed_before_its_first_use_is_warned_of() {
    let bench = Bench::new();
    bench.enqueue(&["echo"]);
    let pause = |name: &str| bench.run(["queue", "pause", name]);
    let answer = pause("nosuch").refused(0, "warning: queue nosuch did not exist");
    assert_eq!(answer.stdout, "queue nosuch paused\n");
    assert_eq!(pause("nosuch").stderr, "");
    let limit = |name: &str| bench.run(["queue", "limit", name, "5"]);
    limit("other").refused(
        0,
        "warning: queue other did not exist; it is created with this limit",
    );
    assert_eq!(limit("other").stderr, "");
    assert_eq!(pause("default").stderr, "");
}

#[test]
fn what_is_not_known_is_absent_from_json() {
    let bench = Bench::new();
    bench.enqueue(&["echo"]);
    let mut worker = bench.worker();
    worker.line_with("serving", crate::bench::PATIENCE);
    let workers = loop {
        let workers = bench.say("workers -o json").json();
        if !workers.is_empty() {
            break workers;
        }
    };
    let queues = bench.say("queue list -o json").json();
    let stats = bench.say("queue stats -o json").json();
    for object in workers.iter().chain(&queues).chain(&stats) {
        let nulls = object.as_object().unwrap().values().filter(|v| v.is_null());
        assert_eq!(nulls.count(), 0, "{object}");
    }
}
