//! Who may name whom among the crates of the workspace.

use serde_json::Value;

use crate::step::{Outcome, command, outcome};

/// A crate, what it may depend on, and what only its tests may name besides.
type Rule = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const STORES: &[&str] = &[
    "tidemill-memory",
    "tidemill-embedded",
    "tidemill-redis",
    "tidemill-rabbitmq",
];
const SUITE: &[&str] = &[
    "tidemill-conformance",
    "tidemill-memory",
    "tidemill-embedded",
    "tidemill-redis",
    "tidemill-rabbitmq",
];

const RULES: &[Rule] = &[
    ("tidemill-shared", &[], &[]),
    ("tidemill-macros", &["tidemill-shared"], &["tidemill"]),
    ("tidemill-memory", &["tidemill-shared"], SUITE),
    ("tidemill-embedded", &["tidemill-shared"], SUITE),
    ("tidemill-redis", &["tidemill-shared"], SUITE),
    ("tidemill-rabbitmq", &["tidemill-shared"], SUITE),
    ("tidemill-conformance", &["tidemill-shared"], STORES),
    ("tidemill-producer", &["tidemill-shared"], STORES),
    ("tidemill-worker", &["tidemill-shared"], STORES),
    (
        "tidemill-control",
        &["tidemill-shared", "tidemill-producer"],
        STORES,
    ),
    (
        "tidemill-telemetry",
        &["tidemill-shared", "tidemill-producer", "tidemill-worker"],
        STORES,
    ),
    (
        "tidemill",
        &[
            "tidemill-shared",
            "tidemill-macros",
            "tidemill-memory",
            "tidemill-embedded",
            "tidemill-redis",
            "tidemill-rabbitmq",
            "tidemill-producer",
            "tidemill-worker",
            "tidemill-telemetry",
        ],
        &[],
    ),
    ("tidemill-cli", &["tidemill", "tidemill-control"], &[]),
    (
        "tidemill-loadtest",
        &["tidemill", "tidemill-rabbit-node"],
        &[],
    ),
    (
        "tidemill-hot-paths",
        &["tidemill-shared"],
        &["tidemill-memory", "tidemill-worker"],
    ),
    ("tidemill-examples", &["tidemill"], &[]),
    ("tidemill-e2e", &["tidemill", "tidemill-rabbit-node"], &[]),
    ("tidemill-rabbit-node", &[], &[]),
    ("xtask", &["tidemill-rabbit-node"], &[]),
];

/// Compares `cargo metadata` with the rules; a crate without a rule is a problem too.
pub(super) fn check() -> Outcome {
    let failed = |what: String| vec![format!("cargo metadata: {what}")];
    let output = command("cargo", &["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .map_err(|error| failed(error.to_string()))?;
    let metadata: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))?;
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    let members: Vec<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    let mut problems = Vec::new();
    for package in &packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, normal, tests)) = RULES.iter().find(|(ruled, _, _)| *ruled == name) else {
            problems.push(format!(
                "{name} has no rule in xtask/src/check/dependencies.rs"
            ));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = dependency["name"].as_str().unwrap_or_default();
            let in_tests = dependency["kind"] == "dev" && tests.contains(&to);
            if members.contains(&to) && !normal.contains(&to) && !in_tests && to != name {
                problems.push(format!("{name} must not depend on {to}"));
            }
        }
    }
    outcome(problems)
}
