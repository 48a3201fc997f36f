//! Arguments of a script, after its keys.

use std::fmt::Display;
use std::io::Write;

use tidemill_shared::{LeaseToken, Timestamp};

use crate::link::{Invocation, Script};

/// What a script is given, one argument behind the other. The first is always the present instant.
#[derive(Debug)]
pub(crate) struct Args {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Args {
    pub(crate) fn at(now: Timestamp) -> Self {
        let args = Self {
            bytes: Vec::new(),
            ends: Vec::new(),
        };
        args.number(now.as_micros())
    }

    pub(crate) fn push(&mut self, value: impl AsRef<[u8]>) {
        self.bytes.extend_from_slice(value.as_ref());
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn with(mut self, value: impl AsRef<[u8]>) -> Self {
        self.push(value);
        self
    }

    pub(crate) fn push_number(&mut self, value: impl Display) {
        write!(self.bytes, "{value}").expect("writing to memory cannot fail");
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn number(mut self, value: impl Display) -> Self {
        self.push_number(value);
        self
    }

    /// A text that may be absent: nothing, or the text behind a mark.
    pub(crate) fn maybe(self, value: Option<&str>) -> Self {
        self.with(value.map(|text| format!("={text}")).unwrap_or_default())
    }

    /// Makes room for so many more.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.ends.reserve(more);
        self.bytes.reserve(more * 24);
    }

    /// The call of a script with these keys.
    pub(crate) fn call(&self, script: &'static Script, keys: &[&[u8]]) -> Invocation<'static> {
        let mut invocation = script.prepare(keys, self.ends.len(), self.bytes.len());
        let mut rest = self.bytes.as_slice();
        let mut start = 0;
        for end in &self.ends {
            let (arg, after) = rest.split_at(end - start);
            invocation.arg(arg);
            (rest, start) = (after, *end);
        }
        invocation
    }
}

/// What proves a lease to a script: seq, fence and worker.
pub(crate) fn proof(token: &LeaseToken) -> String {
    let (seq, _) = place_of(token);
    format!("{seq} {} {}", token.fence, token.worker)
}

/// Which script can end a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Run {
    /// The thorough one.
    Any,
    /// The quick one for the first run of a task that leaves nothing behind.
    Plain,
    /// The quick one for the first run of a fire that leaves nothing behind but its record.
    Fire,
}

/// The locator of a lease: the seq of its task, and which script can end its run.
pub(crate) const fn locator(seq: u64, run: Run) -> u64 {
    seq.saturating_mul(4) + run as u64
}

/// What a locator says.
pub(crate) const fn place_of(token: &LeaseToken) -> (u64, Run) {
    let run = match token.locator % 4 {
        1 => Run::Plain,
        2 => Run::Fire,
        _ => Run::Any,
    };
    (token.locator / 4, run)
}
