//! Every test of the workspace, with the services that tests need.

mod runner;

use clap::Args;

use crate::interrupts::Interrupts;
use crate::services::{Services, Source};
use crate::step::{Outcome, has_cargo};

/// The tests, or some of them.
#[derive(Args)]
pub(crate) struct Test {
    #[command(flatten)]
    source: Source,
    /// Words and options for the test runner, such as `-p tidemill-redis conformance`; the examples in
    /// documents are left out then.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

impl Test {
    /// Runs the examples in documents first and all other tests last, so that the last lines are the
    /// runner's own summary.
    pub(crate) fn run(&self) -> Outcome {
        let interrupts = Interrupts::listen()?;
        println!("the services that tests need are started");
        let services = Services::start(&self.source, &interrupts)?;
        let run = |arguments: &[&str]| {
            let variables = services.variables();
            runner::run(arguments, variables, &interrupts)
        };
        if self.words.is_empty() {
            run(&["test", "--workspace", "--doc", "--quiet"])?;
        }
        if has_cargo("nextest") {
            println!("the tests are run by cargo-nextest");
            run(&with_words(
                &["nextest", "run", "--profile", "ci"],
                &[],
                &self.words,
            ))
        } else {
            println!("cargo-nextest is not installed, so the tests are run by cargo test");
            let targets = ["--lib", "--bins", "--examples", "--tests"];
            run(&with_words(
                &["test", "--no-fail-fast"],
                &targets,
                &self.words,
            ))
        }
    }
}

/// The whole workspace and these targets, unless the words ask for less.
fn with_words<'w>(command: &[&'w str], targets: &[&'w str], words: &'w [String]) -> Vec<&'w str> {
    let names_packages = words.iter().any(|word| {
        word.starts_with("--package")
            || word == "--workspace"
            || word.starts_with("-p") && !word.starts_with("--")
    });
    let mut arguments = command.to_vec();
    if !names_packages {
        arguments.push("--workspace");
    }
    if words.is_empty() {
        arguments.extend(targets);
    }
    arguments.extend(words.iter().map(String::as_str));
    arguments
}

#[cfg(test)]
mod tests {
    use super::with_words;

    fn arguments(words: &[&str]) -> String {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        with_words(&["nextest", "run"], &["--tests"], &words).join(" ")
    }

    #[test]
    fn without_words_everything_is_tested() {
        assert_eq!(arguments(&[]), "nextest run --workspace --tests");
    }

    #[test]
    fn words_are_passed_on_and_a_package_takes_the_place_of_the_workspace() {
        assert_eq!(arguments(&["lease"]), "nextest run --workspace lease");
        assert_eq!(arguments(&["-p", "xtask"]), "nextest run -p xtask");
        assert_eq!(
            arguments(&["--package=xtask", "port"]),
            "nextest run --package=xtask port"
        );
    }
}
