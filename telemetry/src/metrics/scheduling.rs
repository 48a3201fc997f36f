//! What a scheduler does.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tidemill_producer::SchedulerEvent;
use tidemill_shared::ledger::Shard;
use tidemill_shared::schedule::Misfire;
use tidemill_shared::{MissedFires, ScheduleId, Timestamp};

use super::family::{Gauges, WAITS, counter, counters, gauges, label};
use super::seconds;
use crate::catalogue::help;
use crate::names;

/// The most schedules whose instants are told; there may be a million.
const SCHEDULES: usize = 1_000;

/// The most instants that are remembered for a schedule: those that are planned within the horizon.
const INSTANTS: usize = 128;

#[derive(Debug)]
pub(super) struct SchedulingMetrics {
    is_leader: Gauges,
    epoch: Gauges,
    changes: Counter,
    lateness: Histogram,
    last: Gauges,
    next: Gauges,
    missed: [Counter; Misfire::ALL.len()],
    /// What the broker had counted when it was last asked.
    missed_ahead: Mutex<MissedFires>,
    duplicates: Counter,
    shards: AtomicU32,
    instants: Mutex<HashMap<ScheduleId, Instants>>,
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
        let missed = counters(registry, names::SCHEDULER_MISSED_FIRES_TOTAL);
        // A count that begins above zero has not grown, to Prometheus.
        let missed = Misfire::ALL
            .map(|policy| missed.get_or_create_owned(&vec![label("policy", policy.as_str())]));
        Self {
            is_leader: gauges(registry, names::SCHEDULER_IS_LEADER),
            epoch: gauges(registry, names::SCHEDULER_LEADER_EPOCH),
            changes: counter(registry, names::SCHEDULER_LEADER_CHANGES_TOTAL),
            lateness,
            last: gauges(registry, names::SCHEDULER_LAST_FIRE_TIMESTAMP_SECONDS),
            next: gauges(registry, names::SCHEDULER_NEXT_FIRE_TIMESTAMP_SECONDS),
            missed,
            missed_ahead: Mutex::default(),
            duplicates: counter(registry, names::SCHEDULER_DUPLICATE_FIRES_SUPPRESSED_TOTAL),
            shards: AtomicU32::new(Shard::WHOLE.of()),
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
            SchedulerEvent::Started { shards } => {
                self.shards.store(*shards, Ordering::Relaxed);
                for shard in 0..*shards {
                    let shard = vec![label("shard", shard.to_string())];
                    self.is_leader.get_or_create(&shard).set(0.0);
                }
            }
            SchedulerEvent::TakenBack { schedule } => {
                self.instants().remove(schedule);
            }
            SchedulerEvent::Elected { shard, epoch } => {
                let shard = vec![label("shard", shard.to_string())];
                self.is_leader.get_or_create(&shard).set(1.0);
                self.epoch.get_or_create(&shard).set(*epoch as f64);
                self.changes.inc();
            }
            SchedulerEvent::Deposed { shard, .. } => {
                let labels = vec![label("shard", shard.to_string())];
                self.is_leader.get_or_create(&labels).set(0.0);
                self.leave(*shard);
            }
            SchedulerEvent::Planned {
                schedule,
                scheduled_at,
                due_at,
                next,
                ..
            } => {
                self.lateness.observe(now.since(*due_at).as_secs_f64());
                self.planned(schedule, *scheduled_at, *next);
            }
            SchedulerEvent::Missed { count, policy, .. } => self.missed(*policy, *count),
            SchedulerEvent::Duplicate { .. } => {
                self.duplicates.inc();
            }
            _ => {}
        }
    }

    fn missed(&self, policy: Misfire, count: u64) {
        for (one, series) in Misfire::ALL.into_iter().zip(&self.missed) {
            if one == policy {
                series.inc_by(count);
            }
        }
    }

    /// Counts the fires that the broker of this process has found late so far.
    pub(super) fn missed_ahead(&self, so_far: MissedFires) {
        let mut known = self
            .missed_ahead
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for policy in Misfire::ALL {
            let more = so_far.under(policy).saturating_sub(known.under(policy));
            self.missed(policy, more);
        }
        *known = so_far;
    }

    fn instants(&self) -> MutexGuard<'_, HashMap<ScheduleId, Instants>> {
        self.instants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever leads this shard now tells what is next.
    fn leave(&self, shard: u32) {
        let shards = Shard::all(self.shards.load(Ordering::Relaxed)).unwrap_or_default();
        let left = shards.into_iter().find(|one| one.number() == shard);
        let left = left.unwrap_or(Shard::WHOLE);
        self.instants().retain(|schedule, _| !left.holds(schedule));
    }

    fn planned(&self, schedule: &ScheduleId, at: Timestamp, next: Option<Timestamp>) {
        let mut all = self.instants();
        if !all.contains_key(schedule) {
            if all.len() >= SCHEDULES {
                return;
            }
            all.insert(schedule.clone(), Instants::default());
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
            let labels = vec![label("schedule", schedule.as_str())];
            if let Some(at) = instants.last {
                self.last.get_or_create(&labels).set(seconds(at));
            }
            if let Some(at) = instants.planned.first().copied().or(instants.after) {
                self.next.get_or_create(&labels).set(seconds(at));
            }
        }
    }
}
