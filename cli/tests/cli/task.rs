//! `tidemill task`.

use serde_json::json;

use nix::sys::signal::Signal;

use crate::bench::{Bench, PATIENCE, Running};

#[test]
fn a_completed_task_shows_its_attempts_its_result_and_its_output() {
    let bench = Bench::new();
    let payload = json!({ "argv": ["sh", "-c", "echo out; echo err >&2"] }).to_string();
    let id = bench.enqueue(&["command", "--payload", &payload]);
    let _worker = bench.worker();
    let task = bench.ended(&id);
    assert_eq!(task["state"], "completed");
    assert_eq!(task["attempt"], 1);
    assert_eq!(task["result"]["last_line"], "out");
    assert_eq!(task["attempts"][0]["outcome"], "succeeded");
    assert_eq!(task["attempts"][0]["worker_id"], task["worker_id"]);
    for name in ["enqueued_at", "due_at", "started_at", "finished_at"] {
        assert!(task[name].as_str().unwrap().ends_with('Z'), "{name}");
    }
    let mut lines: Vec<_> = bench
        .run(["task", "logs", &id])
        .good()
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort();
    assert_eq!(lines, ["err", "out"]);
    let logs = bench.run(["task", "logs", &id, "-o", "json"]).json();
    let out = logs.iter().find(|line| line["stream"] == "stdout").unwrap();
    assert_eq!(
        (&out["text"], &out["attempt"], &out["task_id"]),
        (&json!("out"), &json!(1), &json!(id))
    );
    let shown = bench.run(["task", "get", &id]).good();
    assert!(
        shown.contains("state      completed") && shown.contains("succeeded"),
        "{shown}"
    );
}

#[test]
fn every_attempt_of_a_retried_task_is_kept() {
    let bench = Bench::new();
    bench.file(
        "s.toml",
        "[[schedule]]\nid = \"s\"\nat = 2099-01-01T00:00:00Z\nkind = \"fail\"\n\
         payload = { succeed_on_attempt = 2, message = \"not yet\" }\n\
         retry = { initial = \"10ms\", jitter = \"none\" }\n",
    );
    bench.say("schedule apply s.toml").good();
    let id = bench.say("schedule run-now s").good();
    let _worker = bench.worker();
    let task = bench.ended(id.trim());
    let outcomes: Vec<_> = task["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| &a["outcome"])
        .collect();
    assert_eq!(outcomes, ["failed", "succeeded"]);
    assert_eq!(task["attempts"][0]["error"], "error: not yet");
}

#[test]
fn a_listing_is_filtered_and_paged() {
    let bench = Bench::new();
    for number in 0..5 {
        let queue = if number % 2 == 0 { "even" } else { "odd" };
        bench.enqueue(&["echo", "--id", &format!("t{number}"), "--queue", queue]);
    }
    bench.enqueue(&["sleep", "--id", "later", "--in", "1h", "--key", "k"]);
    let ids = |words: &str| -> Vec<String> {
        let tasks = bench.say(&format!("task list -o json {words}")).json();
        tasks
            .iter()
            .map(|task| task["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(""), ["later", "t4", "t3", "t2", "t1", "t0"]);
    assert_eq!(ids("--queue odd"), ["t3", "t1"]);
    assert_eq!(ids("--kind sleep"), ["later"]);
    assert_eq!(ids("--key k"), ["later"]);
    assert_eq!(ids("--state scheduled"), ["later"]);
    assert_eq!(
        ids("--state scheduled,pending --queue even --limit 2"),
        ["t4", "t2"]
    );
    assert_eq!(ids("--since 1h").len(), 6);
    assert_eq!(ids("--until 1h").len(), 0);
    assert_eq!(ids("--since 2099-01-01T00:00:00Z").len(), 0);
    assert_eq!(ids("--all").len(), 6);

    let mut seen = Vec::new();
    let mut words = "--limit 4".to_owned();
    loop {
        seen.extend(ids(&words));
        let more = bench.say(&format!("task list -o json {words}")).stderr;
        let Some(cursor) = more.split_whitespace().nth(2) else {
            break;
        };
        words = format!("--limit 4 --cursor {cursor}");
    }
    assert_eq!(seen, ["later", "t4", "t3", "t2", "t1", "t0"]);
    let table = bench.say("task list").good();
    assert_eq!(table.lines().count(), 7, "{table}");
}

/// Behaviour 72.
#[test]
fn pages_go_on_where_the_one_before_ended_whatever_comes_and_goes() {
    let bench = Bench::new();
    for number in 0..6 {
        bench.enqueue(&["echo", "--id", &format!("t{number}")]);
    }
    let page = |more: &str| {
        let answer = bench.say(&format!("task list -o json --limit 2 {more}"));
        let next = answer.stderr.split_whitespace().nth(2).map(str::to_owned);
        let ids = answer.json().into_iter().map(|task| task["id"].to_string());
        (ids.collect::<Vec<_>>(), next)
    };
    let (first, next) = page("");
    assert_eq!(first, [r#""t5""#, r#""t4""#]);
    bench.enqueue(&["echo", "--id", "new"]);
    bench.say("task delete t5 t3").good();
    let (second, next) = page(&format!("--cursor {}", next.unwrap()));
    assert_eq!(second, [r#""t2""#, r#""t1""#]);
    bench.say("task cancel t0").good();
    let (third, _) = page(&format!("--cursor {}", next.unwrap()));
    assert_eq!(third, [r#""t0""#]);
}

#[test]
fn what_does_not_exist_is_said_so() {
    let bench = Bench::new();
    bench.enqueue(&["echo"]);
    bench
        .say("task get nope")
        .refused(1, "there is no task nope");
    bench
        .say("task logs nope")
        .refused(1, "there is no task nope");
    bench
        .say("task cancel nope")
        .refused(1, "task nope does not exist");
    bench
        .say("dead show nope")
        .refused(1, "there is no task nope");
}

/// Behaviour 73.
#[test]
fn a_change_is_right_from_each_state_and_refused_where_it_makes_no_sense() {
    let bench = Bench::new();
    let id = bench.enqueue(&["echo", "--in", "1h", "--id", "x"]);
    let state = || bench.task("x")["state"].clone();
    assert_eq!(
        bench.say("task reschedule x --in 2h").good(),
        "x: scheduled -> scheduled\n"
    );
    assert_eq!(
        bench.say("task retry x").good(),
        "x: scheduled -> pending\n"
    );
    bench
        .say("task retry x")
        .refused(1, "task x is pending, where that makes no sense");
    assert_eq!(bench.say("task bury x").good(), "x: pending -> dead\n");
    bench.say("task cancel x").refused(1, "task x is dead");
    bench
        .say("task reschedule x --at 2099-01-01T00:00:00Z")
        .refused(1, "task x is dead");
    assert_eq!(bench.say("task retry x").good(), "x: dead -> pending\n");
    let answer = bench.say("task cancel x -o json").json();
    assert_eq!(
        answer,
        [json!({ "id": id, "from": "pending", "to": "cancelled" })]
    );
    assert_eq!(state(), "cancelled");
    assert_eq!(
        bench.say("task delete x").good(),
        "x: cancelled -> removed\n"
    );
    bench.say("task get x").refused(1, "there is no task x");
}

#[test]
fn one_task_that_cannot_be_changed_does_not_stop_the_others() {
    let bench = Bench::new();
    bench.enqueue(&["echo", "--id", "a"]);
    bench.enqueue(&["echo", "--id", "b"]);
    let answer = bench
        .say("task cancel a nope b")
        .refused(1, "1 of 3 tasks not cancelled");
    assert_eq!(answer.stdout.lines().count(), 2);
    assert_eq!(
        bench
            .say("task list --state cancelled -o json")
            .json()
            .len(),
        2
    );
}

#[test]
fn a_reason_is_kept_with_the_task_and_in_the_audit_line() {
    let bench = Bench::new();
    bench.enqueue(&["echo", "--id", "x"]);
    let mut args: Vec<_> = "task cancel x --log info --log-format json --reason"
        .split(' ')
        .collect();
    args.push("not needed\nany more");
    let answer = bench.run(args);
    // A server may have something to say before.
    let line = answer.stderr.lines().last().unwrap();
    let audit: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(audit["target"], "tidemill::audit");
    assert_eq!(audit["action"], "cancelled");
    assert_eq!(audit["subject"], "x");
    assert_eq!(audit["actor"], "ada");
    assert_eq!(audit["reason"], "not needed\nany more");
    let logs = bench.say("task logs x -o json").json();
    assert_eq!(logs[0]["text"], "cancelled by ada: not needed\nany more");
    assert_eq!(logs[0]["stream"], "system");
    bench
        .run(["task", "cancel", "x", "--reason", " "])
        .refused(2, "--reason");
}

#[test]
fn a_running_task_is_cancelled_by_request() {
    let bench = Bench::new();
    let id = bench.enqueue(&[
        "command",
        "--payload",
        r#"{"argv":["sh","-c","echo up; sleep 60"]}"#,
    ]);
    let _worker = bench.worker();
    let mut follow =
        crate::bench::Running::start(bench.command().args(["task", "logs", "-f", &id]));
    follow.line_with("up", crate::bench::PATIENCE);
    let answer = bench.run(["task", "cancel", &id]).good();
    assert!(answer.contains("cancellation requested"), "{answer}");
    follow.ended();
    assert_eq!(bench.task(&id)["state"], "cancelled");
}

#[test]
fn a_crash_is_shown_apart_from_the_failures() {
    let bench = Bench::new();
    let script = r#"{"argv":["sh","-c","echo up; [ $TIDEMILL_ATTEMPT = 2 ] || sleep 60"]}"#;
    let id = bench.enqueue(&["command", "--max-attempts", "1", "--payload", script]);
    let start = || {
        let mut command = bench.command();
        command.args(["worker", "--lease", "500ms", "--log-format", "json"]);
        Running::start(&mut command)
    };
    let first = start();
    let mut follow = Running::start(bench.command().args(["task", "logs", "-f", &id]));
    follow.line_with("up", PATIENCE);
    assert_eq!(bench.task(&id).get("crashes"), None);
    first.signal(Signal::SIGKILL);
    let _second = start();
    let task = bench.ended(&id);
    assert_eq!(
        (
            &task["state"],
            &task["attempt"],
            &task["max_attempts"],
            &task["crashes"]
        ),
        (&json!("completed"), &json!(2), &json!(1), &json!(1))
    );
    let shown = bench.run(["task", "get", &id]).good();
    assert!(shown.contains("failures   0 of 1"), "{shown}");
    assert!(shown.contains("crashes    1 of"), "{shown}");
    let list = bench.say("task list").good();
    assert!(list.contains("0/1, 1 crash"), "{list}");
}
