//! Reads the definitions of a shard, page by page, between which planning goes on.

use tidemill_shared::ledger::{Ledger, ScheduleRecord, Shard};
use tidemill_shared::{Cursor, Result, ScheduleId};

use super::plan::Plan;

/// How many definitions are read at once.
const PAGE: usize = 2_000;

/// Keeps a plan in line with the definitions.
#[derive(Debug)]
pub(super) struct Loader {
    shard: Shard,
    /// The version of the definitions that the last full listing started from.
    version: Option<u64>,
    listing: Option<Listing>,
}

#[derive(Debug)]
struct Listing {
    version: u64,
    cursor: Option<Cursor>,
}

/// How far the reading is.
#[derive(Debug)]
pub(super) enum Progress {
    /// The plan is in line.
    UpToDate,
    /// There are more pages.
    Reading,
    /// The last page has been read.
    Done,
}

impl Loader {
    /// For the schedules of a shard; nothing is kept of the others.
    pub(super) const fn new(shard: Shard) -> Self {
        Self {
            shard,
            version: None,
            listing: None,
        }
    }

    /// Whether a listing is under way.
    pub(super) const fn is_reading(&self) -> bool {
        self.listing.is_some()
    }

    /// Makes the next [`check`](Self::check) start a listing, whatever the version.
    pub(super) fn distrust(&mut self) {
        self.version = None;
    }

    /// Gives up a listing that cannot go on; the next [`check`](Self::check) starts another. What is
    /// known stays in the plan.
    pub(super) fn start_over(&mut self) {
        self.listing = None;
        self.distrust();
    }

    /// Starts a listing if the definitions have changed since the last.
    pub(super) async fn check(&mut self, ledger: &dyn Ledger, plan: &mut Plan) -> Result<()> {
        let version = ledger.schedules_version().await?;
        if self.listing.is_none() && self.version != Some(version) {
            plan.start_listing();
            self.listing = Some(Listing {
                version,
                cursor: None,
            });
        }
        Ok(())
    }

    /// Reads one page. `broken` is called for each definition that cannot be planned.
    pub(super) async fn read_page(
        &mut self,
        ledger: &dyn Ledger,
        plan: &mut Plan,
        mut broken: impl FnMut(ScheduleId, tidemill_shared::Error),
    ) -> Result<Progress> {
        let Some(listing) = &mut self.listing else {
            return Ok(Progress::UpToDate);
        };
        let page = ledger.schedules(listing.cursor, PAGE).await?;
        let own = |record: &ScheduleRecord| self.shard.holds(&record.schedule.id);
        for record in page.items.into_iter().filter(own) {
            let id = record.schedule.id.clone();
            if let Err(error) = plan.take_in(record) {
                broken(id, error);
            }
        }
        if page.next.is_some() {
            listing.cursor = page.next;
            return Ok(Progress::Reading);
        }
        self.version = Some(listing.version);
        self.listing = None;
        plan.end_listing();
        Ok(Progress::Done)
    }
}
