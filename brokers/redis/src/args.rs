//! Arguments of a script, after its keys.

use tidemill_shared::{LeaseToken, Timestamp};

/// What a script is given. The first is always the present instant.
#[derive(Debug)]
pub(crate) struct Args(Vec<Vec<u8>>);

impl Args {
    pub(crate) fn at(now: Timestamp) -> Self {
        Self(vec![now.as_micros().to_string().into_bytes()])
    }

    pub(crate) fn with(mut self, value: impl Into<Vec<u8>>) -> Self {
        self.push(value);
        self
    }

    pub(crate) fn push(&mut self, value: impl Into<Vec<u8>>) {
        self.0.push(value.into());
    }

    pub(crate) fn number(mut self, value: impl ToString) -> Self {
        self.push(value.to_string());
        self
    }

    /// A text that may be absent: nothing, or the text behind a mark.
    pub(crate) fn maybe(mut self, value: Option<&str>) -> Self {
        self.push(value.map(|text| format!("={text}")).unwrap_or_default());
        self
    }

    /// Makes room for so many more.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.0.reserve(more);
    }

    pub(crate) fn as_slice(&self) -> &[Vec<u8>] {
        &self.0
    }
}

/// What proves a lease to a script: seq, fence and worker.
pub(crate) fn proof(token: &LeaseToken) -> String {
    let (seq, _) = place_of(token);
    format!("{seq} {} {}", token.fence, token.worker)
}

/// The locator of a lease: the seq of its task, and whether this is the first run of a task that leaves
/// nothing behind, so that the quick script can settle it.
pub(crate) const fn locator(seq: u64, is_plain: bool) -> u64 {
    seq.saturating_mul(2) + is_plain as u64
}

/// What a locator says.
pub(crate) const fn place_of(token: &LeaseToken) -> (u64, bool) {
    (token.locator / 2, token.locator % 2 == 1)
}
