//! Start, end, limit and excluded dates in files, and how they are shown.

use serde_json::json;

use crate::bench::{Bench, PATIENCE, Running};

fn tick(more: &str) -> String {
    format!("[[schedule]]\nid = \"tick\"\nkind = \"echo\"\nevery = \"1s\"\n{more}\n")
}

#[test]
fn bounds_are_read_from_a_file_and_shown() {
    let bench = Bench::new();
    let bounds = "start = 2020-01-01T00:00:00+01:00\nend = \"2999-01-01T00:00:00Z\"\nlimit = 5\nexclude = [2020-12-25, \"2020-12-31..2021-01-02\"]";
    bench.file("jobs.toml", tick(bounds));
    bench.say("schedule apply jobs.toml").good();
    let again = bench.say("schedule apply jobs.toml").good();
    assert!(again.contains("1 unchanged"), "{again}");
    let shown = bench.say("schedule show tick -o json").json().remove(0);
    assert_eq!(shown["start"], "2019-12-31T23:00:00.000Z");
    assert_eq!(shown["end"], "2999-01-01T00:00:00.000Z");
    assert_eq!(shown["limit"], 5);
    assert_eq!(
        shown["exclude"],
        json!(["2020-12-25", "2020-12-31..2021-01-02"])
    );
    assert_eq!(shown["spent"], false);
    let table = bench.say("schedule list").good();
    assert!(table.contains("0/5"), "{table}");
}

#[test]
fn a_schedule_that_has_come_to_its_limit_is_shown_as_spent() {
    let bench = Bench::new();
    bench.file("jobs.toml", tick("limit = 2"));
    let mut producer = bench.command();
    producer.args(["producer", "--schedules", "jobs.toml", "--log", "info"]);
    let mut producer = Running::start(&mut producer);
    producer.line_with("schedule has come to its limit", PATIENCE);
    producer.stop();
    let shown = || bench.say("schedule show tick -o json").json().remove(0);
    assert_eq!(shown()["fire_count"], 2);
    // Both were put ahead; when their instants have come there are no more.
    while shown()["spent"] == false {}
    assert_eq!(shown()["next"], json!([]));
    let table = bench.say("schedule list").good();
    assert!(table.contains("spent") && table.contains("2/2"), "{table}");
    let shown = bench.say("schedule show tick").good();
    assert!(shown.contains("state         spent"), "{shown}");
}

/// S36.
#[test]
fn bounds_that_make_no_sense_are_refused_at_their_line() {
    let bench = Bench::new();
    for (more, place, reason) in [
        (
            "start = 2026-01-02T00:00:00Z\nend = 2026-01-01T00:00:00Z",
            "jobs.toml:5",
            "is before the start",
        ),
        ("limit = 0", "jobs.toml:5", "the limit is zero"),
        ("start = 2026-01-02T00:00:00", "jobs.toml:5", "zone"),
        (
            "exclude = [\"tomorrow\"]",
            "jobs.toml:5",
            "expected 2026-12-25 or",
        ),
        ("exclude = \"2026-12-25\"", "jobs.toml:5", "expected a list"),
        ("starts = 2026-01-02T00:00:00Z", "jobs.toml:5", "start"),
    ] {
        bench.file("jobs.toml", tick(more));
        let answer = bench.say("schedule apply jobs.toml").refused(2, reason);
        assert!(answer.stderr.contains(place), "{more}: {}", answer.stderr);
    }
}

#[test]
fn a_schedule_whose_instants_are_all_left_out_is_warned_of() {
    let bench = Bench::new();
    bench.file("jobs.toml", tick("end = 2020-01-01T00:00:00Z"));
    let plan = bench.say("schedule plan jobs.toml");
    let warning = "schedule tick never fires again: every 1s, until 2020-01-01T00:00:00.000Z";
    assert!(plan.stderr.contains(warning), "{}", plan.stderr);
}
