//! Schedules of files while a producer runs.

use nix::sys::signal::Signal;
use redis::Connection;

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
fn an_id_of_somebody_else_is_told_with_its_line_until_it_is_free() {
    let bench = Bench::new();
    bench.file("other.toml", TOCK);
    bench.say("schedule apply other.toml").good();
    bench.file("jobs.toml", TICK);
    let mut producer = producer(&bench);
    bench.file("jobs.toml", format!("{TICK}{TOCK}"));
    let line = producer.line_with("stay as they were", PATIENCE);
    assert!(line.contains("jobs.toml:6"), "{line}");
    producer.line_with("they could not be applied", PATIENCE);
    bench.file("other.toml", "");
    bench.say("schedule apply other.toml").good();
    producer.line_with("1 added, 0 changed, 0 removed, 1 unchanged", PATIENCE);
    assert_eq!(ids(&bench), ["tick", "tock"]);
}

#[test]
fn a_file_that_was_emptied_is_warned_of() {
    let bench = Bench::new();
    bench.file("jobs.toml", TICK);
    let mut producer = producer(&bench);
    bench.file("jobs.toml", "# nothing\n");
    let line = producer.line_with("1 removed", PATIENCE);
    assert!(line.contains("tick"), "{line}");
    producer.line_with("the file holds no schedules any more", PATIENCE);
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

/// All keys of a namespace, as they are.
fn dump(redis: &mut Connection, prefix: &str) -> Vec<(String, Vec<u8>)> {
    let mut keys = redis::cmd("KEYS");
    let keys: Vec<String> = keys.arg(format!("{prefix}*")).query(redis).unwrap();
    let mut all = Vec::new();
    for key in keys {
        let found: Option<Vec<u8>> = redis::cmd("DUMP").arg(&key).query(redis).unwrap();
        all.extend(found.map(|value| (key, value)));
    }
    all
}

/// F52. A store that comes back as it was some time ago is the same store, without what was applied since.
#[test]
fn a_store_that_was_set_back_is_given_again_what_it_lost() {
    let url = std::env::var_os("TIDEMILL_TEST_REDIS");
    let url = url.expect("`cargo xtask test` sets TIDEMILL_TEST_REDIS");
    let url = url.into_string().unwrap();
    let mut redis = redis::Client::open(&*url)
        .unwrap()
        .get_connection()
        .unwrap();
    let namespace = format!("set-back-{}", std::process::id());
    let prefix = format!("tidemill:{{{namespace}}}:");
    let bench = Bench::new();
    bench.file("jobs.toml", TICK);
    let mut command = bench.bare();
    command.env("TIDEMILL_BROKER", &url);
    command.env("TIDEMILL_NAMESPACE", &namespace);
    let mut producer = Running::start(command.args(["producer", "--schedules", "jobs.toml"]));
    producer.line_with("1 added", PATIENCE);

    let before = dump(&mut redis, &prefix);
    bench.file("jobs.toml", format!("{TICK}{TOCK}"));
    producer.line_with("1 added, 0 changed, 0 removed, 1 unchanged", PATIENCE);
    let mut back = redis::pipe();
    back.atomic();
    for (key, _) in dump(&mut redis, &prefix) {
        back.del(key);
    }
    for (key, value) in before {
        back.cmd("RESTORE").arg(key).arg(0).arg(value);
    }
    back.exec(&mut redis).unwrap();
    producer.line_with("the store has lost them", PATIENCE);
    producer.line_with("1 added, 0 changed, 0 removed, 1 unchanged", PATIENCE);

    assert_eq!(producer.stop().0, 0);
    for (key, _) in dump(&mut redis, &prefix) {
        redis::cmd("DEL").arg(key).exec(&mut redis).unwrap();
    }
}
