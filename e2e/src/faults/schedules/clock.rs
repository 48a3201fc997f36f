//! A wall clock that jumps while programs run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tidemill::{Clock, SystemClock, Timestamp};

use crate::Result;

/// What the programs of one trial take for the machine's clock, by libfaketime.
///
/// Only the time of day is bent. The monotonic clock is left alone (`FAKETIME_DONT_FAKE_MONOTONIC`),
/// as a machine's is when its time of day is set: to bend it too would test a machine that there is
/// not, whose timers stop.
#[derive(Debug)]
pub(super) struct BentClock {
    file: PathBuf,
    library: String,
    /// In seconds before or after the machine's.
    offset: i64,
}

impl BentClock {
    /// A clock that is so many seconds off.
    pub(super) fn new(folder: &Path, offset: i64) -> Result<Self> {
        let mut clock = Self {
            file: folder.join("clock"),
            library: library()?,
            offset,
        };
        clock.set(offset)?;
        Ok(clock)
    }

    /// Makes it jump, for all programs that look at it.
    pub(super) fn set(&mut self, offset: i64) -> Result {
        // Replaced as a whole, as programs read it at every look at the clock.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{offset:+}\n"))?;
        std::fs::rename(&new, &self.file)?;
        self.offset = offset;
        Ok(())
    }

    pub(super) const fn offset(&self) -> i64 {
        self.offset
    }

    pub(super) fn now(&self) -> Timestamp {
        let offset = Duration::from_secs(self.offset.unsigned_abs());
        match self.offset {
            0.. => SystemClock.now() + offset,
            _ => SystemClock.now() - offset,
        }
    }

    fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("LD_PRELOAD", self.library.clone()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    /// Puts a program under it.
    pub(super) fn tell(&self, command: &mut Command) {
        command.envs(self.variables());
    }

    /// Words for the shell that becomes a server, with the same effect. Where jemalloc is linked into the server it
    /// would look at the clock before the library is ready, so the allocator of libc goes before it.
    pub(super) fn prelude(&self) -> String {
        let words = self.variables().map(|(name, value)| match name {
            "LD_PRELOAD" => format!("{name}='{value}:libc.so.6'"),
            _ => format!("{name}='{value}'"),
        });
        format!("export {};", words.join(" "))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "`cargo xtask test` says in the environment where the library is"
)]
fn library() -> Result<String> {
    std::env::var("TIDEMILL_TEST_FAKETIME").map_err(|_| {
        "TIDEMILL_TEST_FAKETIME is not set; run `cargo xtask test`, or set it to the path of \
         libfaketimeMT.so.1 (Debian and Ubuntu: `apt-get install libfaketime`)"
            .into()
    })
}
