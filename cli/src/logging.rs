//! The log, on standard error: readable lines, or one JSON object per line.
//!
//! Values come from strangers too. Either form escapes what could forge a line or drive a terminal,
//! and cuts a value at 8 KiB with a mark that says how much is missing.

use std::fmt::{Debug, Write as _};
use std::io::{self, IsTerminal, Write};

use serde_json::{Map, Value};
use tidemill::{Clock, SystemClock, Timestamp};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber, span};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::clean;
use crate::grammar::LogFormat;
use crate::problem::Problem;

/// Starts the log. `directives` are the user's, `default` those of the command.
pub(crate) fn start(
    format: LogFormat,
    directives: Option<&str>,
    default: &str,
) -> Result<(), Problem> {
    let filter = filter(directives.unwrap_or(default))?;
    let lines = Lines {
        format,
        colours: format == LogFormat::Human && io::stderr().is_terminal(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .map_err(|e| Problem::failed("the log cannot be started").because(e))
}

/// Refuses directives that make no sense.
pub(crate) fn check(directives: &str) -> Result<(), Problem> {
    filter(directives).map(drop)
}

fn filter(directives: &str) -> Result<EnvFilter, Problem> {
    let wrong = |cause: String| {
        Problem::usage("the log level is wrong")
            .because(cause)
            .hint("expected error, warn, info, debug, trace, off, or directives such as warn,tidemill_worker=debug")
    };
    // A lone word that is no level would be taken for a target, and silently log nothing else.
    let lone = !directives.contains(['=', ',', '[']);
    if lone
        && directives
            .parse::<tracing_subscriber::filter::LevelFilter>()
            .is_err()
    {
        return Err(wrong(format!("{directives:?} is not a level")));
    }
    EnvFilter::try_new(directives).map_err(|e| wrong(e.to_string()))
}

/// Writes events, with the fields of the spans around them.
struct Lines {
    format: LogFormat,
    colours: bool,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(
        &self,
        attributes: &span::Attributes<'_>,
        id: &span::Id,
        context: Context<'_, S>,
    ) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.0.extend(outer.0.clone());
            }
        }
        event.record(&mut fields);
        let now = SystemClock.now();
        let metadata = event.metadata();
        let line = match self.format {
            LogFormat::Json => fields.json(now, *metadata.level(), metadata.target()),
            LogFormat::Human => fields.human(now, *metadata.level(), self.colours),
        };
        // A log that nobody can read any more must not stop the work.
        io::stderr().write_all(line.as_bytes()).ok();
    }
}

/// The fields of an event or a span.
#[derive(Clone, Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn json(mut self, now: Timestamp, level: Level, target: &str) -> String {
        self.0.insert("timestamp".into(), now.to_string().into());
        self.0.insert("level".into(), level.as_str().into());
        self.0.insert("target".into(), target.into());
        format!("{}\n", Value::Object(self.0))
    }

    fn human(mut self, now: Timestamp, level: Level, colours: bool) -> String {
        let message = self.0.remove("message");
        let message = message.as_ref().and_then(Value::as_str).unwrap_or_default();
        let (on, off) = match (colours, level) {
            (false, _) => ("", ""),
            (true, Level::ERROR) => ("\x1b[31m", "\x1b[0m"),
            (true, Level::WARN) => ("\x1b[33m", "\x1b[0m"),
            (true, _) => ("\x1b[2m", "\x1b[0m"),
        };
        let mut line = format!("{now} {on}{level:>5}{off} {}", clean::line(message));
        for (name, value) in &self.0 {
            let shown = match value {
                Value::String(text) if is_plain(text) => text.clone(),
                Value::String(text) => format!("{:?}", clean::line(text)),
                other => other.to_string(),
            };
            // Writing to a string cannot fail.
            write!(line, " {name}={shown}").unwrap_or_default();
        }
        line.push('\n');
        line
    }

    fn set(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_graphic() && !"\"=\\".contains(c))
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        self.set(field, clean::cut(&text).into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, clean::cut(value).into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tidemill::Timestamp;
    use tracing::Level;

    use super::{Fields, filter};

    fn fields(message: &str) -> Fields {
        let mut fields = Fields::default();
        fields.0.insert("message".into(), message.into());
        fields.0.insert("kind".into(), "a b\n\u{1b}[31m".into());
        fields
    }

    /// S18.
    #[test]
    fn a_value_cannot_forge_a_line_of_the_log() {
        let evil = "done\n{\"level\":\"ERROR\"}\u{1b}[2J";
        let json = fields(evil).json(Timestamp::from_millis(0), Level::INFO, "t");
        assert_eq!(json.matches('\n').count(), 1);
        let value: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["message"], evil);
        assert!(!json.contains('\u{1b}'));

        let human = fields(evil).human(Timestamp::from_millis(0), Level::INFO, false);
        assert_eq!(human.matches('\n').count(), 1);
        assert!(!human.contains('\u{1b}'), "{human}");
    }

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        assert!(filter("inof").is_err());
        for good in ["info", "off", "warn,tidemill_worker=debug"] {
            assert!(filter(good).is_ok(), "{good}");
        }
    }
}
