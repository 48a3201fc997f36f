//! Code that documents show is code that compiles: it is quoted from a file.
//!
//! A line `<!-- from PATH -->` above a block of Rust says which file the block is: all of it, but for
//! the comment at its head.

use std::ops::Range;

use crate::sources;
use crate::step::{Outcome, outcome, root};

/// A block of code in a document.
struct Quote {
    path: String,
    code: Range<usize>,
}

/// Refuses a quote that is not what its file says.
pub(crate) fn check() -> Outcome {
    let mut problems = Vec::new();
    for document in sources::with_extension("md")? {
        if renewed(&document.text)? != document.text {
            let shown = document.path.display();
            problems.push(format!(
                "{shown} quotes code that has changed; run `cargo xtask docs`"
            ));
        }
    }
    outcome(problems)
}

/// Copies every quoted file anew.
pub(crate) fn write() -> Outcome {
    for document in sources::with_extension("md")? {
        let text = renewed(&document.text)?;
        if text != document.text {
            std::fs::write(root().join(&document.path), text)
                .map_err(|error| vec![format!("{}: {error}", document.path.display())])?;
        }
    }
    Ok(())
}

fn renewed(text: &str) -> Result<String, Vec<String>> {
    let mut renewed = text.to_owned();
    for quote in quotes(text).iter().rev() {
        let source = std::fs::read_to_string(root().join(&quote.path))
            .map_err(|error| vec![format!("{} is quoted, but: {error}", quote.path)])?;
        renewed.replace_range(quote.code.clone(), body(&source));
    }
    Ok(renewed)
}

/// A file without the comment at its head.
fn body(source: &str) -> &str {
    let head: usize = source
        .split_inclusive('\n')
        .take_while(|line| line.starts_with("//!") || line.trim().is_empty())
        .map(str::len)
        .sum();
    source.get(head..).unwrap_or_default()
}

fn quotes(text: &str) -> Vec<Quote> {
    const BLOCK: &str = " -->\n```rust\n";
    text.match_indices("<!-- from ")
        .filter_map(|(at, mark)| {
            let rest = text.get(at + mark.len()..)?;
            let (path, code) = rest.split_once(BLOCK)?;
            let start = at + mark.len() + path.len() + BLOCK.len();
            let length = code.find("```")?;
            Some(Quote {
                path: path.to_owned(),
                code: start..start + length,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{body, quotes};

    #[test]
    fn a_quote_is_its_path_and_the_place_of_its_code() {
        let text = "a\n<!-- from x/y.rs -->\n```rust\nfn f() {}\n```\nb";
        let found = quotes(text);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "x/y.rs");
        assert_eq!(text.get(found[0].code.clone()), Some("fn f() {}\n"));
    }

    #[test]
    fn the_comment_at_the_head_is_not_quoted() {
        assert_eq!(
            body("//! Why?\n//! So.\n\nuse a;\n\n//! b\n"),
            "use a;\n\n//! b\n"
        );
    }
}
