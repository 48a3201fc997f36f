//! `tidemill dead`.

use serde_json::json;

use crate::bench::Bench;

/// Three dead letters of two kinds of misfortune, and one task that waits.
fn three() -> Bench {
    let bench = Bench::new();
    let worker = bench.worker();
    for (id, payload) in [
        ("a", r#"{"message":"no disk","reject":true}"#),
        ("b", r#"{"message":"no net","reject":true}"#),
        ("c", r#"{"message":"no net at all"}"#),
    ] {
        bench.enqueue(&[
            "fail",
            "--id",
            id,
            "--max-attempts",
            "1",
            "--payload",
            payload,
        ]);
        bench.ended(id);
    }
    worker.stop();
    bench.enqueue(&["echo", "--id", "waits"]);
    bench
}

fn ids(bench: &Bench, words: &str) -> Vec<String> {
    let tasks = bench.say(&format!("dead list -o json {words}")).json();
    tasks
        .iter()
        .map(|task| task["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_dead_letter_shows_its_reason_and_its_failures() {
    let bench = three();
    let letter = bench.say("dead show c -o json").json().remove(0);
    assert_eq!(letter["state"], "dead");
    assert_eq!(letter["reason"], "attempts_exhausted");
    assert_eq!(letter["failures"][0]["attempt"], 1);
    assert_eq!(letter["failures"][0]["error"], "error: no net at all");
    assert!(letter["failures"][0]["worker_id"].is_string());
    assert!(letter["buried_at"].is_string());
    let shown = bench.say("dead show a").good();
    assert!(
        shown.contains("buried for rejected") && shown.contains("no disk"),
        "{shown}"
    );
    bench
        .say("dead show waits")
        .refused(1, "is pending, not a dead letter");
}

#[test]
fn dead_letters_are_listed_by_filter() {
    let bench = three();
    assert_eq!(ids(&bench, ""), ["c", "b", "a"]);
    assert_eq!(ids(&bench, "--buried-for rejected"), ["b", "a"]);
    assert_eq!(ids(&bench, "--error net"), ["c", "b"]);
    assert_eq!(ids(&bench, "--kind echo").len(), 0);
    assert_eq!(bench.say("dead list").good().lines().count(), 4);
    bench
        .say("dead list --buried-for bad-luck")
        .refused(2, "attempts_exhausted");
}

/// Behaviour 78.
#[test]
fn a_replay_is_shown_first_edited_and_sent_to_another_queue() {
    let bench = three();
    let dry = bench.say("dead replay --error net --dry-run").good();
    assert!(
        dry.ends_with("2 tasks would be replayed (dry run)\n"),
        "{dry}"
    );
    assert_eq!(ids(&bench, "").len(), 3);
    let mut args: Vec<_> =
        "dead replay --error net --to-queue repair --reset-attempts --rate 100/s"
            .split(' ')
            .collect();
    args.extend([
        "--reason",
        "net is back",
        "--edit",
        r#"{"reject":null,"succeed_on_attempt":1}"#,
    ]);
    assert_eq!(bench.run(args).good(), "2 tasks replayed\n");
    assert_eq!(ids(&bench, ""), ["a"]);
    let task = bench.task("b");
    assert_eq!(
        (&task["state"], &task["queue"]),
        (&json!("pending"), &json!("repair"))
    );
    assert_eq!(
        task["payload"],
        json!({ "message": "no net", "succeed_on_attempt": 1 })
    );
    let log = bench.say("task logs b").good();
    assert!(log.contains("replayed by ada: net is back"), "{log}");
    assert_eq!(bench.task("waits")["state"], "pending");
}

#[test]
fn a_replay_by_id_touches_nothing_else() {
    let bench = three();
    bench
        .say("dead replay")
        .refused(2, "nothing says which tasks are meant");
    bench
        .say("dead replay waits")
        .refused(1, "not a dead letter");
    bench
        .run(["dead", "replay", "a", "--edit", "{"])
        .refused(2, "--edit is wrong");
    assert_eq!(bench.say("dead replay a").good(), "a: dead -> pending\n");
    assert_eq!(ids(&bench, ""), ["c", "b"]);
    assert_eq!(
        bench.say("dead replay --all --limit 1").good(),
        "1 task replayed\n"
    );
    assert_eq!(ids(&bench, "").len(), 1);
}

/// Behaviour 77: what goes is counted, and only goes when asked; `dead list -o json` exports it before.
#[test]
fn a_purge_wants_a_yes_and_removes_dead_letters_alone() {
    let bench = three();
    bench
        .say("dead purge --all")
        .refused(2, "this would remove 3 tasks for good");
    bench
        .say("dead purge a")
        .refused(2, "this would remove 1 task for good");
    let dry = bench.say("dead purge --all --dry-run").good();
    assert!(
        dry.ends_with("3 tasks would be removed (dry run)\n"),
        "{dry}"
    );
    assert_eq!(
        bench.say("dead purge a --yes").good(),
        "a: dead -> removed\n"
    );
    assert_eq!(
        bench.say("dead purge --all --yes").good(),
        "2 tasks removed\n"
    );
    assert_eq!(ids(&bench, "").len(), 0);
    assert_eq!(bench.task("waits")["state"], "pending");
}
