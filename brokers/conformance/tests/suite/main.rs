//! The suite can fail: for each clause there is a broker that breaks it, and a case that says so.

mod faulty;
mod ledger;

use std::panic::{AssertUnwindSafe, catch_unwind};

use faulty::{Fault, Faulty};
use tidemill_conformance::{CASES, check, model};

/// Whether this case finds something wrong with a broker that has this fault.
fn finds(case: &str, fault: Fault) -> bool {
    let harness = Faulty(fault);
    catch_unwind(AssertUnwindSafe(|| check(case, &harness))).is_err()
}

fn is_found(fault: Fault, cases: &[&str]) {
    for case in cases {
        assert!(!finds(case, Fault::None), "{case} passes without a fault");
        assert!(finds(case, fault), "{case} finds {fault:?}");
    }
}

#[test]
fn an_answer_that_is_missing_is_found() {
    is_found(
        Fault::ShortAnswers,
        &["a_bad_item_does_not_harm_a_good_one"],
    );
}

#[test]
fn a_lease_that_is_handed_out_twice_is_found() {
    let cases = [
        "a_leased_task_is_not_leased_again",
        "many_workers_share_a_backlog_without_doubles",
    ];
    is_found(Fault::DoublesLeases, &cases);
}

#[test]
fn a_settlement_that_is_dropped_is_found() {
    let cases = [
        "settling_twice_is_stale",
        "success_removes_a_task_that_is_not_kept",
        "a_failed_task_runs_again_at_the_time_that_was_given",
    ];
    is_found(Fault::DropsSettlements, &cases);
}

#[test]
fn a_stale_token_that_is_honoured_is_found() {
    let cases = ["a_stale_token_changes_nothing", "settling_twice_is_stale"];
    is_found(Fault::HonoursStaleTokens, &cases);
}

#[test]
fn a_crash_that_is_counted_as_a_failure_is_found() {
    let cases = [
        "a_crash_is_not_counted_as_a_failure",
        "one_crash_costs_one_extra_run",
    ];
    is_found(Fault::MixesCounts, &cases);
}

#[test]
fn a_release_that_is_counted_is_found() {
    let cases = ["a_release_is_not_counted", "a_snooze_is_not_counted"];
    is_found(Fault::CountsReleases, &cases);
}

#[test]
fn a_lease_that_does_not_wait_is_found() {
    let cases = [
        "a_waiting_lease_wakes_for_a_new_task",
        "a_waiting_lease_does_not_end_before_its_deadline",
    ];
    is_found(Fault::NeverWaits, &cases);
}

#[test]
fn a_wrong_order_is_found() {
    let cases = [
        "the_first_that_is_ready_goes_first",
        "a_batch_keeps_its_order",
    ];
    is_found(Fault::LastInFirstOut, &cases);
    is_found(Fault::DropsPriorities, &["the_higher_priority_goes_first"]);
}

#[test]
fn a_key_that_is_ignored_is_found() {
    let cases = [
        "a_second_enqueue_with_a_live_key_names_the_first",
        "a_key_outlives_a_long_run",
    ];
    is_found(Fault::DropsKeys, &cases);
}

#[test]
fn a_sweep_that_does_nothing_or_too_much_is_found() {
    is_found(
        Fault::NeverSweeps,
        &["an_expired_lease_is_handed_out_again"],
    );
    is_found(
        Fault::IgnoresBudgets,
        &["a_sweep_does_no_more_than_its_budget"],
    );
}

#[test]
fn namespaces_that_meet_are_found() {
    let cases = [
        "a_namespace_yields_its_own_tasks_only",
        "a_ledger_remembers_for_one_namespace",
    ];
    is_found(Fault::MixesNamespaces, &cases);
}

#[test]
fn an_instant_that_is_not_of_the_clock_is_found() {
    let cases = [
        "every_instant_comes_from_the_clock",
        "a_lease_carries_its_proof_and_its_end",
    ];
    is_found(Fault::ReadsAnotherClock, &cases);
}

#[test]
fn a_fire_that_should_be_refused_is_found() {
    let epochs = ["the_fires_of_a_former_leader_are_refused"];
    is_found(Fault::IgnoresEpochs, &epochs);
    let batches = ["a_term_that_knows_of_more_batches_than_there_are_is_refused"];
    is_found(Fault::IgnoresBatches, &batches);
    let revisions = ["a_fire_of_an_old_revision_is_refused"];
    is_found(Fault::IgnoresRevisions, &revisions);
    let pauses = ["a_paused_schedule_has_no_fires"];
    is_found(Fault::NeverPauses, &pauses);
}

#[test]
fn an_application_that_changes_everything_is_found() {
    let cases = [
        "applying_the_same_file_again_changes_nothing",
        "applying_a_changed_file_changes_just_the_difference",
    ];
    is_found(Fault::AppliesAnew, &cases);
}

#[test]
fn a_ledger_that_does_not_fence_or_forget_is_found() {
    let fences = [
        "a_stale_run_cannot_claim_or_commit_a_step",
        "a_note_is_written_only_under_its_precondition",
    ];
    is_found(Fault::IgnoresFences, &fences);
    let cursors = ["a_log_is_read_page_by_page_and_goes_on"];
    is_found(Fault::IgnoresCursors, &cursors);
    let ends = [
        "another_takes_over_when_the_lead_lapses",
        "a_completion_is_remembered_for_its_window",
        "a_process_that_is_not_heard_of_is_gone",
        "a_note_is_forgotten_after_its_time",
    ];
    is_found(Fault::NeverForgets, &ends);
}

#[test]
fn the_model_test_finds_no_difference_between_equals() {
    model::run(&Faulty(Fault::None), &Faulty(Fault::None));
}

#[test]
fn the_model_test_finds_each_fault() {
    for fault in [
        Fault::DoublesLeases,
        Fault::DropsSettlements,
        Fault::HonoursStaleTokens,
        Fault::MixesCounts,
        Fault::LastInFirstOut,
        Fault::DropsPriorities,
        Fault::DropsKeys,
        Fault::NeverSweeps,
        Fault::IgnoresEpochs,
        Fault::IgnoresRevisions,
        Fault::AppliesAnew,
        Fault::NeverPauses,
        Fault::IgnoresFences,
        Fault::NeverForgets,
    ] {
        let (subject, oracle) = (Faulty(fault), Faulty(Fault::None));
        let run = AssertUnwindSafe(|| model::run(&subject, &oracle));
        assert!(catch_unwind(run).is_err(), "it finds {fault:?}");
    }
}

#[test]
fn every_case_has_a_name_of_its_own_in_the_contract() {
    let contract = include_str!("../../../../docs/contract.md");
    let mut names: Vec<_> = CASES.iter().map(|case| case.name).collect();
    for name in &names {
        let quoted = format!("`{name}`");
        assert!(contract.contains(&quoted), "docs/contract.md names {name}");
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CASES.len(), "names are unique");
}

#[test]
fn the_contract_names_no_case_that_does_not_exist() {
    let contract = include_str!("../../../../docs/contract.md");
    let named = contract.lines().filter_map(|line| {
        let name = line.strip_prefix("- `")?.split('`').next()?;
        name.contains('_').then_some(name)
    });
    for name in named {
        let is_known = CASES.iter().any(|case| case.name == name);
        assert!(is_known, "{name} is a case");
    }
}
