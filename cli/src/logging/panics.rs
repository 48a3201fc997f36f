//! A panic is a line of the log like any other, so that no line of a log in JSON is anything else.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic;

/// Takes the place of the standard hook. A worker wraps it while a handler runs.
pub(super) fn log() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(tracing::field::display);
        let payload = info.payload();
        let text = payload
            .downcast_ref::<&'static str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("(no text)");
        // Where RUST_BACKTRACE asks for it.
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured)
            .then(|| tracing::field::display(&backtrace));
        tracing::error!(place, backtrace, "panicked: {text}");
    }));
}
