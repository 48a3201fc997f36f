//! Missed fires, told once for each schedule and catch-up with their count.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidemill::{CancellationToken, Clock, ScheduleId, SchedulerEvent, Timestamp};

/// How often it is looked whether a catch-up goes on.
const TICK: Duration = Duration::from_secs(1);

/// After how many ticks a catch-up that does not end is told all the same.
const MAX_TICKS: u32 = 30;

/// How many schedules are told by name; those beyond share one entry.
const MAX_SCHEDULES: usize = 1_000;

/// What a schedule missed in one catch-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missed {
    /// `None` for those that are beyond [`MAX_SCHEDULES`].
    pub(crate) schedule: Option<ScheduleId>,
    pub(crate) count: u64,
    /// The last instant.
    pub(crate) last: Timestamp,
    /// Which rule says that the last did not run.
    pub(crate) reason: &'static str,
}

impl Missed {
    /// Writes it to the log.
    pub(crate) fn log(&self) {
        let schedule = self.schedule.as_ref().map(tracing::field::display);
        tracing::warn!(
            schedule_id = schedule,
            count = self.count,
            last = %self.last,
            reason = self.reason,
            "fires missed"
        );
    }
}

/// Collects what a scheduler tells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Misses(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    rows: BTreeMap<Option<ScheduleId>, Missed>,
    /// Whether something came since the last tick.
    fresh: bool,
    ticks: u32,
}

impl Misses {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a missed fire; other events are left alone.
    pub(crate) fn note(&self, event: &SchedulerEvent) {
        let SchedulerEvent::Missed {
            schedule,
            scheduled_at,
            count,
            reason,
            ..
        } = event
        else {
            return;
        };
        let mut book = self.book();
        book.fresh = true;
        let name = Some(schedule.clone());
        let has_room = book.rows.len() < MAX_SCHEDULES || book.rows.contains_key(&name);
        let name = name.filter(|_| has_room);
        let row = book.rows.entry(name.clone()).or_insert(Missed {
            schedule: name,
            count: 0,
            last: *scheduled_at,
            reason,
        });
        row.count += count;
        row.last = row.last.max(*scheduled_at);
        row.reason = reason;
    }

    /// Tells each catch-up when it is over, until `ended`, and then what is left.
    pub(crate) async fn tell(
        &self,
        clock: &dyn Clock,
        ended: &CancellationToken,
        tell: impl Fn(&Missed),
    ) {
        loop {
            let tick = clock.sleep_until(clock.now() + TICK);
            let over = ended.run_until_cancelled(tick).await.is_none();
            for row in self.book().take(over) {
                tell(&row);
            }
            if over {
                return;
            }
        }
    }
}

impl Book {
    /// What can be told: everything, unless a catch-up goes on.
    fn take(&mut self, over: bool) -> Vec<Missed> {
        let goes_on = std::mem::take(&mut self.fresh) && self.ticks < MAX_TICKS;
        if goes_on && !over {
            self.ticks += 1;
            return Vec::new();
        }
        self.ticks = 0;
        std::mem::take(&mut self.rows).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use tidemill::schedule::Misfire;
    use tidemill::{ScheduleId, SchedulerEvent, Timestamp};

    use super::{MAX_SCHEDULES, MAX_TICKS, Misses};

    fn miss(misses: &Misses, id: &str, at: i64, count: u64) {
        misses.note(&SchedulerEvent::Missed {
            schedule: ScheduleId::new(id).unwrap(),
            scheduled_at: Timestamp::from_millis(at),
            count,
            policy: Misfire::Skip,
            reason: "it was late",
        });
    }

    #[test]
    fn a_catch_up_is_told_once_with_its_count_when_it_is_over() {
        let misses = Misses::default();
        for at in 0..500 {
            miss(&misses, "a", at, 1);
        }
        miss(&misses, "b", 3, 20);
        assert!(misses.book().take(false).is_empty(), "it goes on");
        miss(&misses, "a", 500, 1);
        assert!(misses.book().take(false).is_empty(), "it goes on");
        let told = misses.book().take(false);
        let counts: Vec<_> = told.iter().map(|row| row.count).collect();
        assert_eq!(counts, [501, 20]);
        assert_eq!(told[0].last, Timestamp::from_millis(500));
        assert!(misses.book().take(true).is_empty(), "told once");
    }

    #[test]
    fn a_catch_up_without_end_is_told_now_and_then() {
        let misses = Misses::default();
        let mut told = 0;
        for at in 0..=i64::from(MAX_TICKS) {
            miss(&misses, "a", at, 1);
            told += misses.book().take(false).len();
        }
        assert_eq!(told, 1);
    }

    #[test]
    fn schedules_beyond_a_thousand_share_a_line() {
        let misses = Misses::default();
        for number in 0..MAX_SCHEDULES + 5 {
            miss(&misses, &format!("s{number}"), 0, 1);
        }
        let told = misses.book().take(true);
        assert_eq!(told.len(), MAX_SCHEDULES + 1);
        let shared = told.iter().find(|row| row.schedule.is_none()).unwrap();
        assert_eq!(shared.count, 5);
    }
}
