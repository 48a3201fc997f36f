//! Every test of the workspace, with the services that tests need.

mod on_rabbitmq;
mod on_redis;
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
    /// Runs the examples in documents first, then the behaviours on Redis and on RabbitMQ, and all tests last, so that
    /// the last lines are the runner's own summary.
    pub(crate) fn run(&self) -> Outcome {
        let interrupts = Interrupts::listen()?;
        println!("the services that tests need are started");
        let services = Services::start(&self.source, &interrupts)?;
        let run = |arguments: &[&str], more: &[(&'static str, String)]| {
            let variables = [services.variables(), more].concat();
            runner::run(arguments, &variables, &interrupts)
        };
        let (command, targets): (&[&str], &[&str]) = if has_cargo("nextest") {
            println!("the tests are run by cargo-nextest");
            (&["nextest", "run", "--profile", "ci"], &[])
        } else {
            println!("cargo-nextest is not installed, so the tests are run by cargo test");
            let targets = &["--lib", "--bins", "--examples", "--tests"];
            (&["test", "--no-fail-fast"], targets)
        };
        if !self.words.is_empty() {
            return run(&with_words(command, targets, &self.words), &[]);
        }
        run(&["test", "--workspace", "--doc", "--quiet"], &[])?;
        let behaviours = [command, &["--workspace"], on_redis::TARGETS, on_redis::BUT].concat();
        let redis = (on_redis::STORE, services.redis().to_owned());
        let on_redis = run(&behaviours, &[redis]);
        interrupts.check()?;
        let operators = [
            command,
            &["--workspace"],
            on_rabbitmq::TARGETS,
            on_rabbitmq::MODULES,
        ]
        .concat();
        let rabbitmq = (on_redis::STORE, services.rabbitmq().to_owned());
        let on_rabbitmq = run(&operators, &[rabbitmq]);
        interrupts.check()?;
        // Whatever has failed on these, the others are run: who mends it wants to know all.
        on_redis
            .and(on_rabbitmq)
            .and(run(&with_words(command, targets, &[]), &[]))
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
