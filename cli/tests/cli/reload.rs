//! Schedules of files while a producer runs.

use nix::sys::signal::Signal;

use crate::bench::{Bench, PATIENCE, Running};

const TICK: &str = "[[schedule]]\nid = \"tick\"\nevery = \"1h\"\nkind = \"echo\"\n";
const TOCK: &str = "[[schedule]]\nid = \"tock\"\nevery = \"1h\"\nkind = \"echo\"\n";

fn producer(bench: &Bench) -> Running {
    let mut command = bench.command();
    let mut producer = Running::start(command.args([
        "producer",
        "--schedules",
        "jobs.toml",
        "--log-format",
        "json",
    ]));
    producer.line_with("1 added", PATIENCE);
    producer
}

fn ids(bench: &Bench) -> Vec<String> {
    let schedules = bench.say("schedule list -o json").json();
    let ids = schedules.iter().map(|one| one["id"].as_str().unwrap());
    ids.map(ToOwned::to_owned).collect()
}

#[test]
fn a_changed_file_is_applied_as_the_difference() {
    let bench = Bench::new();
    bench.file("jobs.toml", TICK);
    let mut producer = producer(&bench);
    bench.file("jobs.toml", format!("{TICK}{TOCK}"));
    producer.line_with("a file has changed", PATIENCE);
    producer.line_with("1 added, 0 changed, 0 removed, 1 unchanged", PATIENCE);
    assert_eq!(ids(&bench), ["tick", "tock"]);
}

#[test]
fn a_wrong_file_changes_nothing_and_names_the_line() {
    let bench = Bench::new();
    bench.file("jobs.toml", TICK);
    let mut producer = producer(&bench);
    bench.file(
        "jobs.toml",
        format!("{TOCK}[[schedule]]\nid = \"bad\"\ncron = \"61 * * * *\"\n"),
    );
    let line = producer.line_with("stay as they were", PATIENCE);
    assert!(line.contains("jobs.toml:7"), "{line}");
    assert_eq!(ids(&bench), ["tick"]);
    bench.file("jobs.toml", TOCK);
    producer.line_with("1 added, 0 changed, 1 removed", PATIENCE);
    assert_eq!(ids(&bench), ["tock"]);
}

#[test]
fn sighup_reads_the_files_again() {
    let bench = Bench::new();
    bench.file("jobs.toml", TICK);
    let mut producer = producer(&bench);
    bench.say("schedule delete tick").good();
    producer.signal(Signal::SIGHUP);
    producer.line_with("asked by SIGHUP", PATIENCE);
    producer.line_with("1 added", PATIENCE);
    assert_eq!(ids(&bench), ["tick"]);
    assert_eq!(producer.stop().0, 0);
}
