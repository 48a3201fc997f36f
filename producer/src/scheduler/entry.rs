//! A schedule as the plan keeps it: small, so that a million of them fit into memory.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use tidemill_shared::ledger::ScheduleRecord;
use tidemill_shared::schedule::{
    Bounded, ClockChange, CronExpr, FireOf, Interval, MISFIRE_THRESHOLD, Misfire, Recurrence,
    Schedule, Zone, fire_due_at,
};
use tidemill_shared::{ContentType, Envelope, Payload, Result, ScheduleId, Timestamp};

use super::intern::Interner;

/// A schedule with what changes as it is planned.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: ScheduleId,
    /// No other entry of the plan has or had it, whatever its slot, id and revision.
    pub(super) number: u64,
    pub(super) revision: u64,
    rule: Rule,
    template: Arc<Template>,
    payload: Arc<[u8]>,
    /// The next instant to be planned, if there is one that is not among the late ones.
    pub(super) next: Option<Timestamp>,
    /// The last listing that had it.
    pub(super) listing: u32,
    /// Whether it is left alone until it is read again.
    pub(super) stalled: bool,
}

/// When it is due.
#[derive(Debug)]
enum Rule {
    Cron(Arc<CronRule>),
    Every(Interval),
    At(Timestamp),
    Bounded(Arc<Bounded>),
}

/// A cron expression in a zone.
#[derive(Debug, PartialEq)]
struct CronRule {
    expression: CronExpr,
    zone: Zone,
}

/// All that many schedules have alike: a schedule whose id, recurrence and payload mean nothing.
#[derive(Debug, PartialEq)]
struct Template(Schedule);

/// What entries share.
#[derive(Debug)]
pub(super) struct Shared {
    rules: Interner<CronRule>,
    templates: Interner<Template>,
    payloads: Interner<[u8]>,
    blank: ScheduleId,
}

impl Shared {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            rules: Interner::new(),
            templates: Interner::new(),
            payloads: Interner::new(),
            blank: ScheduleId::new("template")?,
        })
    }

    /// Forgets what no entry uses any more.
    pub(super) fn prune(&mut self) {
        self.rules.prune();
        self.templates.prune();
        self.payloads.prune();
    }
}

impl Entry {
    pub(super) fn new(
        record: ScheduleRecord,
        number: u64,
        listing: u32,
        shared: &mut Shared,
    ) -> Result<Self> {
        let is_spent = record.left() == Some(0);
        let mut schedule = record.schedule;
        let payload = serde_json::to_vec(&schedule.payload.take()).map_err(|e| {
            let message = "the payload cannot be written as JSON";
            tidemill_shared::Error::invalid("payload", message).with_source(e)
        })?;
        let id = std::mem::replace(&mut schedule.id, shared.blank.clone());
        let nothing = Recurrence::At(Timestamp::MIN);
        let rule = match std::mem::replace(&mut schedule.recurrence, nothing) {
            Recurrence::Cron { expression, zone } => {
                Rule::Cron(shared.rules.share(CronRule { expression, zone }))
            }
            Recurrence::Every(interval) => Rule::Every(interval),
            Recurrence::At(at) => Rule::At(at),
            Recurrence::Bounded(bounded) => Rule::Bounded(bounded),
        };
        let mut entry = Self {
            id,
            number,
            revision: record.revision,
            rule,
            template: shared.templates.share(Template(schedule)),
            payload: shared.payloads.share(payload),
            next: None,
            listing,
            stalled: false,
        };
        if !is_spent {
            entry.next = entry.next_after(record.planned_until);
        }
        Ok(entry)
    }

    pub(super) fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.rule {
            Rule::Cron(rule) => rule.expression.next_after(after, &rule.zone),
            Rule::Every(interval) => Recurrence::Every(*interval).next_after(after),
            Rule::At(at) => Recurrence::At(*at).next_after(after),
            Rule::Bounded(bounded) => bounded.next_after(after),
        }
    }

    /// Its cron expression, if it has one.
    pub(super) fn cron(&self) -> Option<&str> {
        match &self.rule {
            Rule::Cron(rule) => Some(rule.expression.as_str()),
            Rule::Bounded(bounded) => bounded.rule().cron(),
            Rule::Every(_) | Rule::At(_) => None,
        }
    }

    /// Whether the number of its fires is limited.
    pub(super) fn is_limited(&self) -> bool {
        matches!(&self.rule, Rule::Bounded(bounded) if bounded.bounds().limit.is_some())
    }

    pub(super) fn misfire(&self) -> Misfire {
        self.template.0.misfire
    }

    /// Whether an instant is within the catch-up window.
    pub(super) fn catches_up(&self, scheduled_at: Timestamp, now: Timestamp) -> bool {
        now.since(scheduled_at) <= self.template.0.catch_up
    }

    /// Whether the task of an instant would start too late to count as on time.
    pub(super) fn is_late(&self, scheduled_at: Timestamp, now: Timestamp) -> bool {
        now.since(self.due_at(scheduled_at)) > MISFIRE_THRESHOLD
    }

    /// Whether an instant is late and runs all the same, as does each like it.
    pub(super) fn runs_late(&self, scheduled_at: Timestamp, now: Timestamp) -> bool {
        self.misfire() == Misfire::FireAll
            && self.catches_up(scheduled_at, now)
            && self.is_late(scheduled_at, now)
    }

    /// When the task of an instant is due.
    pub(super) fn due_at(&self, scheduled_at: Timestamp) -> Timestamp {
        fire_due_at(&self.id, self.template.0.jitter, scheduled_at)
    }

    /// The task of an instant.
    pub(super) fn envelope(&self, scheduled_at: Timestamp, now: Timestamp) -> Result<Envelope> {
        let fire = FireOf {
            schedule: &self.id,
            scheduled_at,
            due_at: self.due_at(scheduled_at),
            revision: self.revision,
            clock_change: self.clock_change_at(scheduled_at),
        };
        let payload = Payload::new(ContentType::json(), Arc::clone(&self.payload));
        self.template.0.envelope_with(&fire, payload, now)
    }

    fn clock_change_at(&self, scheduled_at: Timestamp) -> Option<ClockChange> {
        match &self.rule {
            Rule::Cron(rule) => rule.expression.clock_change_at(scheduled_at, &rule.zone),
            Rule::Bounded(bounded) => bounded.rule().clock_change_at(scheduled_at),
            Rule::Every(_) | Rule::At(_) => None,
        }
    }
}

impl Eq for CronRule {}

impl Hash for CronRule {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.expression.as_str().hash(state);
        self.zone.name().hash(state);
    }
}

/// The only field that is not equal to itself could be a multiplier that is not a number, and a
/// schedule with that is refused.
impl Eq for Template {}

impl Hash for Template {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let schedule = &self.0;
        schedule.kind.hash(state);
        schedule.queue.hash(state);
        schedule.misfire.hash(state);
        schedule.overlap.hash(state);
        schedule.catch_up.hash(state);
        schedule.jitter.hash(state);
        schedule.timeout.hash(state);
        schedule.headers.hash(state);
    }
}
