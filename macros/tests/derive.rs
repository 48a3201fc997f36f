//! What `#[derive(Task)]` accepts, and what it says to the rest.

#[test]
fn a_task_is_written_or_refused_with_the_place() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/accepted/*.rs");
    cases.compile_fail("tests/refused/*.rs");
}
