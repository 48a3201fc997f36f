//! What the command line changes at the store itself is on record, as what comes through the HTTP API is.

use serde_json::Value;

use crate::bench::Bench;
use crate::control::Service;

/// S55.
#[test]
fn what_is_changed_at_the_store_is_on_record_with_who_and_why() {
    let bench = Bench::new();
    bench.file(
        "jobs.toml",
        "[[schedule]]\nid = \"yearly\"\ncron = \"0 0 1 1 *\"\nkind = \"echo\"\n",
    );
    for id in ["a", "b", "c"] {
        bench.enqueue(&["echo", "--id", id, "--queue", "mail"]);
    }
    for words in [
        "queue pause mail --reason because",
        "queue resume mail --reason because",
        "task cancel a --reason because",
        "task bury --queue mail --state pending --reason because",
        "dead replay b --reason because",
        "task delete c --yes --reason because",
        "schedule apply jobs.toml --reason because",
        "schedule pause yearly --reason because",
        "schedule run-now yearly --reason because",
        "schedule delete yearly --reason because",
        "queue remove mail --force --reason because",
    ] {
        bench.say(words).good();
    }
    let service = Service::start(&bench, &[]);
    let (_, answer) = service.ask("GET /api/v1/audit?limit=1000", None, "");
    let mut records = answer["items"].as_array().unwrap().clone();
    records.reverse();
    for record in &records {
        for (name, value) in [("actor", "ada"), ("from", "cli"), ("outcome", "done")] {
            assert_eq!(record[name], value, "{record}");
        }
        assert_eq!(record["reason"], "because", "{record}");
    }
    let told = |record: &Value| {
        let text = |name: &str| record[name].as_str().unwrap().to_owned();
        format!("{}: {}", text("action"), text("subject"))
    };
    let told: Vec<_> = records.iter().map(told).collect();
    assert_eq!(
        told,
        [
            "paused: queue mail",
            "resumed: queue mail",
            "cancelled: a",
            "buried: 2 tasks",
            "replayed: b",
            "deleted: c",
            "applied: schedules of file:jobs.toml",
            "paused: schedule yearly",
            "fired: schedule yearly",
            "deleted: schedule yearly",
            "removed: queue mail",
        ]
    );
    service.stop();
}
