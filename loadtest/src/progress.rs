//! How far a run has come, for whoever watches a terminal.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use crate::report::{grouped, rate};

/// How often the line is written anew.
const EVERY: Duration = Duration::from_millis(250);

/// What goes on, and how much of it is done. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<State>);

#[derive(Debug, Default)]
struct State {
    step: Mutex<Option<Step>>,
    done: AtomicUsize,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    name: &'static str,
    of: usize,
    since: Instant,
}

impl Progress {
    /// A new step begins, of so many tasks.
    pub(crate) fn step(&self, name: &'static str, of: usize) {
        let since = Instant::now();
        self.0.done.store(0, Ordering::Relaxed);
        *self.0.step.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Step { name, of, since });
    }

    /// So many more are done.
    pub(crate) fn add(&self, tasks: usize) {
        self.0.done.fetch_add(tasks, Ordering::Relaxed);
    }

    fn line(&self) -> Option<String> {
        let step = *self.0.step.lock().unwrap_or_else(PoisonError::into_inner);
        let step = step?;
        let done = self.0.done.load(Ordering::Relaxed);
        Some(step.line(done, step.since.elapsed()))
    }

    /// Shows it on standard error until the answer is dropped; shows nothing where that is no terminal.
    pub(crate) fn shown(&self) -> Shown {
        let mut writer = JoinSet::new();
        if std::io::stderr().is_terminal() {
            let progress = self.clone();
            writer.spawn(async move {
                let mut ticks = interval(EVERY);
                loop {
                    ticks.tick().await;
                    if let Some(line) = progress.line() {
                        write(&format!("\r\x1b[K{line}"));
                    }
                }
            });
        }
        Shown(writer)
    }
}

impl Step {
    fn line(self, done: usize, after: Duration) -> String {
        format!(
            "{}: {} of {}, {} /s",
            self.name,
            grouped(done as u64),
            grouped(self.of as u64),
            grouped(rate(done, after)),
        )
    }
}

/// Ends what is shown, and wipes the line.
#[derive(Debug)]
pub(crate) struct Shown(JoinSet<()>);

impl Drop for Shown {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            self.0.abort_all();
            write("\r\x1b[K");
        }
    }
}

/// Nobody is told that a terminal is gone.
fn write(text: &str) {
    let mut terminal = std::io::stderr().lock();
    drop(terminal.write_all(text.as_bytes()));
    drop(terminal.flush());
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Progress, Step};

    #[test]
    fn the_line_says_how_far_and_how_fast() {
        let step = Step {
            name: "run",
            of: 4_000,
            since: Instant::now(),
        };
        let line = step.line(1_500, Duration::from_secs(3));
        assert_eq!(line, "run: 1,500 of 4,000, 500 /s");
    }

    #[test]
    fn there_is_no_line_before_the_first_step() {
        let progress = Progress::default();
        assert_eq!(progress.line(), None);
        progress.step("run", 2);
        progress.add(1);
        assert!(progress.line().unwrap().starts_with("run: 1 of 2"));
    }
}
