//! Every relative link of a document leads somewhere.

use std::path::Path;

use crate::sources::{self, Source};
use crate::step::{Outcome, outcome, root};

/// Refuses a link to a file that is not there, or to a heading that its document does not have.
pub(super) fn check() -> Outcome {
    let documents = sources::with_extension("md")?;
    let mut problems = Vec::new();
    for document in &documents {
        for target in links(&document.text) {
            if let Err(why) = follow(document, target) {
                problems.push(format!("{}: {target}: {why}", document.path.display()));
            }
        }
    }
    println!("{} documents", documents.len());
    outcome(problems)
}

fn follow(document: &Source, target: &str) -> Result<(), String> {
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let here = root().join(&document.path);
    let path = if file.is_empty() {
        here
    } else {
        here.parent().unwrap_or(Path::new("")).join(file)
    };
    if !path.exists() {
        return Err("there is no such file".into());
    }
    if heading.is_empty() {
        return Ok(());
    }
    let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
    if headings(&text).any(|found| found == heading) {
        Ok(())
    } else {
        Err("there is no such heading".into())
    }
}

/// The relative targets of inline links outside of code blocks.
fn links(text: &str) -> Vec<&str> {
    prose(text)
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .collect()
}

/// The anchors that a forge makes of the headings.
fn headings(text: &str) -> impl Iterator<Item = String> + '_ {
    prose(text)
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            title
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
}

fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        !in_code
    })
}
