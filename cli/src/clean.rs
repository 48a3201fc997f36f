//! Text from elsewhere, made safe to show on a terminal.
//!
//! Payloads, errors, logs and names that a broker holds come from strangers. Control characters
//! (with them ANSI sequences and OSC 52, which writes the clipboard) and the characters that turn
//! the direction of text are shown as escapes, so that what is seen is what is there.

use std::borrow::Cow;
use std::fmt::Write;

/// The longest line that is shown; the rest is counted.
const MAX_LINE: usize = 8 * 1024;

/// One line: line ends are escaped too.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    shown(text, |_| false)
}

/// One line of at most `max` characters, for a cell of a table. The first line of `text` is used,
/// and a mark shows that there was more.
pub(crate) fn cell(text: &str, max: usize) -> String {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let cut = first.chars().nth(max).is_some();
    let mut out: String = first.chars().take(max).collect();
    if cut || lines.next().is_some() {
        out.push('…');
    }
    line(&out).into_owned()
}

/// Several lines: line ends and tabs stay, and each line is cut where it gets too long to read.
pub(crate) fn block(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (number, part) in text.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
        }
        out.push_str(&shown(&cut(part), |c| c == '\t'));
    }
    out
}

/// The text, cut at [`MAX_LINE`] bytes with a mark that says how much is missing.
pub(crate) fn cut(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_LINE {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(MAX_LINE);
    let (kept, dropped) = text.split_at(end);
    Cow::Owned(format!("{kept}… ({} bytes cut)", dropped.len()))
}

fn shown(text: &str, harmless: impl Fn(char) -> bool) -> Cow<'_, str> {
    let bad = |c: char| !harmless(c) && (c.is_control() || is_invisible(c));
    if !text.contains(bad) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !bad(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Writing to a string cannot fail.
            c => write!(out, "\\u{{{:x}}}", u32::from(c)).unwrap_or_default(),
        }
    }
    Cow::Owned(out)
}

/// Characters that change the direction of what follows, or take no room at all (Unicode Standard
/// Annex 9; "Trojan Source", CVE-2021-42574).
pub(crate) const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::{block, cell, line};

    /// S19.
    #[test]
    fn escape_sequences_and_bidi_marks_are_shown_as_text() {
        assert_eq!(
            line("a\u{1b}]52;c;aGk=\u{7}b\u{202e}c\u{9b}31m"),
            "a\\u{1b}]52;c;aGk=\\u{7}b\\u{202e}c\\u{9b}31m"
        );
        assert_eq!(line("one\r\ntwo"), "one\\r\\ntwo");
        assert_eq!(line("naïve 😀"), "naïve 😀");
    }

    #[test]
    fn a_cell_holds_the_first_line_and_marks_what_is_missing() {
        assert_eq!(cell("one\ntwo", 10), "one…");
        assert_eq!(cell("abcdef", 3), "abc…");
        assert_eq!(cell("abc", 3), "abc");
        assert_eq!(cell("", 3), "");
    }

    #[test]
    fn a_block_keeps_its_lines_and_cuts_endless_ones() {
        assert_eq!(block("a\tb\n\u{1b}[1m"), "a\tb\n\\u{1b}[1m");
        assert!(block(&"é".repeat(100_000)).ends_with("bytes cut)"));
    }
}
