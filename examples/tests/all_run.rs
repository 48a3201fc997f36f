//! Every example runs to its end and says what it promises.

use std::path::PathBuf;
use std::process::Command;

/// The folder that cargo builds examples into: beside the one of this test.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("tests are built into deps/");
    profile.join("examples").join(name)
}

fn output_of(name: &str) -> String {
    let output = Command::new(example(name))
        .output()
        .expect("cargo has built the examples");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{name} failed with {}\n{text}{errors}",
        output.status
    );
    text
}

macro_rules! says {
    ($($name:ident: $($line:literal),+;)*) => {
        $(#[test]
        fn $name() {
            let text = output_of(stringify!($name));
            for line in [$($line),+] {
                assert!(text.contains(line), "{line:?} is not in\n{text}");
            }
        })*

        #[test]
        fn no_example_is_left_out() {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
            let mut files: Vec<_> = std::fs::read_dir(folder)
                .expect("the examples are there")
                .filter_map(|entry| entry.ok()?.path().file_stem()?.to_str().map(str::to_owned))
                .collect();
            files.sort();
            let mut known = [$(stringify!($name)),*];
            known.sort_unstable();
            assert_eq!(files, known);
        }
    };
}

says! {
    hello: "welcome, ada@example.com (token ";
    enqueue_options: "report-2026-03 is scheduled in queue reports", "a raw task: true", "refused: ";
    delayed: "now scheduled", "reminder: tea";
    unique: "duplicate: true", "names the first: true", "after a cancel: admitted";
    retries: "charged on attempt 3", "good: completed after 2 failures", "bad: dead, there is no card";
    steps: "paying for lamp\nshipping lamp against payment-1";
    schedules: "digest of often";
    batch: "1000 admitted, 1 refused";
    middleware: "outer: greet begins\ninner: greet begins\nhello, Ada\ninner: it went well\nouter: it went well";
    testing: "nothing ran early", "the trial of ada has ended";
    shutdown: "told to stop after", "failures: 0, waiting: true";
    progress: "progress: 50", "result: {\"rows\":12}", "log: half of the rows are in";
    blocking: "168 primes below 1000";
    queues: "of the first hundred", "in all 300";
    dead_letters: "dead: the other side is down", "replayed: 1", "account 1 is in step";
}
