//! Leases on their way to the caller.

use crate::write::lease::{Grant, Grants, put_back};
use crate::writer::Writer;

/// Leases that are committed and not yet in the caller's hands. Dropped on the way, because the
/// caller has gone away, they are put back at once and uncounted; otherwise they would come back as
/// the crash of a worker that never saw them.
#[derive(Debug)]
pub(super) struct Undelivered {
    grants: Grants,
    writer: Writer,
}

impl Undelivered {
    pub(super) const fn new(grants: Grants, writer: Writer) -> Self {
        Self { grants, writer }
    }

    /// Hands them over.
    pub(super) fn take(mut self) -> Grants {
        Grants {
            grants: std::mem::take(&mut self.grants.grants),
            ..self.grants
        }
    }
}

impl Drop for Undelivered {
    fn drop(&mut self) {
        if self.grants.grants.is_empty() {
            return;
        }
        let place = |grant: &Grant| (grant.seq, grant.fence);
        let places: Vec<_> = self.grants.grants.iter().map(place).collect();
        self.writer.post("lease", move |tx| put_back(tx, &places));
    }
}
