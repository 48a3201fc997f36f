//! The fields of an event or a span: two buffers, however many there are, because a run has a dozen.

use std::fmt::{Debug, Write as _};

use tidemill::Timestamp;
use tidemill::telemetry::redact;
use tracing::Level;
use tracing::field::{Field, Visit};

use crate::clean;

/// Names with values, in the order in which they were recorded.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    text: String,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    name: &'static str,
    /// Where its value ends in the text; it begins where the one before it ends.
    end: usize,
    shape: Shape,
}

/// How a value stands in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// As a string.
    Text,
    /// As it is: a number, or a truth.
    Bare,
}

impl Fields {
    /// A message, and nothing else.
    pub(super) fn of_message(text: &str) -> Self {
        let mut fields = Self::default();
        fields.text.push_str(&clean::cut(&redact::text(text)));
        fields.end("message", Shape::Text);
        fields
    }

    fn iter(&self) -> impl Iterator<Item = (&'static str, &str, Shape)> {
        let mut begin = 0;
        self.entries.iter().map(move |entry| {
            let value = self.text.get(begin..entry.end).unwrap_or_default();
            begin = entry.end;
            (entry.name, value, entry.shape)
        })
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.iter().find(|(own, ..)| *own == name);
        found.map(|(_, value, _)| value)
    }

    fn end(&mut self, name: &'static str, shape: Shape) {
        let end = self.text.len();
        self.entries.push(Entry { name, end, shape });
    }

    fn put_text(&mut self, field: &Field, value: &str) {
        let shown = redact::value(field.name(), value);
        self.text.push_str(&clean::cut(&shown));
        self.end(field.name(), Shape::Text);
    }

    fn put_bare(&mut self, field: &Field, value: impl std::fmt::Display) {
        // Writing to a string cannot fail.
        write!(self.text, "{value}").unwrap_or_default();
        self.end(field.name(), Shape::Bare);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put_text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put_bare(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put_bare(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put_bare(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        match value.is_finite() {
            true => self.put_bare(field, value),
            // JSON has no word for it.
            false => self.put_text(field, &value.to_string()),
        }
    }
}

/// One line of the log in the making.
pub(super) struct Line {
    text: String,
    /// The names that stand in it.
    names: Vec<&'static str>,
}

/// What the crate `log` says of an event beside its own fields: its module, which is the target then, and places
/// in its sources.
const OF_LOG: [&str; 4] = ["log.target", "log.module_path", "log.file", "log.line"];

/// What every line of JSON begins with; fields of these names are left out.
const HEAD: [&str; 4] = ["timestamp", "level", "target", "message"];

impl Line {
    /// A line of JSON.
    pub(super) fn json(now: Timestamp, level: Level, target: &str, event: &Fields) -> Self {
        let mut line = Self {
            text: String::with_capacity(512),
            names: Vec::with_capacity(24),
        };
        let message = event.get("message").unwrap_or_default();
        let target = event.get("log.target").unwrap_or(target);
        write!(line.text, "{{\"timestamp\":\"{now}\",\"level\":\"{level}\"").unwrap_or_default();
        line.text.push_str(",\"target\":");
        quote(&mut line.text, target);
        line.text.push_str(",\"message\":");
        quote(&mut line.text, message);
        line.names.extend(HEAD);
        line.names.extend(OF_LOG);
        line.add_json(event);
        line
    }

    /// Adds fields, but for those whose names it has.
    pub(super) fn add_json(&mut self, fields: &Fields) {
        for (name, value, shape) in fields.iter() {
            if self.takes(name) {
                self.text.push(',');
                quote(&mut self.text, name);
                self.text.push(':');
                match shape {
                    Shape::Text => quote(&mut self.text, value),
                    Shape::Bare => self.text.push_str(value),
                }
            }
        }
    }

    /// A line for people.
    pub(super) fn human(now: Timestamp, level: Level, colours: Colours, event: &Fields) -> Self {
        let (on, off) = match (colours, level) {
            (Colours::Off, _) => ("", ""),
            (Colours::On, Level::ERROR) => ("\x1b[31m", "\x1b[0m"),
            (Colours::On, Level::WARN) => ("\x1b[33m", "\x1b[0m"),
            (Colours::On, _) => ("\x1b[2m", "\x1b[0m"),
        };
        let message = clean::line(event.get("message").unwrap_or_default());
        let mut line = Self {
            text: format!("{now} {on}{level:>5}{off} {message}"),
            names: vec!["message"],
        };
        line.names.extend(OF_LOG);
        line.add_human(event);
        line
    }

    /// Adds fields, but for those whose names it has.
    pub(super) fn add_human(&mut self, fields: &Fields) {
        for (name, value, shape) in fields.iter() {
            if self.takes(name) {
                let written = match shape == Shape::Bare || is_plain(value) {
                    true => write!(self.text, " {name}={value}"),
                    false => write!(self.text, " {name}={:?}", clean::line(value)),
                };
                written.unwrap_or_default();
            }
        }
    }

    pub(super) fn end_json(mut self) -> String {
        self.text.push_str("}\n");
        self.text
    }

    pub(super) fn end_human(mut self) -> String {
        self.text.push('\n');
        self.text
    }

    fn takes(&mut self, name: &'static str) -> bool {
        let new = !self.names.contains(&name);
        if new {
            self.names.push(name);
        }
        new
    }
}

/// Whether lines are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    On,
    Off,
}

/// A string of JSON.
fn quote(out: &mut String, text: &str) {
    let plain = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        out.push('"');
        out.push_str(text);
        out.push('"');
        return;
    }
    // A string can always be written.
    for c in serde_json::to_string(text).unwrap_or_default().chars() {
        if c.is_control() || clean::is_invisible(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").unwrap_or_default();
            }
        } else {
            out.push(c);
        }
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_graphic() && !"\"=\\".contains(c))
}
