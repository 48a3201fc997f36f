//! `tidemill schedule put`.

use serde_json::json;

use crate::schedule::two;

#[test]
fn a_schedule_is_added_changed_and_survives_the_application_of_files() {
    let bench = two();
    let put = |words: &[&str]| bench.run(["schedule", "put", "nightly"].iter().chain(words));
    let args = [
        "--kind",
        "report.build",
        "--cron",
        "0 3 * * *",
        "--time-zone",
        "Europe/Madrid",
        "--payload",
        r#"{"pages":[1,2]}"#,
        "--set",
        "overlap=skip",
        "--set",
        r#"retry={"max_attempts":3}"#,
    ];
    let dry = put(&[&args[..], &["--dry-run"]].concat()).good();
    assert!(dry.contains("nightly would be added: 0 3 * * *"), "{dry}");
    bench
        .say("schedule show nightly")
        .refused(1, "there is no schedule nightly");
    let added = put(&args).good();
    assert!(added.contains("nightly added: 0 3 * * *"), "{added}");
    let shown = bench.say("schedule show nightly -o json").json().remove(0);
    assert_eq!(shown["source"], "cli");
    assert_eq!(shown["payload"], json!({ "pages": [1, 2] }));
    assert_eq!(shown["overlap"], "skip");
    assert_eq!(shown["retry"]["max_attempts"], 3);
    // Again, it is the same; with another rule it is the next revision.
    assert!(put(&args).good().contains("nightly unchanged"));
    let hourly = ["--kind", "report.build", "--every", "1h", "-o", "json"];
    let changed = put(&hourly).json().remove(0);
    assert_eq!(
        (&changed["revision"], &changed["every"]),
        (&json!(2), &json!("1h"))
    );
    // A file removes only what it owns.
    bench.file("jobs.toml", "");
    bench.say("schedule apply jobs.toml").good();
    let left = bench.say("schedule list -o json").json();
    assert_eq!((left.len(), &left[0]["id"]), (1, &json!("nightly")));
}

#[test]
fn what_is_wrong_is_refused_and_changes_nothing() {
    let bench = two();
    let refused = |words: &str, status, text: &str| {
        bench
            .say(&format!("schedule put {words}"))
            .refused(status, text);
    };
    refused(
        "tick --kind echo --every 5s",
        1,
        "schedule tick belongs to file:jobs.toml",
    );
    refused("new --kind echo", 2, "expected one of cron, every and at");
    refused(
        "new --kind echo --every 5s --cron *",
        2,
        "cannot be used with",
    );
    refused("new --kind echo --every soon", 2, "soon");
    refused(
        "new --kind echo --every 5s --set overlapp=skip",
        2,
        "overlapp",
    );
    refused(
        "new --kind echo --every 5s --set every=6s",
        2,
        "every is given twice",
    );
    refused(
        "new --kind echo --every 5s --set overlap",
        2,
        "expected KEY=VALUE",
    );
    assert_eq!(bench.say("schedule list -o json").json().len(), 2);
}
