//! Schedules of files while a producer runs.

use nix::sys::signal::Signal;
use redis::Connection;

use crate::bench::{Bench, PATIENCE, Running};
use crate::control::Service;

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
    let line = producer.line_with("cannot be applied yet", PATIENCE);
    assert!(line.contains("jobs.toml:6"), "{line}");
    producer.line_with("they could not be applied", PATIENCE);
    bench.file("other.toml", "");
    bench.say("schedule apply other.toml").good();
    producer.line_with("1 added, 0 changed, 0 removed, 1 unchanged", PATIENCE);
    assert_eq!(ids(&bench), ["tick", "tock"]);
}

fn named(id: &str) -> String {
    TICK.replace("tick", id)
}

/// A producer on a file that names others.
fn with_parts(bench: &Bench, parts: &[(&str, &str)]) -> Running {
    let names: Vec<_> = parts.iter().map(|(name, _)| format!("{name:?}")).collect();
    bench.file(
        "jobs.toml",
        format!("schedules = [{}]\n{TICK}", names.join(", ")),
    );
    for (name, text) in parts {
        bench.file(name, text);
    }
    producer(bench)
}

#[test]
fn what_one_of_several_files_may_not_have_changes_nothing_of_any() {
    let bench = Bench::new();
    bench.file("other.toml", TOCK);
    bench.say("schedule apply other.toml").good();
    let mut producer = with_parts(&bench, &[("a.toml", ""), ("b.toml", "")]);
    bench.file("a.toml", named("a"));
    bench.file("b.toml", TOCK);
    let line = producer.line_with("cannot be applied yet", PATIENCE);
    assert!(
        line.contains("b.toml:2") && line.contains("file:other.toml"),
        "{line}"
    );
    assert_eq!(ids(&bench), ["tock", "tick"]);
    bench
        .say("schedule apply jobs.toml")
        .refused(1, "b.toml:2 cannot be applied");
    assert_eq!(ids(&bench), ["tock", "tick"]);
}

#[test]
fn a_schedule_that_moves_to_another_file_stays_what_it_is() {
    let bench = Bench::new();
    let one = named("one");
    let mut producer = with_parts(&bench, &[("a.toml", ""), ("b.toml", &one)]);
    producer.line_with("b.toml", PATIENCE);
    bench.say("schedule pause one --reason moving").good();
    for (from, to) in [("b.toml", "a.toml"), ("a.toml", "b.toml")] {
        bench.file(from, "");
        bench.file(to, &one);
        let plan = bench.say("schedule plan jobs.toml").good();
        assert!(
            plan.contains("0 to add, 0 to change, 0 to remove"),
            "{plan}"
        );
        bench.say("schedule apply jobs.toml").good();
        let shown = bench.say("schedule show one -o json").json().remove(0);
        assert_eq!(shown["source"], format!("file:{to}"));
        assert_eq!(
            (&shown["paused"], &shown["revision"]),
            (&true.into(), &2.into())
        );
    }
    assert_eq!(producer.stop().0, 0);
}

#[test]
fn a_file_that_is_named_anew_is_watched_even_while_it_is_missing_or_wrong() {
    let bench = Bench::new();
    let mut producer = with_parts(&bench, &[("a.toml", "")]);
    bench.file(
        "jobs.toml",
        format!("schedules = [\"a.toml\", \"new.toml\"]\n{TICK}"),
    );
    producer.line_with("new.toml cannot be read", PATIENCE);
    bench.file("new.toml", "[[schedule]]\nid = \"new\"\n");
    producer.line_with("new.toml:1", PATIENCE);
    bench.file("new.toml", named("new"));
    producer.line_with("1 added", PATIENCE);
    assert_eq!(ids(&bench), ["tick", "new"]);
}

#[test]
fn a_file_that_is_named_no_more_loses_its_schedules_whoever_applies_the_others_next() {
    let bench = Bench::new();
    let (a, b) = (named("a"), named("b"));
    let producer = with_parts(&bench, &[("a.toml", &a), ("b.toml", &b)]);
    assert_eq!(producer.stop().0, 0);
    bench.file("jobs.toml", format!("schedules = [\"b.toml\"]\n{TICK}"));
    let plan = bench.say("schedule plan jobs.toml").good();
    assert!(
        plan.contains("- a") && plan.contains("1 to remove"),
        "{plan}"
    );
    bench.say("schedule apply jobs.toml").good();
    assert_eq!(ids(&bench), ["tick", "b"]);
    // One that is applied by itself now is left alone.
    bench.say("schedule apply b.toml").good();
    bench.file("jobs.toml", TICK);
    bench.say("schedule apply jobs.toml").good();
    assert_eq!(ids(&bench), ["tick", "b"]);
}

#[test]
fn a_file_that_has_become_a_pipe_holds_nothing_up() {
    let bench = Bench::new();
    bench.file("jobs.toml", TICK.replace("1h", "1s"));
    let mut producer = producer(&bench);
    std::fs::remove_file(bench.path("jobs.toml")).unwrap();
    nix::unistd::mkfifo(&bench.path("jobs.toml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    producer.line_with("jobs.toml is no regular file", PATIENCE);
    assert_eq!(ids(&bench), ["tick"]);
    assert_eq!(producer.stop().0, 0);
}

#[test]
fn what_a_reload_changed_is_on_record() {
    let bench = Bench::new();
    bench.file("jobs.toml", TICK);
    let mut producer = producer(&bench);
    bench.file("jobs.toml", TOCK);
    producer.line_with("1 added, 0 changed, 1 removed", PATIENCE);
    // The record of the first reading has been kept when the second begins.
    producer.signal(Signal::SIGHUP);
    producer.line_with("asked by SIGHUP", PATIENCE);
    let service = Service::start(&bench, &[]);
    let (_, answer) = service.ask("GET /api/v1/audit", None, "");
    let record = &answer["items"][0];
    assert_eq!(record["subject"], "schedules of file:jobs.toml", "{answer}");
    assert_eq!(record["details"]["added"][0], "tock", "{answer}");
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
