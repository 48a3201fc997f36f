//! Reads the definitions of a shard, page by page, between which planning goes on.

use futures::future::join;
use tidemill_shared::ledger::{Ledger, ScheduleRecord, Shard};
use tidemill_shared::{Cursor, Error, Page, Result, ScheduleId};

use super::plan::Plan;

/// How many definitions are read at once.
const PAGE: usize = 2_000;

/// Of so many schedules at once it may be doubted that they are as they are known; of more, all are listed.
const MOST_DOUBTS: usize = 100;

/// Keeps a plan in line with the definitions: they are listed at the beginning, and where the store does not
/// remember what has changed since; else the changes alone are read.
#[derive(Debug)]
pub(super) struct Loader {
    shard: Shard,
    /// The version of the definitions with which the plan is in line.
    version: Option<u64>,
    reading: Option<Reading>,
    /// Schedules that are not as they are known, or were left alone and get another look.
    doubts: Vec<ScheduleId>,
}

#[derive(Debug)]
enum Reading {
    /// All of them, beginning at a version.
    All {
        version: u64,
        cursor: Option<Cursor>,
        /// The page at the cursor, which was read while the one before it was taken in.
        page: Option<Page<ScheduleRecord>>,
    },
    /// What has changed since a version.
    Changes { since: u64 },
}

/// How far the reading is.
#[derive(Debug, PartialEq, Eq)]
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
            reading: None,
            doubts: Vec::new(),
        }
    }

    /// Whether a page is to be read at once.
    pub(super) const fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    /// Makes the next [`check`](Self::check) read a schedule again, whatever the version.
    pub(super) fn doubt(&mut self, schedule: ScheduleId) {
        if self.doubts.contains(&schedule) {
            return;
        }
        if self.doubts.len() < MOST_DOUBTS {
            self.doubts.push(schedule);
        } else {
            self.distrust();
        }
    }

    /// Makes the next [`check`](Self::check) start a listing, whatever the version.
    fn distrust(&mut self) {
        self.version = None;
        self.doubts.clear();
    }

    /// Gives up a reading that cannot go on; the next [`check`](Self::check) lists all. What is known stays
    /// in the plan.
    pub(super) fn start_over(&mut self) {
        self.reading = None;
        self.distrust();
    }

    /// Reads what is doubted, and starts to read if the definitions have changed since the last time.
    pub(super) async fn check(
        &mut self,
        ledger: &dyn Ledger,
        plan: &mut Plan,
        broken: &mut (impl FnMut(ScheduleId, Error) + Send),
    ) -> Result<()> {
        while let Some(id) = self.doubts.last() {
            match ledger.schedule(id).await {
                Ok(Some(record)) => take(plan, record, broken),
                Ok(None) => plan.forget(id),
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    broken(id.clone(), error);
                    plan.forget(id);
                }
            }
            self.doubts.pop();
        }
        let version = ledger.schedules_version().await?;
        if self.reading.is_none() && self.version != Some(version) {
            match self.version {
                Some(since) => self.reading = Some(Reading::Changes { since }),
                None => self.list(version, plan),
            }
        }
        Ok(())
    }

    fn list(&mut self, version: u64, plan: &mut Plan) {
        plan.start_listing();
        self.reading = Some(Reading::All {
            version,
            cursor: None,
            page: None,
        });
    }

    /// Reads one page. `broken` is called for each definition that cannot be planned.
    pub(super) async fn read_page(
        &mut self,
        ledger: &dyn Ledger,
        plan: &mut Plan,
        broken: &mut (impl FnMut(ScheduleId, Error) + Send),
    ) -> Result<Progress> {
        match &mut self.reading {
            None => Ok(Progress::UpToDate),
            Some(Reading::Changes { since }) => {
                let since = *since;
                self.read_changes(since, ledger, plan, broken).await
            }
            Some(Reading::All {
                version,
                cursor,
                page,
            }) => {
                let (version, shard) = (*version, self.shard);
                let read = match page.take() {
                    Some(page) => page,
                    None => ledger.schedules(*cursor, PAGE).await?,
                };
                let take_in = async {
                    for record in read.items {
                        if shard.holds(&record.schedule.id) {
                            take_listed(plan, record, broken);
                        }
                    }
                };
                let Some(next) = read.next else {
                    take_in.await;
                    plan.end_listing();
                    return Ok(self.done(version));
                };
                *cursor = Some(next);
                // The store works on the next page while this one is taken in. Should it fail, it is
                // read again.
                let (ahead, ()) = join(ledger.schedules(Some(next), PAGE), take_in).await;
                *page = ahead.ok();
                Ok(Progress::Reading)
            }
        }
    }

    async fn read_changes(
        &mut self,
        since: u64,
        ledger: &dyn Ledger,
        plan: &mut Plan,
        broken: &mut (impl FnMut(ScheduleId, Error) + Send),
    ) -> Result<Progress> {
        let Some(changes) = ledger.schedule_changes(since, PAGE).await? else {
            let version = ledger.schedules_version().await?;
            self.list(version, plan);
            return Ok(Progress::Reading);
        };
        for record in changes.changed {
            if self.shard.holds(&record.schedule.id) {
                take(plan, record, broken);
            }
        }
        for id in &changes.removed {
            plan.forget(id);
        }
        if changes.more {
            let since = changes.until;
            self.version = Some(since);
            self.reading = Some(Reading::Changes { since });
            return Ok(Progress::Reading);
        }
        Ok(self.done(changes.until))
    }

    fn done(&mut self, version: u64) -> Progress {
        self.version = Some(version);
        self.reading = None;
        Progress::Done
    }
}

fn take(
    plan: &mut Plan,
    record: ScheduleRecord,
    broken: &mut (impl FnMut(ScheduleId, Error) + Send),
) {
    let id = record.schedule.id.clone();
    if let Err(error) = plan.take_change(record) {
        broken(id, error);
    }
}

fn take_listed(
    plan: &mut Plan,
    record: ScheduleRecord,
    broken: &mut (impl FnMut(ScheduleId, Error) + Send),
) {
    let id = record.schedule.id.clone();
    if let Err(error) = plan.take_in(record) {
        broken(id, error);
    }
}
