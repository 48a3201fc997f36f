//! What an expression of PromQL asks for. Its grammar is left to Prometheus, which checks it.

use std::collections::BTreeSet;

use tidemill_telemetry::CATALOGUE;

/// The metrics that an expression names, and the labels by which it groups.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Each with the labels of its matchers.
    pub(crate) metrics: Vec<(String, BTreeSet<String>)>,
    pub(crate) groups: BTreeSet<String>,
}

/// Words of the grammar, and the operators that may stand before `by`.
const WORDS: [&str; 18] = [
    "and", "or", "unless", "bool", "offset", "sum", "min", "max", "avg", "count", "topk",
    "bottomk", "quantile", "stddev", "group", "inf", "nan", "atan2",
];

/// Words that a list of labels follows.
const GROUPING: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

/// Reads an expression.
pub(crate) fn asked(expression: &str) -> Asked {
    let mut asked = Asked::default();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        match first {
            '"' => rest = after_string(rest),
            '[' => rest = rest.split_once(']').map_or("", |(_, rest)| rest),
            '{' => {
                let (labels, after) = matchers(rest);
                rest = after;
                if let Some((_, known)) = asked.metrics.last_mut() {
                    known.extend(labels);
                }
            }
            '0'..='9' => rest = rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '.'),
            _ if is_name(first) => {
                let word: String = rest.chars().take_while(|c| is_name(*c)).collect();
                rest = rest.strip_prefix(&word).unwrap().trim_start();
                if GROUPING.contains(&word.as_str()) {
                    if let Some((list, after)) =
                        rest.strip_prefix('(').and_then(|rest| rest.split_once(')'))
                    {
                        let labels = list.split(',').map(str::trim);
                        let labels = labels.filter(|label| !label.is_empty());
                        asked.groups.extend(labels.map(str::to_owned));
                        rest = after;
                    }
                } else if !rest.starts_with('(') && !WORDS.contains(&word.as_str()) {
                    asked.metrics.push((word, BTreeSet::new()));
                }
            }
            _ => rest = rest.strip_prefix(first).unwrap(),
        }
    }
    asked
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

fn after_string(text: &str) -> &str {
    let mut escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return text.get(index + 1..).unwrap(),
            _ => escaped = c == '\\' && !escaped,
        }
    }
    panic!("a text that does not end: {text}");
}

/// The labels between braces, and what follows.
fn matchers(text: &str) -> (Vec<String>, &str) {
    let (mut labels, mut rest) = (Vec::new(), text.strip_prefix('{').unwrap());
    while let Some(first) = rest.chars().next() {
        match first {
            '}' => return (labels, rest.strip_prefix('}').unwrap()),
            '"' => rest = after_string(rest),
            _ if is_name(first) => {
                let label: String = rest.chars().take_while(|c| is_name(*c)).collect();
                rest = rest.strip_prefix(&label).unwrap();
                labels.push(label);
            }
            _ => rest = rest.strip_prefix(first).unwrap(),
        }
    }
    panic!("braces that do not end: {text}");
}

/// The labels that a series of this name has, beside those of the scrape; `None` when Tidemill exports no
/// such series.
pub(crate) fn labels(series: &str) -> Option<BTreeSet<String>> {
    let described = |name: &str| CATALOGUE.iter().find(|one| one.name == name);
    let found = described(series).filter(|one| one.form != "histogram");
    let parts = ["_bucket", "_sum", "_count"];
    let part = parts.iter().find_map(|part| {
        let one = described(series.strip_suffix(part)?)?;
        (one.form == "histogram").then_some((one, *part))
    });
    let bound = part.filter(|(_, part)| *part == "_bucket").map(|_| "le");
    let one = found.or(part.map(|(one, _)| one))?;
    let labels = one.labels.iter().copied().chain(bound);
    Some(labels.map(str::to_owned).collect())
}

#[test]
fn the_metrics_of_an_expression_are_found_with_their_labels() {
    let read = asked(
        r#"1 - sum by (le, job) (rate(a_bucket{le=~"30(\\.0)?", job!="}"}[5m])) / topk(10, b:c:d1h) offset 4h unless on (queue) time() > 2.5e3"#,
    );
    let names: Vec<_> = read.metrics.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a_bucket", "b:c:d1h"]);
    assert_eq!(read.metrics[0].1, ["job", "le"].map(str::to_owned).into());
    assert_eq!(
        read.groups,
        ["job", "le", "queue"].map(str::to_owned).into()
    );
}

#[test]
fn the_parts_of_a_histogram_are_series_and_its_name_is_none() {
    assert_eq!(
        labels("job_duration_seconds_bucket"),
        Some(["job", "le", "status"].map(str::to_owned).into())
    );
    assert_eq!(labels("job_duration_seconds"), None);
    assert_eq!(labels("tidemill_tasks_count"), None);
}
