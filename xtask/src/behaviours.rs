//! Which test shows which behaviour: read from the tests, checked against the list.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::sources;
use crate::step::{Outcome, outcome, root};

/// What is promised so far: all but groups.
const PROMISED: &[std::ops::RangeInclusive<u32>] = &[1..=67, 71..=78];

const TABLE: &str = "docs/behaviours.md";

/// Where a test stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    file: String,
    test: String,
}

type Tests = BTreeMap<u32, Vec<Place>>;

/// Refuses a promised behaviour that no test names, and a table that is out of date.
pub(crate) fn check() -> Outcome {
    let tests = find()?;
    let mut problems: Vec<String> = PROMISED
        .iter()
        .cloned()
        .flatten()
        .filter(|number| !tests.contains_key(number))
        .map(|number| format!("no test names behaviour {number} (`/// Behaviour {number}.`)"))
        .collect();
    let written = std::fs::read_to_string(root().join(TABLE)).unwrap_or_default();
    if written != with_table(&written, &tests)? {
        problems.push(format!("{TABLE} is out of date; run `cargo xtask docs`"));
    }
    println!("{} behaviours are named by tests", tests.len());
    outcome(problems)
}

/// Writes the table anew, and leaves what stands above it.
pub(crate) fn write_table() -> Outcome {
    let path = root().join(TABLE);
    let failed = |error: std::io::Error| vec![format!("{TABLE}: {error}")];
    let written = std::fs::read_to_string(&path).map_err(failed)?;
    std::fs::write(&path, with_table(&written, &find()?)?).map_err(failed)
}

fn with_table(document: &str, tests: &Tests) -> Result<String, Vec<String>> {
    const START: &str = "<!-- written by `cargo xtask docs` -->\n";
    let Some((above, _)) = document.split_once(START) else {
        return Err(vec![format!("{TABLE} has no line {START:?}")]);
    };
    let mut text = format!("{above}{START}\n| Behaviour | Tests |\n|---|---|\n");
    for (number, places) in tests {
        let mut by_file: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for place in places {
            let tests = by_file.entry(&place.file).or_default();
            tests.push(format!("`{}`", place.test));
        }
        let cells: Vec<String> = by_file
            .iter()
            .map(|(file, tests)| format!("[{file}](../{file}): {}", tests.join(", ")))
            .collect();
        writeln!(text, "| {number} | {} |", cells.join("<br>")).map_err(|e| vec![e.to_string()])?;
    }
    Ok(text)
}

fn find() -> Result<Tests, Vec<String>> {
    let mut tests = Tests::new();
    for source in sources::with_extension("rs")? {
        let file = source.path.to_string_lossy().into_owned();
        if file.starts_with("xtask") {
            continue;
        }
        // Cases of the suite become tests in the crates of the brokers.
        let is_case = file.starts_with("brokers/conformance/src/cases");
        let (mut numbers, mut is_test, mut in_macro) = (Vec::new(), false, false);
        for line in source.text.lines() {
            // A macro at the left margin makes tests of its functions, one for each store.
            in_macro = !line.starts_with('}') && (in_macro || opens_macro(line));
            let line = line.trim_start();
            if let Some(comment) = line.strip_prefix("///") {
                numbers.extend(numbers_of(comment));
            } else if let Some(test) = function(line) {
                for number in numbers.drain(..).filter(|_| is_test || is_case || in_macro) {
                    let test = test.to_owned();
                    tests.entry(number).or_default().push(Place {
                        file: file.clone(),
                        test,
                    });
                }
                is_test = false;
            } else if line.starts_with("#[") {
                is_test |= line.contains("test");
            } else if !line.starts_with("//") && !continues(line) {
                numbers.clear();
            }
        }
    }
    for places in tests.values_mut() {
        places.sort();
        places.dedup();
    }
    Ok(tests)
}

fn opens_macro(line: &str) -> bool {
    line.strip_suffix("! {").is_some_and(|name| {
        name.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    })
}

/// Whether a line belongs to an attribute that was opened above it.
fn continues(line: &str) -> bool {
    line.ends_with(")]") || line.ends_with(',')
}

/// The numbers behind the word, as in `Behaviour 16.`, `Behaviours 6, 12 and 20.`, `Behaviours 1–3.`
fn numbers_of(comment: &str) -> Vec<u32> {
    let mut numbers: Vec<u32> = Vec::new();
    for rest in comment.split("Behaviour").skip(1) {
        let rest = rest.strip_prefix('s').unwrap_or(rest);
        let mut up_to = false;
        for word in rest.split_inclusive([' ', ',', '–', '.', ':', ';']) {
            let digits = word.trim_end_matches(|c: char| !c.is_ascii_digit());
            if let Ok(number) = digits.parse::<u32>() {
                let first = if up_to {
                    numbers.last().map_or(number, |last| last + 1)
                } else {
                    number
                };
                numbers.extend(first..=number);
                up_to = word.ends_with('–');
            } else if !matches!(word.trim(), "" | "and" | "," | "to") {
                break;
            }
            if word.ends_with(['.', ':', ';']) {
                break;
            }
        }
    }
    numbers
}

fn function(line: &str) -> Option<&str> {
    let rest = ["pub(crate) ", "pub(super) ", "pub "]
        .iter()
        .find_map(|prefix| line.strip_prefix(prefix))
        .unwrap_or(line);
    let rest = rest
        .strip_prefix("async ")
        .unwrap_or(rest)
        .strip_prefix("fn ")?;
    rest.split(['(', '<']).next()
}

#[cfg(test)]
mod tests {
    use super::{function, numbers_of};

    #[test]
    fn numbers_are_read_in_every_form_that_tests_use() {
        assert_eq!(numbers_of(" Behaviour 16."), [16]);
        assert_eq!(numbers_of(" Behaviours 6, 12 and 20."), [6, 12, 20]);
        assert_eq!(numbers_of(" Behaviours 57–59: see there"), [57, 58, 59]);
        assert_eq!(numbers_of(" Behaviour 48. It takes 10 s."), [48]);
        assert_eq!(numbers_of(" No number here, 5 times."), [] as [u32; 0]);
    }

    #[test]
    fn the_name_of_a_test_is_found_behind_its_keywords() {
        assert_eq!(function("async fn a_b() {"), Some("a_b"));
        assert_eq!(function("pub(crate) async fn c<T>(t: T) {"), Some("c"));
        assert_eq!(function("let f = 1;"), None);
    }
}
