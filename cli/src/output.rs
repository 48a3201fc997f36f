//! Standard output: tables for people, JSON Lines for programs.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::time::Duration;

use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;
use tidemill::{Cursor, Timestamp, format_duration};

use crate::clean;
use crate::problem::Problem;

/// How a result is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people. What comes from the store is escaped where it could drive the terminal.
    #[default]
    Table,
    /// For programs: one JSON object per line, with stable field names.
    Json,
}

/// The flag for [`Format`].
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct OutputArgs {
    /// How to show it: a table, or JSON Lines (one object per line)
    #[arg(
        short = 'o',
        long = "output",
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub(crate) format: Format,
}

/// Says on standard error what is allowed and hardly meant.
pub(crate) fn warn(text: &str) {
    let line = format!("warning: {}\n", clean::line(text));
    // Nobody who reads it is no reason to stop.
    io::stderr().write_all(line.as_bytes()).ok();
}

/// Whether colours are wanted: not where NO_COLOR is set to anything (<https://no-color.org>).
pub(crate) fn may_colour() -> bool {
    let refused = std::env::var_os("NO_COLOR");
    refused.is_none_or(|text| text.is_empty())
}

/// Standard output, buffered. A reader that goes away ends the command without noise.
#[derive(Debug)]
pub(crate) struct Out {
    stdout: BufWriter<io::Stdout>,
}

impl Out {
    pub(crate) fn new() -> Self {
        Self {
            stdout: BufWriter::with_capacity(64 * 1024, io::stdout()),
        }
    }

    /// One line that Tidemill made itself; text from elsewhere goes through [`clean`] first.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Problem> {
        self.stdout.write_all(text.as_bytes())?;
        self.stdout.write_all(b"\n")?;
        Ok(())
    }

    /// Text as it is.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        Ok(self.stdout.write_all(bytes)?)
    }

    /// One JSON object on a line of its own.
    pub(crate) fn json<T: Serialize>(&mut self, value: &T) -> Result<(), Problem> {
        let text = serde_json::to_string(value)
            .map_err(|e| Problem::failed("failed to write JSON").because(e))?;
        self.line(&one_safe_line(&text))
    }

    /// A table. Cells are expected to be clean.
    pub(crate) fn table(&mut self, rows: &Rows) -> Result<(), Problem> {
        let text = rows.table.trim_fmt();
        self.line(&text)
    }

    /// Ends a page of a listing that began at `cursor`: shows its table, unless it is an empty page
    /// behind the first one, and passes on what was written so far.
    pub(crate) fn page(
        &mut self,
        format: Format,
        rows: &Rows,
        cursor: Option<Cursor>,
    ) -> Result<(), Problem> {
        if format == Format::Table && (!rows.is_empty() || cursor.is_none()) {
            self.table(rows)?;
        }
        self.flush()
    }

    /// Passes on what was written so far.
    pub(crate) fn flush(&mut self) -> Result<(), Problem> {
        Ok(self.stdout.flush()?)
    }

    /// Whether people watch.
    pub(crate) fn is_terminal(&self) -> bool {
        self.stdout.get_ref().is_terminal()
    }
}

/// Puts JSON on one line that cannot drive a terminal, and leaves its value as it is.
///
/// Inside of strings JSON escapes what is below U+0020 by itself, so a raw line end can only be
/// white space of a payload that is shown as it was given; and what else a terminal could take for
/// a command can only be inside of a string, where an escape means the same.
fn one_safe_line(json: &str) -> Cow<'_, str> {
    let space = |c: char| matches!(c, '\n' | '\r' | '\t');
    let drives = |c: char| {
        matches!(c, '\u{7f}'..='\u{9f}' | '\u{61c}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !json.contains(|c| space(c) || drives(c)) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if drives(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(if space(c) { ' ' } else { c });
        }
    }
    Cow::Owned(out)
}

/// The rows of a table.
#[derive(Debug)]
pub(crate) struct Rows {
    table: Table,
}

impl Rows {
    /// A table with these columns.
    pub(crate) fn new(columns: &[&str]) -> Self {
        let mut table = Table::new();
        table
            .load_style(comfy_table::presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(columns);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        Self { table }
    }

    /// Adds a row; each cell is made safe and cut to a readable length.
    pub(crate) fn add<const N: usize>(&mut self, cells: [String; N]) {
        self.table
            .add_row(cells.map(|text| clean::cell(&text, 120)));
    }

    /// Whether there is no row.
    pub(crate) fn len(&self) -> usize {
        self.table.row_count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

/// An instant, to the millisecond, as tables show it.
pub(crate) fn instant(at: Timestamp) -> String {
    Timestamp::from_millis(at.as_millis()).to_string()
}

/// A span of time, as precise as it is of use.
pub(crate) fn span(duration: Duration) -> String {
    match duration.as_millis() {
        ms @ 0..10_000 => format!("{ms} ms"),
        10_000..600_000 => format!("{:.1} s", duration.as_secs_f64()),
        _ => format_duration(Duration::from_secs(duration.as_secs())),
    }
}

/// A count with its noun: `1 task`, `2 tasks`.
pub(crate) fn counted(count: impl Display, noun: &str) -> String {
    let count = count.to_string();
    let ending = if count == "1" { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

/// `-` for what is absent.
pub(crate) fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::one_safe_line;

    /// S19.
    #[test]
    fn json_keeps_its_value_when_it_is_made_safe() {
        let value = "a\u{1b}[31m\u{9b}b\u{202e}c";
        let json = serde_json::to_string(value).unwrap();
        let safe = one_safe_line(&json);
        assert!(!safe.contains(['\u{1b}', '\u{9b}', '\u{202e}']));
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), value);
        assert_eq!(one_safe_line("{\r\n\t\"a\":1}"), "{   \"a\":1}");
    }
}
