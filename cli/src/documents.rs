//! Command lines that stand in documents are understood.

mod compose;
mod kubernetes;

use std::path::{Path, PathBuf};

use clap::Parser as _;

use crate::grammar::Cli;

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap().to_owned()
}

/// The words of a command line, with something in the place of each placeholder.
fn words(line: &str) -> Vec<String> {
    let words = line.split_whitespace().map(|word| {
        let word = match word {
            "TS" => "1h",
            "PATCH" => "{}",
            "ADDRESS" => "off",
            other => other,
        };
        word.to_owned()
    });
    words.collect()
}

/// Every command line of the program between backticks.
fn command_lines(text: &str) -> Vec<&str> {
    let spans = text.split('`').skip(1).step_by(2);
    spans.filter(|span| span.starts_with("tidemill ")).collect()
}

#[test]
fn every_command_of_a_runbook_is_understood() {
    let folder = root().join("docs/operations");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for line in command_lines(&text) {
            seen += 1;
            let parsed = Cli::try_parse_from(words(line));
            assert!(parsed.is_ok(), "{}: {line}: {parsed:?}", path.display());
        }
    }
    assert!(seen > 40, "{seen}");
}
