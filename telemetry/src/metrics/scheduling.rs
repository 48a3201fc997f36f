//! What a scheduler does.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tidemill_producer::SchedulerEvent;
use tidemill_shared::Timestamp;

use super::family::{Counters, Gauges, WAITS, counter, counters, gauges, label};
use super::seconds;
use crate::bounded::Bounded;
use crate::catalogue::help;
use crate::names;

/// The most schedules whose instants are told; there may be a million.
const SCHEDULES: usize = 1_000;

/// The most instants that are remembered for a schedule: those that are planned within the horizon.
const INSTANTS: usize = 128;

/// The most rules that are told apart.
const POLICIES: usize = 20;

#[derive(Debug)]
pub(super) struct SchedulingMetrics {
    is_leader: Gauges,
    epoch: Gauges,
    changes: Counter,
    lateness: Histogram,
    last: Gauges,
    next: Gauges,
    missed: Counters,
    policies: Bounded<String>,
    duplicates: Counter,
    instants: Mutex<HashMap<String, Instants>>,
}

/// The instants of a schedule that are planned.
#[derive(Debug, Default)]
struct Instants {
    last: Option<Timestamp>,
    planned: BTreeSet<Timestamp>,
    /// The first instant that is not planned yet.
    after: Option<Timestamp>,
}

impl SchedulingMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let lateness = Histogram::new(WAITS);
        let name = names::SCHEDULER_FIRE_LATENESS_SECONDS;
        registry.register(name, help(name), lateness.clone());
        Self {
            is_leader: gauges(registry, names::SCHEDULER_IS_LEADER),
            epoch: gauges(registry, names::SCHEDULER_LEADER_EPOCH),
            changes: counter(registry, names::SCHEDULER_LEADER_CHANGES_TOTAL),
            lateness,
            last: gauges(registry, names::SCHEDULER_LAST_FIRE_TIMESTAMP_SECONDS),
            next: gauges(registry, names::SCHEDULER_NEXT_FIRE_TIMESTAMP_SECONDS),
            missed: counters(registry, names::SCHEDULER_MISSED_FIRES_TOTAL),
            policies: Bounded::new(POLICIES),
            duplicates: counter(registry, names::SCHEDULER_DUPLICATE_FIRES_SUPPRESSED_TOTAL),
            instants: Mutex::default(),
        }
    }

    /// Counts what has happened.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a metric is a float; epochs grow by one with every election"
    )]
    pub(super) fn note(&self, event: &SchedulerEvent, now: Timestamp) {
        match event {
            SchedulerEvent::Elected { shard, epoch } => {
                let shard = vec![label("shard", shard.to_string())];
                self.is_leader.get_or_create(&shard).set(1.0);
                self.epoch.get_or_create(&shard).set(*epoch as f64);
                self.changes.inc();
            }
            SchedulerEvent::Deposed { shard, .. } => {
                let shard = vec![label("shard", shard.to_string())];
                self.is_leader.get_or_create(&shard).set(0.0);
                // Whoever leads now tells what is next.
                self.instants().clear();
            }
            SchedulerEvent::Planned {
                schedule,
                scheduled_at,
                due_at,
                next,
                ..
            } => {
                self.lateness.observe(now.since(*due_at).as_secs_f64());
                self.planned(schedule.as_str(), *scheduled_at, *next);
            }
            SchedulerEvent::Missed { count, reason, .. } => {
                let policy = self.policies.get(reason, str::to_owned);
                let policy = vec![label("policy", &**policy)];
                self.missed.get_or_create(&policy).inc_by(*count);
            }
            SchedulerEvent::Duplicate { .. } => {
                self.duplicates.inc();
            }
            _ => {}
        }
    }

    fn instants(&self) -> MutexGuard<'_, HashMap<String, Instants>> {
        self.instants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn planned(&self, schedule: &str, at: Timestamp, next: Option<Timestamp>) {
        let mut all = self.instants();
        if !all.contains_key(schedule) {
            if all.len() >= SCHEDULES {
                return;
            }
            all.insert(schedule.to_owned(), Instants::default());
        }
        if let Some(instants) = all.get_mut(schedule) {
            instants.planned.insert(at);
            if instants.planned.len() > INSTANTS {
                instants.planned.pop_last();
            }
            instants.after = next;
        }
    }

    /// Tells which instants have come and which come next.
    pub(super) fn refresh(&self, now: Timestamp) {
        self.last.clear();
        self.next.clear();
        for (schedule, instants) in self.instants().iter_mut() {
            while let Some(first) = instants.planned.first().copied().filter(|at| *at <= now) {
                instants.last = Some(first);
                instants.planned.pop_first();
            }
            let labels = vec![label("schedule", &**schedule)];
            if let Some(at) = instants.last {
                self.last.get_or_create(&labels).set(seconds(at));
            }
            if let Some(at) = instants.planned.first().copied().or(instants.after) {
                self.next.get_or_create(&labels).set(seconds(at));
            }
        }
    }
}
