//! Input that means harm, and output that nobody reads.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use serde_json::Value;

use crate::bench::{Bench, call};

const EVIL: &str =
    "\u{1b}]52;c;aGFja2Vk\u{7}\u{1b}[31mred\u{202e}\u{9b}2J\r\nsecond {\"level\":\"ERROR\"}";

/// S20.
#[test]
fn arguments_that_make_no_sense_are_refused_with_a_hint() {
    let bench = Bench::new();
    for (words, expected) in [
        ("enqueue echo --queue -x", "must start with"),
        ("enqueue echo --in -5s", "is not a duration"),
        ("enqueue echo --max-attempts -1", "1..=1000000"),
        ("cron next x --count -1", "1..=10000"),
        ("queue limit default -5", "a number from 1, or none"),
        (
            "task list --cursor zzz",
            "the number that the page before named",
        ),
        ("dead replay --all --rate -1", "a number from 1"),
        (
            "control --rate 0",
            "expected how many requests a second, from 1",
        ),
        (
            "control --rate -1",
            "expected how many requests a second, from 1",
        ),
    ] {
        let answer = bench.say(words).refused(2, expected);
        assert!(!answer.stderr.contains("tip:"), "{answer:?}");
    }
    bench
        .say("enqueue echo --payload @missing.json")
        .refused(2, "missing.json cannot be read");
    bench
        .say("enqueue echo --payload @.")
        .refused(2, "cannot be read");
    bench
        .say("tasks")
        .refused(2, "a similar subcommand exists: 'task'");
    bench.say("task list --sate dead").refused(2, "--state");
    for list in ["task list", "dead list"] {
        for limit in ["0", "-1", "1000000000"] {
            bench
                .say(&format!("{list} --limit {limit}"))
                .refused(2, "--limit");
        }
    }
}

/// S20.
#[test]
fn an_argument_that_is_not_utf_8_is_refused() {
    let bench = Bench::new();
    let word = OsStr::from_bytes(b"a\xff\xfe");
    for args in [
        vec![OsStr::new("enqueue"), word],
        vec![
            OsStr::new("enqueue"),
            OsStr::new("echo"),
            OsStr::new("--payload"),
            word,
        ],
        vec![word],
    ] {
        bench.run(args).refused(2, "");
    }
}

/// S20.
#[test]
fn a_huge_argument_is_refused_in_few_words() {
    let bench = Bench::new();
    let huge = "x".repeat(100_000);
    let answer = bench
        .run(["enqueue", "echo", "--queue", &huge])
        .refused(2, "bytes cut");
    assert!(answer.stderr.len() < 20_000, "{}", answer.stderr.len());
}

/// S20.
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let bench = Bench::new();
    for number in 0..50 {
        bench.enqueue(&["echo", "--id", &format!("t{number}")]);
    }
    for words in [
        "task list",
        "task list -o json",
        "queue stats",
        "--help",
        "task list --help",
        "completions bash",
        "cron next --count 10000 *",
    ] {
        let mut args: Vec<_> = words.split(' ').collect();
        if args.last() == Some(&"*") {
            args.pop();
            args.push("* * * * *");
        }
        let mut command = bench.command();
        let (reader, writer) = std::io::pipe().unwrap();
        // Closed before the first byte is written.
        drop(reader);
        command.args(args).stdout(Stdio::from(writer));
        let answer = call(&mut command, b"");
        assert_eq!(answer.status, 0, "{words}: {answer:?}");
        assert_eq!(answer.stderr, "", "{words}");
    }
}

/// S19.
#[test]
fn what_comes_from_the_store_cannot_drive_the_terminal() {
    let bench = Bench::new();
    let payload = serde_json::json!({ "message": EVIL, "reject": true }).to_string();
    let id = bench.enqueue(&[
        "fail",
        "--payload",
        &payload,
        "--key",
        "k\u{202e}",
        "--header",
        "x=\u{1b}[1m",
    ]);
    let output = serde_json::json!({ "argv": ["printf", "%s", EVIL] }).to_string();
    let shown = bench.enqueue(&["command", "--payload", &output]);
    let worker = bench.worker();
    bench.ended(&id);
    bench.ended(&shown);
    worker.stop();
    for words in [
        format!("task get {id}"),
        "task list".into(),
        "dead list".into(),
        format!("dead show {id}"),
        format!("task logs {shown}"),
        format!("task logs -t {shown}"),
        "dead replay --all --dry-run".into(),
        "task list -o json".into(),
        format!("task logs {shown} -o json"),
        format!("dead show {id} -o json"),
    ] {
        let text = bench.say(&words).good();
        let bad = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{9b}".contains(c);
        assert!(!text.contains(bad), "{words}: {text:?}");
        if words.contains("json") {
            for line in text.lines() {
                serde_json::from_str::<Value>(line).expect(line);
            }
        }
    }
    let dead = bench
        .run(["dead", "show", &id, "-o", "json"])
        .json()
        .remove(0);
    assert!(
        dead["error"].as_str().unwrap().ends_with(EVIL),
        "JSON keeps the text: {dead}"
    );
}

/// S18.
#[test]
fn a_log_line_cannot_be_forged() {
    let bench = Bench::new();
    let long = format!("{EVIL}{}", "x".repeat(500_000));
    let payload = serde_json::json!({ "message": long, "reject": true }).to_string();
    let payload = bench.file("p.json", payload);
    let id = bench.enqueue(&["fail", "--payload", &format!("@{}", payload.display())]);
    let worker = bench.worker();
    bench.ended(&id);
    let (_, lines) = worker.stop();
    let lines: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let run = lines
        .iter()
        .find(|line| line["task_id"] == id.as_str())
        .unwrap();
    assert_eq!(run["level"], "WARN");
    assert_eq!(run["status"], "dead");
    assert_eq!(run["kind"], "fail");
    assert_eq!(run["queue"], "default");
    assert_eq!(run["attempt"], 1);
    assert!(
        run["executed_at"].is_string() && run["duration_ms"].is_u64(),
        "{run}"
    );
    let message = run["message"].as_str().unwrap();
    assert!(
        message.starts_with(EVIL) && message.len() < 20_000,
        "{message}"
    );
    assert!(!lines.iter().any(|line| line["level"] == "ERROR"));
}

/// S18.
#[test]
fn a_human_log_line_cannot_be_forged() {
    let bench = Bench::new();
    let payload = serde_json::json!({ "message": EVIL, "reject": true }).to_string();
    let id = bench.enqueue(&["fail", "--payload", &payload]);
    let worker = crate::bench::Running::start(bench.command().arg("worker"));
    bench.ended(&id);
    let (_, lines) = worker.stop();
    let run = lines.iter().find(|line| line.contains(&id)).unwrap();
    assert!(
        run.contains("\\u{1b}]52") && run.contains("\\nsecond"),
        "{run}"
    );
    assert!(
        !lines.iter().any(|line| line.starts_with("second")),
        "{lines:#?}"
    );
}
