//! Comparisons: with the floor, with another build, and with programs that keep to the protocol of the
//! peers, or do not.

use std::process::Output;

use crate::program::{PROGRAM, errors, last_line, loadtest};

const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers");

fn compare(arguments: &[&str]) -> Output {
    let to = [
        "compare",
        "--peers",
        PEERS,
        "--broker",
        "sqlite?synchronous=normal",
    ];
    loadtest(&[&to, arguments].concat())
}

#[test]
fn the_store_is_compared_with_its_floor() {
    let scenario = ["--scenario", "lifecycle", "--turns", "2"];
    let flags = ["--", "--tasks", "320", "--batch", "64"];
    let found = last_line(&compare(&[&scenario[..], &flags].concat()));
    let ratio = &found["figures"]["tasks_per_second"]["ratio"];
    assert!(ratio["median"].as_f64().unwrap() > 0.0, "{found}");
    assert!(ratio["min"].as_f64() <= ratio["max"].as_f64(), "{found}");
}

#[test]
fn two_builds_are_compared_and_the_first_can_be_too_slow() {
    let drain = ["--scenario", "drain", "--turns", "1", "--b", PROGRAM];
    let too_slow = ["--at-least", "1000", "--", "--tasks", "200"];
    let output = compare(&[&drain[..], &too_slow].concat());
    let said = errors(&output, 1);
    assert!(said.contains("expected 1000 or more"), "{said}");
}

#[test]
fn each_side_may_have_flags_of_its_own() {
    let sides = [
        "--a",
        "this --telemetry all",
        "--b",
        "this --telemetry beset",
    ];
    let drain = ["--scenario", "drain", "--turns", "1"];
    let output = compare(&[&sides[..], &drain, &["--", "--tasks", "200"]].concat());
    let found = last_line(&output);
    assert_eq!(found["b"], "this --telemetry beset");
    let taken = &found["figures"]["tasks_per_second"];
    assert!(taken["a"]["median"].as_f64().unwrap() > 0.0, "{found}");
}

#[test]
fn a_peer_is_a_program_that_says_a_line_of_json() {
    let peer = ["--scenario", "drain", "--turns", "2", "--a", "peer:still"];
    let output = compare(&[&peer[..], &["--b", "peer:still"]].concat());
    let found = last_line(&output);
    assert_eq!(found["figures"]["tasks_per_second"]["ratio"]["median"], 1.0);
    assert_eq!(found["versions"]["a"]["still"], "1.0.0");
}

#[test]
fn what_a_peer_does_not_do_is_skipped_with_its_word() {
    let peer = [
        "--scenario",
        "burst",
        "--b",
        "peer:choosy",
        "--a",
        "peer:still",
    ];
    let found = last_line(&compare(&peer));
    assert_eq!(found["skipped"], "peer:choosy: choosy has no burst");
}

#[test]
fn a_peer_that_has_lost_tasks_has_no_figures() {
    let peer = ["--scenario", "drain", "--a", "peer:forgetful"];
    let said = errors(&compare(&peer), 1);
    assert!(said.contains("lost is 1; expected 0"), "{said}");
}

#[test]
fn a_side_that_is_none_is_refused_with_those_that_there_are() {
    let said = errors(&compare(&["--scenario", "drain", "--a", "peer:nobody"]), 2);
    assert!(said.contains("choosy, forgetful, still"), "{said}");
    let said = errors(&compare(&["--scenario", "drain", "--a", "nonsense"]), 2);
    assert!(
        said.contains("expected `this`, `floor`, `peer:NAME`"),
        "{said}"
    );
}

#[test]
fn what_has_no_floor_is_skipped() {
    let flags = ["--scenario", "enqueue", "--", "--tasks", "50"];
    let found = last_line(&compare(&flags));
    assert!(
        found["skipped"]
            .as_str()
            .unwrap()
            .contains("no floor of enqueue"),
        "{found}"
    );
}
