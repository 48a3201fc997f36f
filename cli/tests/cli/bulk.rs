//! Changes of many tasks by filter.

use serde_json::json;

use crate::bench::{Bench, call};

fn six() -> Bench {
    let bench = Bench::new();
    for number in 0..6 {
        let queue = if number < 4 { "many" } else { "few" };
        bench.enqueue(&[
            "echo",
            "--id",
            &format!("t{number}"),
            "--queue",
            queue,
            "--key",
            &format!("k{number}"),
        ]);
    }
    bench
}

fn count(bench: &Bench, words: &str) -> usize {
    bench
        .say(&format!("task list --all -o json {words}"))
        .json()
        .len()
}

#[test]
fn a_bulk_change_wants_a_choice_and_a_yes() {
    let bench = six();
    bench
        .say("task cancel")
        .refused(2, "nothing says which tasks are meant");
    bench
        .say("task cancel t1 --queue many")
        .refused(2, "ids and filters are given at once");
    bench
        .say("task delete --queue many")
        .refused(2, "this would delete 4 tasks for good")
        .refused(2, "--yes");
    assert_eq!(count(&bench, "--state pending"), 6);
}

/// Behaviour 74.
#[test]
fn a_bulk_change_reports_its_counts_and_keeps_to_its_filter() {
    let bench = six();
    let dry = bench.say("task cancel --queue many --dry-run").good();
    assert!(
        dry.ends_with("4 tasks would be cancelled (dry run)\n"),
        "{dry}"
    );
    assert_eq!(count(&bench, "--state pending"), 6);
    let listed = bench
        .say("task cancel --queue many --dry-run -o json")
        .json();
    assert_eq!(listed.len(), 4);

    assert_eq!(
        bench.say("task cancel --queue many --limit 3 --yes").good(),
        "3 tasks cancelled\n"
    );
    assert_eq!(count(&bench, "--state cancelled --queue many"), 3);
    let answer = bench.say("task cancel --queue many --yes -o json").json();
    assert_eq!(answer, [json!({ "changed": 1, "refused": 3 })]);
    assert_eq!(count(&bench, "--state pending --queue few"), 2);
}

/// Behaviour 19.
#[test]
fn keys_are_free_again_after_everything_was_deleted() {
    let bench = six();
    assert_eq!(
        bench.say("task delete --all --yes").good(),
        "6 tasks deleted\n"
    );
    for number in 0..6 {
        let id = format!("again{number}");
        assert_eq!(
            bench.enqueue(&[
                "echo",
                "--id",
                &id,
                "--queue",
                "many",
                "--key",
                &format!("k{number}")
            ]),
            id
        );
    }
}

#[test]
fn tasks_are_rescheduled_and_run_now_by_filter() {
    let bench = six();
    let moved = bench
        .say("task reschedule --queue many --at 2099-01-01T00:00:00Z")
        .good();
    assert_eq!(moved, "4 tasks rescheduled\n");
    assert_eq!(count(&bench, "--state scheduled"), 4);
    bench
        .say("task retry --queue many")
        .refused(2, "--state scheduled");
    assert_eq!(
        bench
            .say("task retry --queue many --state scheduled")
            .good(),
        "4 tasks retried\n"
    );
    assert_eq!(count(&bench, "--state pending"), 6);
    bench.say("task reschedule t1").refused(2, "--at");
}

#[test]
fn a_bulk_change_leaves_its_reason_with_each_task() {
    let bench = six();
    bench
        .say("task cancel --queue few --yes --reason obsolete")
        .good();
    for id in ["t4", "t5"] {
        let log = bench.run(["task", "logs", id]).good();
        assert_eq!(log, "[tidemill] cancelled by ada: obsolete\n");
    }
}

#[test]
fn the_question_is_not_asked_where_nobody_can_answer() {
    let bench = six();
    let mut command = bench.command();
    let answer = call(command.args(["task", "cancel", "--all"]), b"6\n");
    answer.refused(2, "this would cancel 6 tasks for good");
}
