//! What is to be planned next: every schedule in a heap by its next instant.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use tidemill_shared::ledger::{FireOutcome, PlannedFire, ScheduleRecord};
use tidemill_shared::schedule::Misfire;
use tidemill_shared::{Result, ScheduleId, Timestamp};

use super::entry::{Entry, Shared};
use super::late::Late;

/// How many instants are computed at a stretch before the runtime gets its turn.
pub(super) const STRETCH: usize = 10_000;

/// What recording a fire takes, at the most that is to be reckoned with.
const FIRE_TAKES: Duration = Duration::from_micros(20);
/// How many instants of a schedule at most become steps one after the other.
const LONGEST_RUN: u32 = 16;

/// Where an entry stands.
pub(super) type Slot = u32;

/// Instants with the slots of their entries, the earliest on top.
pub(super) type Heap = BinaryHeap<Reverse<(Timestamp, Slot)>>;

/// An instant with what is to become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) slot: Slot,
    /// The number of its entry: another may have its slot by now.
    pub(super) number: u64,
    pub(super) scheduled_at: Timestamp,
    pub(super) fate: Fate,
    /// How many instants it stands for.
    pub(super) count: u64,
}

/// What is to become of an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its task goes into the broker.
    Run,
    /// It is recorded as missed, for this reason.
    Missed(&'static str),
}

/// Every schedule that is not paused.
#[derive(Debug)]
pub(super) struct Plan {
    entries: Vec<Option<Entry>>,
    free: Vec<Slot>,
    slots: HashMap<ScheduleId, Slot>,
    /// Next instants. An item that is not its entry's next instant any more is passed over.
    heap: Heap,
    late: Late,
    shared: Shared,
    listing: u32,
    /// Schedules that have changed or gone since this was last asked for.
    taken_back: Vec<ScheduleId>,
    /// How many entries there have been.
    entered: u64,
    /// How many entries have gone since what they shared was last looked through.
    gone: usize,
}

impl Plan {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            entries: Vec::new(),
            free: Vec::new(),
            slots: HashMap::new(),
            heap: BinaryHeap::new(),
            late: Late::default(),
            shared: Shared::new()?,
            listing: 0,
            taken_back: Vec::new(),
            entered: 0,
            gone: 0,
        })
    }

    /// How many schedules it has.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Starts a listing: what does not come up until its end is gone.
    pub(super) fn start_listing(&mut self) {
        self.listing = self.listing.wrapping_add(1);
    }

    /// Takes in a definition. One whose revision is known goes on where it stands.
    pub(super) fn take_in(&mut self, record: ScheduleRecord) -> Result<()> {
        if record.paused {
            return Ok(());
        }
        let known = self.slots.get(&record.schedule.id).copied();
        if let Some(entry) = known.and_then(|slot| entry_at(&mut self.entries, slot))
            && entry.revision == record.revision
            && !entry.stalled
        {
            entry.listing = self.listing;
            return Ok(());
        }
        let before = known.and_then(|slot| entry_at(&mut self.entries, slot));
        if before.is_some_and(|entry| entry.revision != record.revision) {
            self.taken_back.push(record.schedule.id.clone());
            self.went();
        }
        self.entered += 1;
        let entry = Entry::new(record, self.entered, self.listing, &mut self.shared)?;
        let (id, next) = (entry.id.clone(), entry.next);
        let slot = match known.or_else(|| self.free.pop()) {
            Some(slot) => slot,
            None => {
                let slot = Slot::try_from(self.entries.len()).unwrap_or(Slot::MAX);
                self.entries.push(None);
                slot
            }
        };
        if let Some(place) = self.entries.get_mut(index(slot)) {
            *place = Some(entry);
            self.slots.insert(id, slot);
            push(&mut self.heap, slot, next);
        }
        Ok(())
    }

    /// Takes in a definition that may have changed, outside a listing.
    pub(super) fn take_change(&mut self, record: ScheduleRecord) -> Result<()> {
        if record.paused {
            self.forget(&record.schedule.id);
            return Ok(());
        }
        self.take_in(record)
    }

    /// Forgets a schedule that is gone.
    pub(super) fn forget(&mut self, id: &ScheduleId) {
        let Some(slot) = self.slots.remove(id) else {
            return;
        };
        if let Some(entry) = self.entries.get_mut(index(slot)).and_then(Option::take) {
            self.free.push(slot);
            self.taken_back.push(entry.id);
            self.went();
        }
    }

    /// What entries share is looked through when a good part of them has gone: that takes as long as
    /// there are entries.
    fn went(&mut self) {
        self.gone += 1;
        if self.gone > 1_000 + self.slots.len() / 4 {
            self.shared.prune();
            self.gone = 0;
        }
    }

    /// Ends a listing.
    pub(super) fn end_listing(&mut self) {
        for (slot, place) in (0..).zip(&mut self.entries) {
            if let Some(entry) = place.take_if(|entry| entry.listing != self.listing) {
                self.slots.remove(&entry.id);
                self.free.push(slot);
                self.taken_back.push(entry.id);
            }
        }
        self.shared.prune();
        self.gone = 0;
    }

    /// The schedules that have changed or gone since the last call.
    pub(super) fn taken_back(&mut self) -> Vec<ScheduleId> {
        std::mem::take(&mut self.taken_back)
    }

    /// The next steps, at most `most`, of what is due up to `horizon` from now. Half of them are left
    /// to late schedules while there are any, so that neither these nor the others wait for long.
    /// Fewer than there are when a long row of missed instants is being looked through: ask again
    /// until there are none and [`is_idle`](Self::is_idle).
    pub(super) fn next_steps(
        &mut self,
        now: Timestamp,
        horizon: Duration,
        most: usize,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        let share = if self.late.is_empty() { most } else { most / 2 };
        for _ in 0..STRETCH {
            if steps.len() >= share || !self.advance(now, horizon, share, &mut steps) {
                break;
            }
        }
        self.late
            .fill(&mut self.entries, &mut self.heap, now, &mut steps, most);
        steps
    }

    /// Whether nothing is half done.
    pub(super) fn is_idle(&self) -> bool {
        self.late.is_empty()
    }

    /// The earliest instant that is not planned yet, or an earlier one.
    pub(super) fn earliest(&self) -> Option<Timestamp> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// How many instants of a schedule become steps at once, of which this is the first, and up to when. A
    /// store writes those of one schedule together for little more than one of them. With few schedules
    /// a batch has several of each anyway. With many, as many as leave all the others the time for
    /// theirs: half of that until the instant comes.
    fn run_from(
        &self,
        at: Timestamp,
        now: Timestamp,
        horizon: Duration,
        most: usize,
    ) -> (u32, Timestamp) {
        let schedules = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let limit = now + horizon;
        if self.slots.len() <= most {
            return (1, limit);
        }
        let round = FIRE_TAKES.saturating_mul(schedules);
        let rounds = at.since(now).as_micros() / 2 / round.as_micros().max(1);
        let run = u32::try_from(rounds)
            .unwrap_or(u32::MAX)
            .clamp(1, LONGEST_RUN);
        (run, limit + horizon / 8)
    }

    /// Takes the next instant from the heap, and those of its schedule that go with it. `false` when there
    /// is none within the horizon.
    fn advance(
        &mut self,
        now: Timestamp,
        horizon: Duration,
        most: usize,
        steps: &mut Vec<Step>,
    ) -> bool {
        let Some(Reverse((at, slot))) = self.heap.peek().copied() else {
            return false;
        };
        if at > now + horizon {
            return false;
        }
        let (run, limit) = self.run_from(at, now, horizon, most);
        self.heap.pop();
        let Some(entry) = entry_at(&mut self.entries, slot).filter(|entry| !entry.stalled) else {
            return true;
        };
        if entry.next != Some(at) {
            return true;
        }
        if entry.is_late(at, now) {
            self.late.take_in(entry, slot, at);
            return true;
        }
        let mut next = Some(at);
        for _ in 0..run {
            let Some(at) = next.filter(|at| *at <= limit && steps.len() < most) else {
                break;
            };
            steps.push(Step {
                slot,
                number: entry.number,
                scheduled_at: at,
                fate: Fate::Run,
                count: 1,
            });
            next = entry.next_after(at);
        }
        entry.next = next;
        push(&mut self.heap, slot, next);
        true
    }

    /// What is to be recorded for a step; `None` when its schedule has changed since.
    pub(super) fn fire(&self, step: &Step, now: Timestamp) -> Option<PlannedFire> {
        let entry = self.entries.get(index(step.slot))?.as_ref()?;
        if entry.number != step.number || entry.stalled {
            return None;
        }
        let task = match step.fate {
            Fate::Run => match entry.envelope(step.scheduled_at, now) {
                Ok(envelope) => Ok(Box::new(envelope)),
                Err(error) => Err((FireOutcome::Skipped, error.to_string())),
            },
            Fate::Missed(reason) => Err((FireOutcome::Missed, reason.to_owned())),
        };
        Some(PlannedFire {
            schedule: entry.id.clone(),
            scheduled_at: step.scheduled_at,
            revision: entry.revision,
            task,
            count: step.count,
            planned_until: step.scheduled_at,
            manual: false,
        })
    }

    /// What the schedule of a step does about instants that it missed.
    pub(super) fn misfire_of(&self, step: &Step) -> Misfire {
        let entry = self.entries.get(index(step.slot)).and_then(Option::as_ref);
        entry.map_or_else(Misfire::default, Entry::misfire)
    }

    /// The instant that comes after those that were planned, of the schedule of a step.
    pub(super) fn next_of(&self, step: &Step) -> Option<Timestamp> {
        self.entries.get(index(step.slot))?.as_ref()?.next
    }

    /// The cron expression of the schedule of a step, if it has one.
    pub(super) fn cron_of(&self, step: &Step) -> Option<&str> {
        self.entries.get(index(step.slot))?.as_ref()?.cron()
    }

    /// The schedule of a step and its revision, when the number of its fires is limited.
    pub(super) fn limited(&self, step: &Step) -> Option<(&ScheduleId, u64)> {
        let entry = self.entries.get(index(step.slot))?.as_ref()?;
        let counts = entry.number == step.number && entry.is_limited();
        counts.then_some((&entry.id, entry.revision))
    }

    /// Goes on with a schedule at this instant, or lets it rest until it changes, and forgets all
    /// that was to become of later ones. `None` when it has changed already or is left alone.
    pub(super) fn begin_again(
        &mut self,
        slot: Slot,
        number: u64,
        next: Option<Timestamp>,
    ) -> Option<ScheduleId> {
        let entry = entry_at(&mut self.entries, slot)?;
        if entry.number != number || entry.stalled {
            return None;
        }
        // Under another number: steps that were made, and its turn among the late, count no more.
        self.entered += 1;
        entry.number = self.entered;
        entry.next = next;
        push(&mut self.heap, slot, next);
        Some(entry.id.clone())
    }

    /// Leaves a schedule alone until it is read again.
    pub(super) fn stall(&mut self, step: &Step) {
        if let Some(entry) = entry_at(&mut self.entries, step.slot)
            && entry.number == step.number
        {
            entry.stalled = true;
        }
    }
}

/// Puts the next instant of a slot into the heap, if there is one.
pub(super) fn push(heap: &mut Heap, slot: Slot, next: Option<Timestamp>) {
    heap.extend(next.map(|next| Reverse((next, slot))));
}

pub(super) fn entry_at(entries: &mut [Option<Entry>], slot: Slot) -> Option<&mut Entry> {
    entries.get_mut(index(slot))?.as_mut()
}

fn index(slot: Slot) -> usize {
    usize::try_from(slot).unwrap_or(usize::MAX)
}
