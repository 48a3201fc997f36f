//! Walks over tasks, newest first, in steps that hold the lock for a short time only.

use tidemill_shared::{Bulk, Change, Changed, Cursor, MAX_LOOK, TaskFilter, TaskRecord, Timestamp};

use crate::row::Seq;
use crate::state::State;

/// How many tasks a walk looks at before it lets others have the lock.
const STEP: usize = 1_024;

/// How far a walk has come.
#[derive(Debug)]
pub(crate) struct Walk {
    /// Tasks admitted before this one are still to be looked at.
    before: Option<Seq>,
    /// How many it may still look at.
    left: usize,
    /// What was found.
    pub(crate) found: Vec<TaskRecord>,
    /// Where the next page starts; known once the page is full, or enough was looked at.
    pub(crate) next: Option<Cursor>,
}

impl Walk {
    pub(crate) fn new(cursor: Option<Cursor>) -> Self {
        Self {
            before: Some(cursor.map_or(Seq::MAX, |cursor| cursor.0)),
            left: MAX_LOOK,
            found: Vec::new(),
            next: None,
        }
    }
}

impl State {
    /// Goes on with a listing. `true` when it has come to its end.
    pub(crate) fn walk(&self, walk: &mut Walk, filter: &TaskFilter, limit: usize) -> bool {
        let Some(before) = walk.before else {
            return true;
        };
        let mut last = None;
        for seq in self.older(before, filter).take(STEP) {
            if walk.left == 0 {
                walk.next = last.or(walk.before).map(Cursor);
                return true;
            }
            walk.left -= 1;
            last = Some(seq);
            let Some(row) = self
                .tasks
                .get(&seq)
                .filter(|row| filter.matches(&row.record))
            else {
                continue;
            };
            if walk.found.len() == limit {
                // There is more, and it starts with this one.
                walk.next = Some(Cursor(seq + 1));
                return true;
            }
            walk.found.push(row.record.clone());
        }
        walk.before = last;
        last.is_none()
    }

    /// Changes what matches, looking at no more than `budget` tasks.
    pub(crate) fn change_many(
        &mut self,
        filter: &TaskFilter,
        change: &Change,
        cursor: Option<Cursor>,
        budget: usize,
        now: Timestamp,
    ) -> Bulk {
        let before = cursor.map_or(Seq::MAX, |cursor| cursor.0);
        let mut seqs: Vec<Seq> = self
            .older(before, filter)
            .take(budget.saturating_add(1))
            .collect();
        let next = (seqs.len() > budget).then(|| {
            seqs.truncate(budget);
            Cursor(seqs.last().copied().unwrap_or(before))
        });
        let mut bulk = Bulk {
            next,
            ..Bulk::default()
        };
        for seq in seqs {
            let is_meant = |row: &crate::row::TaskRow| filter.matches(&row.record);
            if !self.tasks.get(&seq).is_some_and(is_meant) {
                continue;
            }
            match self.change(seq, change, now) {
                Ok(Changed::Done { .. }) => bulk.changed += 1,
                Ok(Changed::NotFound) => {}
                Ok(Changed::Refused(_) | Changed::KeyTaken | Changed::QueueFull { .. })
                | Err(_) => bulk.refused += 1,
            }
        }
        bulk
    }

    /// The tasks admitted before this one, newest first; only those of its queue, if the filter
    /// names one.
    fn older<'a>(&'a self, before: Seq, filter: &TaskFilter) -> Box<dyn Iterator<Item = Seq> + 'a> {
        match &filter.queue {
            None => Box::new(self.tasks.range(..before).rev().map(|(seq, _)| *seq)),
            Some(name) => {
                let queue = self.queues.get(name).into_iter();
                Box::new(queue.flat_map(move |queue| queue.tasks.range(..before).rev().copied()))
            }
        }
    }
}
