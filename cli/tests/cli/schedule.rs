//! `tidemill schedule`.

mod backfill;
mod bounds;
mod plan;
mod put;

use serde_json::json;

use crate::bench::{Bench, PATIENCE, Running};

pub(crate) const TWO: &str = r#"
[[schedule]]
id = "digest"
cron = "0 9 * * MON"
time_zone = "Europe/Madrid"
kind = "echo"
payload = { to = "all", n = 1, since = 2026-01-01T00:00:00Z }

[[schedule]]
id = "tick"
every = "1h"
kind = "echo"
"#;

pub(crate) fn two() -> Bench {
    let bench = Bench::new();
    bench.file("jobs.toml", TWO);
    bench.say("schedule apply jobs.toml").good();
    bench
}

/// Behaviour 59.
#[test]
fn applying_a_file_twice_changes_nothing_and_a_change_is_just_the_difference() {
    let bench = Bench::new();
    bench.file("jobs.toml", TWO);
    let apply = || {
        bench
            .say("schedule apply jobs.toml -o json")
            .json()
            .remove(0)
    };
    assert_eq!(
        apply(),
        json!({ "source": "file:jobs.toml", "added": ["digest", "tick"], "changed": [], "removed": [], "unchanged": 0, "revoked": 0 })
    );
    for _ in 0..10 {
        let again = apply();
        assert_eq!(
            (&again["unchanged"], &again["added"]),
            (&json!(2), &json!([]))
        );
    }
    let third =
        TWO.replace("1h", "2h") + "[[schedule]]\nid = \"new\"\nevery = \"1m\"\nkind = \"echo\"\n";
    bench.file("jobs.toml", third.replace("\"digest\"", "\"digest-2\""));
    let difference = apply();
    assert_eq!(difference["added"], json!(["digest-2", "new"]));
    assert_eq!(difference["changed"], json!(["tick"]));
    assert_eq!(difference["removed"], json!(["digest"]));
}

#[test]
fn an_id_of_another_file_is_a_conflict() {
    let bench = two();
    bench.file(
        "other.toml",
        "[[schedule]]\nid = \"tick\"\nevery = \"5s\"\nkind = \"echo\"\n",
    );
    bench
        .say("schedule plan other.toml")
        .refused(1, "schedule tick belongs to file:jobs.toml");
    bench
        .say("schedule apply other.toml")
        .refused(1, "other.toml:2 cannot be applied");
    bench.file("copy.toml", format!("source = \"file:jobs.toml\"\n{TWO}"));
    assert!(
        bench
            .say("schedule apply copy.toml")
            .good()
            .contains("2 unchanged")
    );
}

#[test]
fn what_no_fire_could_be_made_of_is_refused_with_its_line() {
    let bench = Bench::new();
    let headers: Vec<_> = (0..61).map(|n| format!("h{n} = \"x\"")).collect();
    let many = format!("headers = {{ {} }}\n", headers.join(", "));
    let large = format!("payload = \"{}\"\n", "x".repeat(1_048_576));
    for (more, why) in [
        (many, "there are 61 headers; the limit is 60"),
        (large, "the limit is 1048576"),
    ] {
        bench.file(
            "jobs.toml",
            format!("{TWO}[[schedule]]\nid = \"bad\"\nevery = \"1h\"\nkind = \"echo\"\n{more}"),
        );
        for command in ["plan", "apply"] {
            let said = bench.say(&format!("schedule {command} jobs.toml"));
            said.refused(2, why);
        }
    }
    assert!(bench.say("schedule list -o json").json().is_empty());
}

#[test]
fn a_schedule_is_listed_and_shown_with_its_next_fires() {
    let bench = two();
    let listed = bench.say("schedule list -o json").json();
    let digest = listed
        .iter()
        .find(|record| record["id"] == "digest")
        .unwrap();
    assert_eq!(digest["cron"], "0 9 * * MON");
    assert_eq!(digest["time_zone"], "Europe/Madrid");
    assert_eq!(digest["source"], "file:jobs.toml");
    assert_eq!(digest["paused"], false);
    assert_eq!(
        digest["payload"],
        json!({ "to": "all", "n": 1, "since": "2026-01-01T00:00:00Z" })
    );
    let shown = bench.say("schedule show digest").good();
    assert_eq!(shown.matches("T09:00:00+0").count(), 5, "{shown}");
    let shown = bench.say("schedule show digest -o json").json().remove(0);
    assert_eq!(shown["next"].as_array().unwrap().len(), 5);
    bench
        .say("schedule show nope")
        .refused(1, "there is no schedule nope");
    let table = bench.say("schedule list").good();
    assert!(table.contains("every 1h"), "{table}");
}

/// Behaviour 66.
#[test]
fn run_now_pause_and_resume_leave_the_calendar_intact() {
    let bench = two();
    let calendar = || bench.say("schedule show digest -o json").json()[0]["next"].clone();
    let before = calendar();
    let id = bench
        .run(["schedule", "run-now", "digest", "--reason", "asked by ada"])
        .good();
    let task = bench.task(id.trim());
    assert_eq!(task["schedule_id"], "digest");
    assert!(
        bench
            .run(["task", "logs", id.trim()])
            .good()
            .contains("fired by ada: asked by ada")
    );
    let json = bench.say("schedule run-now tick -o json").json();
    assert!(json[0]["id"].is_string());
    bench
        .run(["schedule", "pause", "digest", "--reason", "holiday"])
        .good();
    let paused = bench.say("schedule show digest -o json").json().remove(0);
    assert_eq!(
        (&paused["paused"], &paused["pause_reason"]),
        (&json!(true), &json!("holiday"))
    );
    assert_eq!(paused["next"], json!([]));
    assert!(
        bench
            .say("schedule list")
            .good()
            .contains("paused: holiday")
    );
    bench.say("schedule resume digest").good();
    assert_eq!(calendar(), before);
    bench
        .say("schedule pause nope")
        .refused(1, "there is no schedule nope");
}

/// Behaviour 67.
#[test]
fn a_fire_can_be_looked_up_with_its_task_its_lateness_and_its_end() {
    let bench = two();
    let id = bench.say("schedule run-now tick").good();
    let _worker = bench.worker();
    bench.ended(id.trim());
    let fire = bench.say("schedule fires tick -o json").json().remove(0);
    assert_eq!(fire["schedule_id"], "tick");
    assert_eq!(fire["outcome"], "enqueued");
    assert_eq!(fire["task_id"], id.trim());
    assert_eq!(fire["ended"], "completed");
    assert_eq!(fire["manual"], true);
    assert!(
        fire["lateness_ms"].is_u64() && fire["enqueued_at"].is_string(),
        "{fire}"
    );
    let table = bench.say("schedule fires tick").good();
    assert!(
        table.contains("enqueued by hand") && table.contains("completed"),
        "{table}"
    );
    bench
        .say("schedule fires nope")
        .refused(1, "there is no schedule nope");
}

#[test]
fn a_deleted_schedule_is_gone_and_its_fires_stay() {
    let bench = two();
    bench.say("schedule run-now tick").good();
    assert_eq!(
        bench.say("schedule delete tick").good(),
        "schedule tick deleted\n"
    );
    bench
        .say("schedule delete tick")
        .refused(1, "there is no schedule tick");
    assert_eq!(bench.say("schedule fires tick -o json").json().len(), 1);
}

#[test]
fn files_that_a_configuration_names_are_read_relative_to_it() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("conf")).unwrap();
    bench.file("conf/tidemill.toml", "schedules = [\"more.toml\"]\n");
    bench.file("conf/more.toml", TWO);
    let applied = bench
        .say("schedule apply conf/tidemill.toml -o json")
        .json();
    assert_eq!(applied.len(), 2);
    assert_eq!(applied[1]["added"], json!(["digest", "tick"]));
    bench.file("conf/more.toml", "schedules = [\"x.toml\"]\n");
    bench
        .say("schedule apply conf/tidemill.toml")
        .refused(2, "names further files");
    bench.file("conf/tidemill.toml", "schedules = [\"gone.toml\"]\n");
    bench
        .say("schedule apply conf/tidemill.toml")
        .refused(2, "gone.toml cannot be read");
    bench.file("conf/tidemill.toml", "schedules = [\"tidemill.toml\"]\n");
    bench
        .say("schedule apply conf/tidemill.toml")
        .refused(2, "it is named in itself");
    bench
        .say("schedule apply /dev/zero")
        .refused(2, "/dev/zero is over 67108864 bytes");
}

#[test]
fn fires_are_chosen_by_instant_and_outcome_and_those_ahead_only_on_demand() {
    let bench = Bench::new();
    bench.file(
        "jobs.toml",
        "[[schedule]]\nid = \"tick\"\nevery = \"1s\"\nkind = \"echo\"\n",
    );
    let mut producer = bench.command();
    producer.args(["producer", "--schedules", "jobs.toml", "--horizon", "1h"]);
    let mut producer = Running::start(&mut producer);
    producer.line_with("leads", PATIENCE);
    let fires = |more: &str| bench.say(&format!("schedule fires tick -o json {more}"));
    // What is put ahead is on record before its time comes.
    while fires("--ahead --all").stdout.lines().count() < 1_500 {}
    producer.stop();
    let id = bench.say("schedule run-now tick").good();
    let seen = fires("--all").json();
    assert!(seen.len() < 1_000, "{}", seen.len());
    assert!(seen.iter().any(|fire| fire["task_id"] == id.trim()));
    let instants: Vec<_> = seen
        .iter()
        .map(|fire| fire["scheduled_at"].to_string())
        .collect();
    assert!(instants.is_sorted_by(|a, b| a > b), "newest first");

    assert_eq!(fires("--outcome skipped,missed").good(), "");
    assert!(!fires("--outcome enqueued").json().is_empty());
    fires("--outcome late").refused(2, "possible values");
    assert_eq!(fires("--until 2020-01-01T00:00:00Z").good(), "");
    assert_eq!(fires("--until 1h").good(), "");
    assert!(!fires("--since 1h").json().is_empty());
    assert_eq!(fires("--since 2099-01-01T00:00:00Z --ahead").good(), "");

    // A page ends amid what was read, and the next one goes on from there.
    let all = fires("--ahead --all").json();
    let first = fires("--ahead --limit 3");
    let cursor = first.stderr.split_whitespace().nth(2).unwrap().to_owned();
    let mut pages = first.json();
    pages.extend(fires(&format!("--ahead --limit 3 --cursor {cursor}")).json());
    assert_eq!(pages[..], all[..6]);
}
