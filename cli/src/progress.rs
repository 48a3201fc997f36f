//! How far long work has come, for people who watch: one line on standard error that is written over.

use std::io::{self, IsTerminal, Write};

use crate::clean;

/// The line of one piece of work. It goes away with its end; where nobody watches there is none.
#[derive(Debug)]
pub(crate) struct Progress {
    what: String,
    watched: bool,
}

impl Progress {
    /// For this work, as in "replaying".
    pub(crate) fn of(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            watched: io::stderr().is_terminal(),
        }
    }

    /// Whether anybody watches.
    pub(crate) const fn is_watched(&self) -> bool {
        self.watched
    }

    /// Says how far it has come.
    pub(crate) fn tell(&self, far: &str) {
        if self.watched {
            let line = format!("\r\x1b[K{}: {}", clean::line(&self.what), clean::line(far));
            io::stderr().write_all(line.as_bytes()).ok();
        }
    }

    /// Says how many of how many are done, with a bar where it is known how many there are.
    pub(crate) fn count(&self, done: u64, all: Option<u64>) {
        self.tell(&bar(done, all));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.watched {
            io::stderr().write_all(b"\r\x1b[K").ok();
        }
    }
}

fn bar(done: u64, all: Option<u64>) -> String {
    const WIDTH: u64 = 30;
    let Some(all) = all.filter(|all| *all > 0) else {
        return done.to_string();
    };
    let done = done.min(all);
    let share = |of: u64| u128::from(done) * u128::from(of) / u128::from(all);
    let full = usize::try_from(share(WIDTH)).unwrap_or_default();
    let rest = usize::try_from(WIDTH)
        .unwrap_or_default()
        .saturating_sub(full);
    let bar = format!("{}{}", "#".repeat(full), "-".repeat(rest));
    format!("[{bar}] {done} of {all}, {} %", share(100))
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn a_bar_shows_the_share_that_is_done() {
        assert_eq!(bar(7, None), "7");
        assert_eq!(bar(0, Some(0)), "0");
        let half = format!("[{}{}] 5 of 10, 50 %", "#".repeat(15), "-".repeat(15));
        assert_eq!(bar(5, Some(10)), half);
        assert_eq!(
            bar(11, Some(10)),
            format!("[{}] 10 of 10, 100 %", "#".repeat(30))
        );
        assert!(bar(u64::MAX, Some(u64::MAX)).contains("100 %"));
    }
}
