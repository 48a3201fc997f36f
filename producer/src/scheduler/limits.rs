//! Limits of schedules: no more fires go into the broker than they leave.
//!
//! What counts is the store's own count, asked for anew before each batch that has fires of limited
//! schedules. That is exact without a step of its own in the store: fires of the calendar are
//! recorded by the leader alone, one batch after the other, and under an old epoch or an old revision
//! they are refused. A batch whose answer was lost is recorded again under the same identities, which
//! count once.

use std::collections::HashMap;

use futures::future::try_join_all;
use tidemill_shared::ledger::Ledger;
use tidemill_shared::{Result, ScheduleId, Timestamp};

use super::plan::{Fate, Plan, Slot, Step};

/// Which steps of a batch may be recorded, and which schedules have to wait or rest.
#[derive(Debug)]
pub(super) struct Allowance<'a> {
    pub(super) steps: Vec<&'a Step>,
    quotas: HashMap<Slot, Quota>,
}

/// What is left to one schedule.
#[derive(Debug)]
struct Quota {
    number: u64,
    left: u64,
    has_passed: bool,
    /// The first instant that was held back.
    held: Option<Timestamp>,
}

impl<'a> Allowance<'a> {
    /// Asks how much is left to the limited schedules of a batch, and deals it out.
    pub(super) async fn ask(ledger: &dyn Ledger, plan: &Plan, steps: &'a [Step]) -> Result<Self> {
        let mut limited = HashMap::new();
        for step in steps.iter().filter(|step| step.fate == Fate::Run) {
            if let Some((id, revision)) = plan.limited(step) {
                limited.insert(step.slot, (step.number, id.clone(), revision));
            }
        }
        let asked = limited
            .into_iter()
            .map(|(slot, (number, id, revision))| async move {
                let left = left(ledger, &id, revision).await?;
                Ok::<_, tidemill_shared::Error>((slot, Quota::new(number, left)))
            });
        let mut quotas: HashMap<Slot, Quota> = try_join_all(asked).await?.into_iter().collect();
        let may = |step: &&Step| match quotas.get_mut(&step.slot) {
            Some(quota) if quota.number == step.number => quota.takes(step),
            Some(_) | None => true,
        };
        let steps = steps.iter().filter(may).collect();
        Ok(Self { steps, quotas })
    }

    /// Puts what was held back into the plan again, where something else passed; else lets the
    /// schedule rest, and says which. To be called when what may be recorded has been.
    pub(super) fn settle(self, plan: &mut Plan) -> Vec<ScheduleId> {
        let mut spent = Vec::new();
        for (slot, quota) in self.quotas {
            let Some(first) = quota.held else { continue };
            // What passed may have been turned away by the store, and then has not counted.
            let next = quota.has_passed.then_some(first);
            let id = plan.begin_again(slot, quota.number, next);
            spent.extend(id.filter(|_| next.is_none()));
        }
        spent
    }
}

impl Quota {
    const fn new(number: u64, left: u64) -> Self {
        Self {
            number,
            left,
            has_passed: false,
            held: None,
        }
    }

    fn takes(&mut self, step: &Step) -> bool {
        if self.held.is_some() {
            return false;
        }
        if step.fate == Fate::Run {
            let Some(left) = self.left.checked_sub(1) else {
                self.held = Some(step.scheduled_at);
                return false;
            };
            self.left = left;
        }
        self.has_passed = true;
        true
    }
}

/// What the limit of a schedule leaves. One that has changed since is left to the store, which
/// refuses its fires.
async fn left(ledger: &dyn Ledger, id: &ScheduleId, revision: u64) -> Result<u64> {
    let record = ledger.schedule(id).await?;
    let record = record.filter(|record| record.revision == revision);
    Ok(record.and_then(|record| record.left()).unwrap_or(u64::MAX))
}
