//! One idea per file: names and sizes of the sources, and no test that is left out.

use std::path::Path;

use crate::sources::{self, Source};
use crate::step::{Outcome, outcome};

const LONGEST: usize = 600;
const BANNED: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "manager", "misc", "types", "imp", "mod",
];

/// Refuses files that are too long, modules with a name that says nothing, and ignored tests.
pub(super) fn check() -> Outcome {
    let files = sources::with_extension("rs")?;
    let mut problems = Vec::new();
    let mut sizes = Vec::new();
    for file in &files {
        let shown = file.path.display();
        if file
            .path
            .file_stem()
            .is_some_and(|stem| BANNED.iter().any(|banned| stem == *banned))
        {
            problems.push(format!(
                "{shown}: the module's name says nothing about its idea"
            ));
        }
        for (number, line) in file.text.lines().enumerate() {
            if is_left_out(line) {
                problems.push(format!("{shown}:{}: a test is left out", number + 1));
            }
        }
        if is_test(&file.path) {
            continue;
        }
        let size = size_without_tests(file);
        if size > LONGEST {
            problems.push(format!(
                "{shown}: {size} lines without its tests; split at {LONGEST}"
            ));
        }
        sizes.push((size, shown.to_string()));
    }
    sizes.sort_unstable();
    let at = |per_cent: usize| {
        sizes
            .get(sizes.len() * per_cent / 100)
            .map_or(0, |(size, _)| *size)
    };
    println!(
        "{} source files: median {}, nine in ten under {}",
        sizes.len(),
        at(50),
        at(90)
    );
    for (size, path) in sizes.iter().filter(|(size, _)| *size > 400) {
        println!("{path}: {size} lines (over 400: ask why)");
    }
    outcome(problems)
}

fn is_left_out(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("#[ignore")
        || line.starts_with("/// ```ignore")
        || line.starts_with("//! ```ignore")
}

fn is_test(path: &Path) -> bool {
    path.components()
        .any(|part| part.as_os_str() == "tests" || part.as_os_str() == "benches")
        || path.file_stem().is_some_and(|stem| stem == "tests")
}

fn size_without_tests(file: &Source) -> usize {
    file.text
        .lines()
        .take_while(|line| line.trim() != "#[cfg(test)]")
        .count()
}
