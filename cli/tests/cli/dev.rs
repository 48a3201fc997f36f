//! `tidemill dev`.

use crate::bench::{Bench, PATIENCE, Running, call};

#[test]
fn the_sample_is_written_when_asked_and_never_over_something() {
    let bench = Bench::new();
    bench.say("dev --write-sample tidemill.toml").good();
    bench
        .say("dev --write-sample tidemill.toml")
        .refused(1, "cannot be written");
    let plan = bench.say("schedule plan tidemill.toml").good();
    assert!(
        plan.ends_with("4 to add, 0 to change, 0 to remove, 0 unchanged\n"),
        "{plan}"
    );
}

#[test]
fn the_sample_stops_firing_once_there_is_a_configuration() {
    let bench = Bench::new();
    let mut dev = Running::start(bench.command().arg("dev"));
    dev.line_with("Ctrl-C", PATIENCE);
    dev.stop();
    let schedules = || bench.say("schedule list -o json").json();
    assert_eq!(schedules().len(), 4);
    bench.file(
        "tidemill.toml",
        "[[schedule]]\nid = \"mine\"\nevery = \"1h\"\nkind = \"echo\"\n",
    );
    let mut dev = Running::start(bench.command().arg("dev"));
    dev.line_with("Ctrl-C", PATIENCE);
    dev.stop();
    let left = schedules();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["id"], "mine");
}

#[test]
fn a_failure_is_told_with_its_reason() {
    let bench = Bench::new();
    bench.file("tidemill.toml", "");
    let mut dev = Running::start(bench.command().arg("dev"));
    dev.line_with("Ctrl-C", PATIENCE);
    let args = [
        "enqueue",
        "fail",
        "--payload",
        r#"{"message":"no luck","reject":true}"#,
    ];
    bench.run(args).good();
    let line = dev.line_with("dead", PATIENCE);
    assert!(
        line.contains("fail") && line.ends_with("rejected: no luck"),
        "{line}"
    );
    dev.stop();
}

/// S20.
#[test]
fn it_ends_when_nobody_reads_any_more() {
    let bench = Bench::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let answer = call(bench.command().arg("dev").stdout(writer), b"");
    assert_eq!((answer.status, answer.stderr.as_str()), (0, ""));

    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = bench.command();
    command.arg("dev").stdout(writer);
    let watched = std::thread::spawn(move || call(&mut command, b""));
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(reader));
    lines
        .find(|line| line.as_ref().unwrap().contains("completed clock"))
        .unwrap()
        .unwrap();
    drop(lines);
    let answer = watched.join().unwrap();
    assert_eq!((answer.status, answer.stderr.as_str()), (0, ""));
}

#[test]
fn the_start_says_what_to_type_in_another_terminal() {
    let bench = Bench::new();
    bench.file(
        "my jobs.toml",
        "[[schedule]]\nid = \"t\"\nevery = \"1s\"\nkind = \"echo\"\nqueue = \"q\"\n",
    );
    let mut dev = Running::start(bench.command().args(["dev", "--config", "my jobs.toml"]));
    let list = dev.line_with("task list", PATIENCE);
    assert!(list.contains("--config 'my jobs.toml' --broker "), "{list}");
    dev.line_with("completed t", PATIENCE);
    let (status, lines) = dev.stop();
    assert_eq!(status, 0, "{lines:#?}");
    // What is printed works as it is typed.
    let mut shell = std::process::Command::new("sh");
    shell
        .current_dir(bench.path(""))
        .args(["-c", &format!("{list} -o json")]);
    shell
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let answer = call(&mut shell, b"").good();
    assert!(answer.lines().count() > 0);
}
