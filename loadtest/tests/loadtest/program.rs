//! The program, and what it says.

use std::process::{Command, Output};

use serde_json::Value;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_tidemill-loadtest");

pub(crate) fn loadtest(arguments: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(arguments)
        .output()
        .expect("the program starts")
}

/// The line of JSON of a run that went well.
pub(crate) fn last_line(output: &Output) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    let text = str::from_utf8(&output.stdout).expect("text");
    serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
}

pub(crate) fn number(found: &Value, name: &str) -> f64 {
    let number = name.split('.').fold(found, |value, part| &value[part]);
    assert!(number.is_number(), "there is no {name} in {found}");
    number.as_f64().unwrap_or_default()
}

/// What it said on its way to this status.
pub(crate) fn errors(output: &Output, status: i32) -> String {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{errors}");
    errors
}

/// Where `cargo xtask test` says that a server is.
#[expect(
    clippy::disallowed_methods,
    reason = "`cargo xtask test` says where, as a test has no arguments"
)]
pub(crate) fn told(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub(crate) fn redis_server() -> String {
    told("TIDEMILL_TEST_REDIS_SERVER").unwrap_or_else(|| "redis-server".into())
}
