//! Every test of the workspace.

use crate::step::{Outcome, command, has_cargo, run};

/// Runs the examples in documents first and all other tests last, so that the last lines are the
/// runner's own summary.
pub(crate) fn run_all() -> Outcome {
    run(command(
        "cargo",
        &["test", "--workspace", "--doc", "--quiet"],
    ))?;
    if has_cargo("nextest") {
        println!("the tests are run by cargo-nextest");
        run(command(
            "cargo",
            &["nextest", "run", "--workspace", "--profile", "ci"],
        ))
    } else {
        println!("cargo-nextest is not installed, so the tests are run by cargo test");
        run(command(
            "cargo",
            &[
                "test",
                "--workspace",
                "--lib",
                "--bins",
                "--examples",
                "--tests",
                "--no-fail-fast",
            ],
        ))
    }
}
