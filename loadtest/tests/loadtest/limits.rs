//! What a task may cost on Redis, in commands: no clock, so the same on every machine.

use serde_json::Value;

use crate::program::{loadtest, redis_server};

#[test]
fn a_life_cycle_on_redis_costs_no_more_commands_than_its_limits() {
    let server = redis_server();
    let to = [
        "run", "--broker", "redis", "--server", &server, "-o", "json",
    ];
    let what = [
        "--scenario",
        "lifecycle",
        "--tasks",
        "6400",
        "--batch",
        "64",
    ];
    let output = loadtest(&[&to[..], &what].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // The line is all that it says.
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let limits: toml::Table = include_str!("../../limits.toml").parse().expect("TOML");
    for name in ["commands_per_task", "scripts_per_task"] {
        let limit = limits["redis"][name].as_float().expect("a number");
        let cost = found[name].as_f64().expect("a number");
        assert!(
            cost <= limit,
            "{name} is {cost}; loadtest/limits.toml allows {limit}. If that is worth it, raise \
             [redis] {name} there and say in the commit what is had for it"
        );
    }
}
