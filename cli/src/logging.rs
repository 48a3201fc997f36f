//! The log, on standard error: readable lines, or one JSON object per line (`docs/logs.md`).
//!
//! Values come from strangers too. Either form escapes what could forge a line or drive a terminal,
//! leaves out secrets, and cuts a value at 8 KiB with a mark that says how much is missing.

mod fields;
mod panics;
mod writer;

use std::io::{self, IsTerminal};

use tidemill::{Clock, SystemClock};
use tracing::{Event, Level, Subscriber, span};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::grammar::LogFormat;
use crate::output;
use crate::problem::Problem;
use fields::{Colours, Fields, Line};
use writer::Writer;
pub(crate) use writer::{Flush, LostLines};

/// How lines reach standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Each before anything else happens: for a command that ends soon.
    AtOnce,
    /// Without anybody waiting for it: for a process that runs until it is told to stop.
    Beside,
}

/// Starts the log, which ends well when the first answer is dropped; the second counts what it has
/// lost. `directives` are the user's, `default` those of the command.
pub(crate) fn start(
    format: LogFormat,
    directives: Option<&str>,
    default: &str,
    pace: Pace,
) -> Result<(Flush, LostLines), Problem> {
    let filter = filter(directives.unwrap_or(default))?;
    let coloured = format == LogFormat::Human && io::stderr().is_terminal() && output::may_colour();
    let shape = LineShape {
        format,
        colours: match coloured {
            true => Colours::On,
            false => Colours::Off,
        },
    };
    let cannot = "the log cannot be started";
    let writer = match pace {
        Pace::AtOnce => Writer::Direct,
        Pace::Beside => Writer::queued(move |count| shape.about_lost(count))
            .map_err(|e| Problem::failed(cannot).because(e))?,
    };
    let (flush, lost) = match &writer {
        Writer::Direct => (Flush(None), LostLines::default()),
        Writer::Queued(sender, lost) => (Flush(Some(sender.clone())), lost.clone()),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(Lines { shape, writer })
        .try_init()
        .map_err(|e| Problem::failed(cannot).because(e))?;
    panics::log();
    Ok((flush, lost))
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
    // It tells of each attempt what the warning about the collector, or the error of a store, says once.
    let directives = format!("rustls_platform_verifier=off,{directives}");
    EnvFilter::try_new(directives).map_err(|e| wrong(e.to_string()))
}

/// Writes events, with the fields of the spans around them.
struct Lines {
    shape: LineShape,
    writer: Writer,
}

/// What lines look like.
#[derive(Clone, Copy, Debug)]
struct LineShape {
    format: LogFormat,
    colours: Colours,
}

impl LineShape {
    /// A line out of an event's own fields and those around it, inner before outer.
    fn line<'a>(
        self,
        level: Level,
        target: &str,
        event: &Fields,
        around: impl FnOnce(&mut dyn FnMut(&Fields)) + 'a,
    ) -> String {
        let now = SystemClock.now();
        match self.format {
            LogFormat::Json => {
                let mut line = Line::json(now, level, target, event);
                around(&mut |outer| line.add_json(outer));
                line.end_json()
            }
            LogFormat::Human => {
                let mut line = Line::human(now, level, self.colours, event);
                around(&mut |outer| line.add_human(outer));
                line.end_human()
            }
        }
    }

    fn about_lost(self, count: u64) -> String {
        let message = format!("{count} lines of the log were dropped: nobody read them in time");
        let fields = Fields::of_message(&message);
        self.line(Level::WARN, module_path!(), &fields, |_| {})
    }
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
        event.record(&mut fields);
        let metadata = event.metadata();
        let around = |add: &mut dyn FnMut(&Fields)| {
            for span in context.event_scope(event).into_iter().flatten() {
                if let Some(outer) = span.extensions().get::<Fields>() {
                    add(outer);
                }
            }
        };
        let line = self
            .shape
            .line(*metadata.level(), metadata.target(), &fields, around);
        self.writer.line(line);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tracing::Level;

    use super::{Colours, Fields, LineShape, filter};
    use crate::grammar::LogFormat;

    fn line(format: LogFormat, message: &str) -> String {
        let shape = LineShape {
            format,
            colours: Colours::Off,
        };
        let fields = Fields::of_message(message);
        shape.line(Level::INFO, "t", &fields, |add| {
            add(&Fields::of_message("a b\n\u{1b}[31m"));
        })
    }

    /// S18.
    #[test]
    fn a_value_cannot_forge_a_line_of_the_log() {
        let evil = "done\n{\"level\":\"ERROR\"}\u{1b}[2J\u{7f}\u{9b}31m\u{202e}\u{e0041}naïve 😀";
        let json = line(LogFormat::Json, evil);
        assert_eq!(json.matches('\n').count(), 1);
        let value: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["message"], evil);
        assert!(!json.contains(['\u{1b}', '\u{7f}', '\u{9b}', '\u{202e}', '\u{e0041}']));
        assert!(json.contains("\\u202e\\udb40\\udc41naïve 😀"), "{json}");

        let human = line(LogFormat::Human, evil);
        assert_eq!(human.matches('\n').count(), 1);
        assert!(!human.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{human}");
    }

    /// S18.
    #[test]
    fn a_value_of_a_megabyte_is_cut() {
        let json = line(LogFormat::Json, &"x".repeat(1 << 20));
        assert!(json.len() < 16 << 10 && json.contains("bytes cut"));
    }

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        assert!(filter("inof").is_err());
        for good in ["info", "off", "warn,tidemill_worker=debug"] {
            assert!(filter(good).is_ok(), "{good}");
        }
    }
}
