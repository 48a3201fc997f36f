//! Schedules with late instants take turns, so that a long row of one holds up nobody.

use std::collections::VecDeque;

use tidemill_shared::Timestamp;

use super::catch_up::CatchUp;
use super::entry::Entry;
use super::plan::{Fate, Heap, STRETCH, Slot, Step, entry_at, push};

/// How many instants are looked at in a turn.
const LOOKS: usize = 1_000;
/// How many steps a turn makes.
const ROWS: usize = 32;
/// How many catch-ups may be half done, which bounds the memory that their rows take.
const HALF_DONE: usize = 64;

/// Every schedule whose next instant is late. While it is here it is not in the heap, and its entry
/// has no next instant.
#[derive(Debug, Default)]
pub(super) struct Late {
    /// They have not begun, or take their runs one by one and need no memory.
    waiting: VecDeque<Turn>,
    half_done: VecDeque<(Turn, CatchUp)>,
}

/// One schedule's place in the line.
#[derive(Clone, Copy, Debug)]
struct Turn {
    slot: Slot,
    /// The number of its entry: another may have its slot by now.
    number: u64,
    /// Its first instant that has not become a step.
    at: Timestamp,
}

/// The steps that a turn adds to, and how much was looked at for them.
struct Batch<'a> {
    steps: &'a mut Vec<Step>,
    most: usize,
    looks: usize,
}

impl Late {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.half_done.is_empty()
    }

    /// Takes a schedule in whose instant `at` is late.
    pub(super) fn take_in(&mut self, entry: &mut Entry, slot: Slot, at: Timestamp) {
        entry.next = None;
        let number = entry.number;
        self.waiting.push_back(Turn { slot, number, at });
    }

    /// Lets one after the other make steps, until there are `most` or a stretch of instants has been
    /// looked at. Those that are not late any more go back to the heap.
    pub(super) fn fill(
        &mut self,
        entries: &mut [Option<Entry>],
        heap: &mut Heap,
        now: Timestamp,
        steps: &mut Vec<Step>,
        most: usize,
    ) {
        let mut batch = Batch {
            steps,
            most,
            looks: 0,
        };
        while batch.has_room() && !self.is_empty() {
            if let Some(turn) = self.waiting.pop_front()
                && let Some(entry) = turn.entry(entries)
            {
                self.begin(turn, entry, heap, now, &mut batch);
            }
            if batch.has_room()
                && let Some((turn, catch_up)) = self.half_done.pop_front()
                && let Some(entry) = turn.entry(entries)
            {
                self.go_on(turn, catch_up, entry, heap, now, &mut batch);
            }
        }
    }

    fn begin(
        &mut self,
        mut turn: Turn,
        entry: &mut Entry,
        heap: &mut Heap,
        now: Timestamp,
        batch: &mut Batch<'_>,
    ) {
        if entry.runs_late(turn.at, now) {
            match batch.run_late(&turn, entry, now) {
                Some(at) if entry.runs_late(at, now) => {
                    turn.at = at;
                    self.waiting.push_back(turn);
                }
                next => entry.resume(turn.slot, next, heap),
            }
            return;
        }
        let may_stay = self.half_done.len() < HALF_DONE;
        let mut catch_up = CatchUp::new(turn.at);
        // When no more may be half done, one that ends within a turn still has its turn, and
        // another loses no more than these few looks.
        batch.look(
            &mut catch_up,
            entry,
            now,
            if may_stay { LOOKS } else { ROWS },
        );
        if catch_up.has_looked() && catch_up.rows() <= batch.room() {
            batch.record(&turn, &mut catch_up);
            entry.resume(turn.slot, catch_up.resume_at(), heap);
        } else if may_stay {
            self.half_done.push_back((turn, catch_up));
        } else {
            self.waiting.push_back(turn);
        }
    }

    fn go_on(
        &mut self,
        turn: Turn,
        mut catch_up: CatchUp,
        entry: &mut Entry,
        heap: &mut Heap,
        now: Timestamp,
        batch: &mut Batch<'_>,
    ) {
        batch.look(&mut catch_up, entry, now, LOOKS);
        if catch_up.has_looked() {
            batch.record(&turn, &mut catch_up);
            if catch_up.rows() == 0 {
                return entry.resume(turn.slot, catch_up.resume_at(), heap);
            }
        }
        self.half_done.push_back((turn, catch_up));
    }
}

impl Turn {
    /// Its entry, unless that has changed, is gone, or is left alone.
    fn entry(self, entries: &mut [Option<Entry>]) -> Option<&mut Entry> {
        entry_at(entries, self.slot).filter(|entry| entry.number == self.number && !entry.stalled)
    }

    const fn step(&self, scheduled_at: Timestamp, fate: Fate, count: u64) -> Step {
        Step {
            slot: self.slot,
            number: self.number,
            scheduled_at,
            fate,
            count,
        }
    }
}

impl Batch<'_> {
    const fn has_room(&self) -> bool {
        self.steps.len() < self.most && self.looks < STRETCH
    }

    /// How many steps a turn may add.
    fn room(&self) -> usize {
        self.most.saturating_sub(self.steps.len()).min(ROWS)
    }

    fn look(&mut self, catch_up: &mut CatchUp, entry: &Entry, now: Timestamp, most: usize) {
        // A turn counts as one look at least, so that a stretch always ends.
        self.looks += catch_up.look(entry, now, most).max(1);
    }

    fn record(&mut self, turn: &Turn, catch_up: &mut CatchUp) {
        for _ in 0..self.room() {
            let Some(row) = catch_up.next_row() else {
                return;
            };
            self.steps
                .push(turn.step(row.scheduled_at, row.fate, row.count));
        }
    }

    /// Makes steps of late instants that run; returns the first that is left.
    fn run_late(&mut self, turn: &Turn, entry: &Entry, now: Timestamp) -> Option<Timestamp> {
        let mut next = Some(turn.at);
        for _ in 0..self.room() {
            let Some(at) = next.filter(|at| entry.runs_late(*at, now)) else {
                return next;
            };
            self.steps.push(turn.step(at, Fate::Run, 1));
            self.looks += 1;
            next = entry.next_after(at);
        }
        next
    }
}

impl Entry {
    /// Leaves what follows to ordinary planning.
    fn resume(&mut self, slot: Slot, next: Option<Timestamp>, heap: &mut Heap) {
        self.next = next;
        push(heap, slot, next);
    }
}
