//! Where in a file something is wrong, and what was probably meant.

use std::borrow::Cow;
use std::path::Path;

use toml::de::DeTable;

use crate::problem::Problem;

/// The problem of a file that is not what it should be, with its line and the nearest known key.
pub(super) fn wrong_toml(error: &toml::de::Error, text: &str, path: &Path) -> Problem {
    if let Some(place) = lone_schedule(text) {
        let line = line_of(text, place);
        let shown = path.display();
        return Problem::usage(format!(
            "{shown}:{line}: `schedule` is a table; expected a list of tables"
        ))
        .hint("write [[schedule]], in two pairs of brackets, above each of them");
    }
    let line = error.span().map_or(1, |span| line_of(text, span.start));
    wrong_key(error.message(), path, line)
}

/// Where `[schedule]` stands instead of `[[schedule]]`.
fn lone_schedule(text: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let (key, value) = document.get_ref().get_key_value("schedule")?;
    value.get_ref().is_table().then(|| key.span().start)
}

/// The line in which a key stands, given the tables that lead to it; the first when it is not there.
pub(super) fn line_of_key(text: &str, keys: &[&str]) -> usize {
    fn place(table: &DeTable<'_>, keys: &[&str]) -> Option<usize> {
        let (first, rest) = keys.split_first()?;
        let (key, value) = table.get_key_value(*first)?;
        if rest.is_empty() {
            return Some(key.span().start);
        }
        place(value.get_ref().as_table()?, rest)
    }
    let document = DeTable::parse(text).ok();
    let found = document.and_then(|document| place(document.get_ref(), keys));
    line_of(text, found.unwrap_or_default())
}

/// The problem of a line of a file.
pub(super) fn wrong_key(message: &str, path: &Path, line: usize) -> Problem {
    let problem = Problem::usage(format!("{}:{line}: {}", path.display(), plain(message)));
    match nearest(message) {
        Some(known) => problem.hint(format!("did you mean `{known}`?")),
        None => problem,
    }
}

/// The line, from 1, in which a byte of a text stands.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    1 + before.filter(|byte| **byte == b'\n').count()
}

/// The unknown key or value that a message of serde is about: it says ``unknown field `x`,
/// expected …``.
pub(super) fn unknown(message: &str) -> Option<&str> {
    let about = message.starts_with("unknown field") || message.starts_with("unknown variant");
    about.then(|| quoted(message).next()).flatten()
}

/// Of what a message of serde says was expected, the one that is most like what was found.
fn nearest(message: &str) -> Option<&str> {
    let found = unknown(message)?;
    quoted(message)
        .skip(1)
        .map(|known| (strsim::jaro_winkler(found, known), known))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// A message of serde in words that do not need Rust to be understood.
fn plain(message: &str) -> Cow<'_, str> {
    if let Some(name) = message.strip_prefix("missing field ") {
        return Cow::Owned(format!("the key {name} is missing"));
    }
    if message == "wanted string or table" {
        return Cow::Borrowed("expected a string");
    }
    let found = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "));
    match found.and_then(|rest| rest.split_once(", expected ")) {
        Some((found, expected)) => Cow::Owned(format!(
            "expected {}, found {}",
            named(expected),
            named(found)
        )),
        None => Cow::Borrowed(message),
    }
}

/// What serde calls a kind of value, as people call it.
fn named(what: &str) -> &str {
    match what {
        "usize" | "u64" | "u32" | "u16" | "u8" => "a whole number, 0 or more",
        "isize" | "i64" | "i32" => "a whole number",
        "f64" | "f32" => "a number",
        "a boolean" => "true or false",
        "a sequence" | "sequence" => "a list",
        "a map" | "map" => "a table",
        "path string" => "the path of a file",
        "unit value" | "null" => "nothing",
        _ if what.starts_with("struct ") => "a table",
        _ => what,
    }
}

/// What stands between backticks.
fn quoted(message: &str) -> impl Iterator<Item = &str> {
    message.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::{line_of, line_of_key, nearest, plain};

    #[test]
    fn a_message_is_told_without_the_names_of_rust() {
        assert_eq!(
            plain("invalid type: string \"x\", expected usize"),
            "expected a whole number, 0 or more, found string \"x\""
        );
        assert_eq!(
            plain("invalid type: map, expected a sequence"),
            "expected a list, found a table"
        );
        assert_eq!(plain("missing field `kind`"), "the key `kind` is missing");
        assert_eq!(plain("anything else"), "anything else");
    }

    #[test]
    fn a_key_is_found_in_its_table() {
        let text = "log = \"info\"\n[producer]\n\nlease = \"1s\"\n[worker]\nlease = \"1s\"\n";
        assert_eq!(line_of_key(text, &["worker", "lease"]), 6);
        assert_eq!(line_of_key(text, &["producer", "lease"]), 4);
        assert_eq!(line_of_key(text, &["log"]), 1);
        assert_eq!(line_of_key("x = {", &["log"]), 1);
    }

    #[test]
    fn the_nearest_known_key_is_named() {
        let message = "unknown field `brokr`, expected one of `broker`, `ledger`, `namespace`";
        assert_eq!(nearest(message), Some("broker"));
        let message = "unknown field `zzz`, expected `broker` or `ledger`";
        assert_eq!(nearest(message), None);
    }

    #[test]
    fn lines_count_from_one() {
        assert_eq!(line_of("a\nb\nc", 0), 1);
        assert_eq!(line_of("a\nb\nc", 2), 2);
        assert_eq!(line_of("a\nb\nc", 4), 3);
    }
}
