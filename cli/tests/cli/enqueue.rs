//! `tidemill enqueue`.

use serde_json::json;

use crate::bench::{Bench, call};

#[test]
fn the_id_is_printed_alone_and_the_task_has_the_documented_defaults() {
    let bench = Bench::new();
    let id = bench.enqueue(&["mail.welcome", "--payload", r#"{"to":"ada"}"#]);
    let task = bench.task(&id);
    assert_eq!(task["id"], id);
    assert_eq!(task["kind"], "mail.welcome");
    assert_eq!(task["queue"], "default");
    assert_eq!(task["state"], "pending");
    assert_eq!(task["priority"], 5);
    assert_eq!(task["max_attempts"], 10);
    assert_eq!(task["payload"], json!({ "to": "ada" }));
}

#[test]
fn json_names_id_and_admission() {
    let bench = Bench::new();
    let answer = bench.say("enqueue echo --id one -o json").json();
    assert_eq!(answer, [json!({ "id": "one", "admission": "admitted" })]);
}

#[test]
fn every_option_reaches_the_task() {
    let bench = Bench::new();
    let id = bench.enqueue(&[
        "echo",
        "--queue",
        "mail",
        "--at",
        "2099-01-02T03:04:05+01:00",
        "--id",
        "my-id",
        "--key",
        "k 1",
        "--key-ttl",
        "2h",
        "--priority",
        "9",
        "--max-attempts",
        "3",
        "--timeout",
        "5s",
        "--deadline",
        "2099-01-03T00:00:00Z",
        "--retention",
        "1h",
        "--header",
        "a=b=c",
        "--header",
        "d=",
    ]);
    let task = bench.task(&id);
    assert_eq!(task["id"], "my-id");
    assert_eq!(task["queue"], "mail");
    assert_eq!(task["state"], "scheduled");
    assert_eq!(task["due_at"], "2099-01-02T02:04:05.000Z");
    assert_eq!(task["key"], "k 1");
    assert_eq!(task["priority"], 9);
    assert_eq!(task["max_attempts"], 3);
    assert_eq!(task["headers"], json!({ "a": "b=c", "d": "" }));
    let shown = bench.run(["task", "get", &id]).good();
    for fact in [
        "timeout    5s",
        "retention  1h",
        "deadline   2099-01-03T00:00:00.000Z",
    ] {
        assert!(shown.contains(fact), "{shown}");
    }
}

/// Behaviour 16.
#[test]
fn a_second_task_with_a_live_key_is_a_duplicate_and_names_the_first() {
    let bench = Bench::new();
    let first = bench.enqueue(&["echo", "--key", "k"]);
    let second = bench.say("enqueue echo --key k -o json");
    assert!(
        second.stderr.contains(&format!("duplicate of {first}")),
        "{second:?}"
    );
    assert_eq!(
        second.json(),
        [json!({ "id": first, "admission": "duplicate" })]
    );
    assert_eq!(bench.enqueue(&["echo", "--key", "k"]), first);
    assert_eq!(bench.say("task list -o json").json().len(), 1);
}

/// Behaviour 6.
#[test]
fn an_id_that_is_taken_is_a_conflict() {
    let bench = Bench::new();
    bench.enqueue(&["echo", "--id", "x"]);
    bench
        .say("enqueue echo --id x")
        .refused(1, "the id x is taken");
}

#[test]
fn a_full_queue_refuses_and_says_so() {
    let bench = Bench::new();
    bench.enqueue(&["echo"]);
    bench.say("queue limit default 1").good();
    bench.say("enqueue echo").refused(1, "its limit is 1");
    bench.say("queue limit default none").good();
    bench.enqueue(&["echo"]);
}

#[test]
fn a_payload_comes_from_a_file_or_standard_input_byte_for_byte() {
    let bench = Bench::new();
    bench.file("p.json", "{\"n\": 18446744073709551616,\n \"f\": 1.10}\n");
    let id = bench.enqueue(&["echo", "--payload", "@p.json"]);
    let listed = bench.run(["task", "get", &id, "-o", "json"]).good();
    assert!(
        listed.contains(r#"{"n": 18446744073709551616,  "f": 1.10}"#),
        "{listed}"
    );
    assert_eq!(listed.lines().count(), 1);

    let mut command = bench.command();
    let answer = call(
        command.args(["enqueue", "echo", "--payload", "-"]),
        b" [\"\xc3\xa9\"] ",
    );
    let id = answer.good();
    assert_eq!(bench.task(id.trim())["payload"], json!(["é"]));
}

/// S22.
#[test]
fn what_is_not_json_is_refused_with_its_place() {
    let bench = Bench::new();
    let deep = "[".repeat(100_000);
    for bad in [
        "",
        "{",
        "NaN",
        "1e999",
        "[1,]",
        r#"{"a":1,"a":2}"#,
        r#""\ud800""#,
        "\u{feff}1",
        "1 2",
        "'a'",
        &deep,
    ] {
        let answer = bench.run(["enqueue", "echo", "--payload", bad]);
        answer
            .refused(2, "line 1 column")
            .refused(2, "hint: --payload takes JSON");
    }
    for (name, bad) in [("utf16", &b"\xff\xfe1\0"[..]), ("latin1", b"\"\xe9\"")] {
        bench.file(name, bad);
        bench
            .run(["enqueue", "echo", "--payload", &format!("@{name}")])
            .refused(2, "not valid JSON");
    }
    bench
        .run(["enqueue", "echo", "--payload", "9007199254740993"])
        .good();
    assert!(
        bench
            .say("task list -o json")
            .good()
            .contains(r#""payload":9007199254740993"#)
    );
}

/// Behaviour 14.
#[test]
fn a_payload_over_the_limit_is_refused_with_the_limit_named() {
    let bench = Bench::new();
    let big = bench.file("big.json", format!("\"{}\"", "x".repeat(1 << 20)));
    let argument = format!("@{}", big.display());
    bench
        .run(["enqueue", "echo", "--payload", &argument])
        .refused(2, "the limit is 1048576");
    bench.say("task list -o json").good();
}

/// Behaviour 2, and S16.
#[test]
fn a_malformed_name_is_refused() {
    let bench = Bench::new();
    let long = "x".repeat(129);
    for bad in [
        "",
        " ",
        "a:b",
        "{x}",
        "*",
        "../",
        "a\r\nb",
        "\u{202e}a",
        "😀",
        &long,
    ] {
        for flag in ["--queue", "--id"] {
            let flag = format!("{flag}={bad}");
            let answer = bench.run(["enqueue", "echo", &flag]).refused(2, "");
            assert!(!answer.stderr.contains(['\u{202e}', '\r']), "{answer:?}");
        }
        bench.run(["enqueue", "--", bad]).refused(2, "");
        bench.run(["schedule", "show", "--", bad]).refused(2, "");
    }
    bench.run(["enqueue", "a:b"]).refused(2, "contains ':'");
}

/// S34.
#[test]
fn instants_and_delays_out_of_range_are_refused_and_never_wrap_around() {
    let bench = Bench::new();
    for bad in [
        "--at=10000-01-01T00:00:00Z",
        "--at=-1",
        "--at=2026-03-29T01:30:00",
        "--at=2026-03-29T01:30:60Z",
        "--at=9223372036854775808",
        "--in=18446744073709551615s",
        "--in=-1s",
        "--in=5",
        "--in=soon",
        "--in=1 month",
        "--deadline=yesterday",
        "--deadline=2020-01-01T00:00:00Z",
    ] {
        bench
            .run(["enqueue", "echo", bad])
            .refused(2, "expected")
            .refused(2, "");
    }
    let id = bench.enqueue(&["echo", "--at", "9999-12-30T00:00:00Z"]);
    assert_eq!(bench.task(&id)["due_at"], "9999-12-30T00:00:00.000Z");
    let id = bench.enqueue(&["echo", "--in", "36500d"]);
    assert_eq!(bench.task(&id)["state"], "scheduled");
}

/// Behaviour 5, and S35.
#[test]
fn numbers_out_of_range_are_refused() {
    let bench = Bench::new();
    for bad in [
        "--max-attempts=-1",
        "--max-attempts=0",
        "--max-attempts=2147483648",
        "--timeout=0s",
        "--timeout=1000000000000000000s",
        "--priority=256",
        "--priority=-1",
        "--priority=high",
        "--key=",
        "--key-ttl=1h",
        "--retention=-1s",
        "--header=x",
    ] {
        bench.run(["enqueue", "echo", bad]).refused(2, "");
    }
    bench
        .say("enqueue echo --in 1s --at 2099-01-01T00:00:00Z")
        .refused(2, "cannot be used with");
    for bad in ["mail=0", "mail=-1", "mail=x"] {
        bench
            .run(["worker", "--queue", bad])
            .refused(2, "1 to 1000");
    }
}

#[test]
fn when_the_answer_cannot_be_written_the_error_names_the_stored_task() {
    let bench = Bench::new();
    for extra in [None, Some("-ojson")] {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let mut command = bench.command();
        command
            .args(["enqueue", "echo", "--id", "a.task"])
            .args(extra)
            .stdout(full);
        call(&mut command, b"").refused(1, "the task was stored as a.task");
        assert_eq!(bench.task("a.task")["state"], "pending");
        bench.say("task delete a.task").good();
    }
}
