//! Everything but the tests.

mod dependencies;
mod layout;
mod links;

use crate::step::{Outcome, command, has_cargo};
use crate::{behaviours, dashboards, quotes, step};

type Step = (&'static str, fn() -> Outcome);

const STEPS: &[Step] = &[
    ("format", format),
    ("dependency rules", dependencies::check),
    ("layout of the sources", layout::check),
    ("links of the documents", links::check),
    ("code that documents quote", quotes::check),
    ("behaviours named by tests", behaviours::check),
    ("dashboards", dashboards::check),
    ("types of the dashboards", dashboards::check_types),
    ("lints", lints),
    ("API documents", documents),
    ("advisories, licences, bans", deny),
];

/// Runs every step whose name contains one of these words (all, when there are none), also when an
/// earlier one found something, and collects what is wrong.
pub(crate) fn run(words: &[String]) -> Outcome {
    let mut problems = Vec::new();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
    for (name, check) in STEPS.iter().filter(|(name, _)| wanted(name)) {
        println!("=== {name}");
        if let Err(found) = check() {
            problems.extend(
                found
                    .into_iter()
                    .map(|problem| format!("{name}: {problem}")),
            );
        }
    }
    step::outcome(problems)
}

fn format() -> Outcome {
    step::run(command("cargo", &["fmt", "--all", "--check"]))
}

fn lints() -> Outcome {
    let mut clippy = command(
        "cargo",
        &["clippy", "--workspace", "--all-targets", "--quiet", "--"],
    );
    clippy.args(["-D", "warnings"]);
    step::run(clippy)
}

fn documents() -> Outcome {
    let mut doc = command("cargo", &["doc", "--workspace", "--no-deps", "--quiet"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    step::run(doc)
}

fn deny() -> Outcome {
    if has_cargo("deny") {
        step::run(command("cargo", &["deny", "check"]))
    } else {
        println!("cargo-deny is not installed: left out");
        Ok(())
    }
}
