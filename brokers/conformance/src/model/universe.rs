//! The small universe that operations speak of: names, envelopes, schedules, changes, filters.

use std::time::Duration;

use serde_json::value::RawValue;
use tidemill_shared::schedule::Schedule;
use tidemill_shared::{
    Burial, Change, Envelope, KeyClaim, Payload, Priority, Replay, TaskFilter, Timestamp, WorkerId,
};

use super::operation::{Alteration, Filter, Item, Rule};
use crate::planning::{policed, schedule_id};
use crate::scene::{id, key, kind, pattern, queue, worker};
use crate::start;

/// The name of a queue, a key, a schedule and so on.
pub(super) fn named(letter: char, number: u8) -> String {
    format!("{letter}{number}")
}

pub(super) fn holder(number: u8) -> WorkerId {
    worker(&named('w', number))
}

pub(super) fn source(number: u8) -> String {
    format!("file:{number}")
}

/// Type and bytes of a payload, which its own debug form hides.
pub(super) fn bytes(payload: &Payload) -> String {
    let text = String::from_utf8_lossy(payload.as_bytes());
    format!("{:?} {text}", payload.content_type())
}

pub(super) fn envelope(item: &Item, now: Timestamp) -> Envelope {
    let task = named('t', item.task);
    let payload = Payload::json(&serde_json::json!({ "task": task, "at": now.as_micros() }));
    let payload = payload.expect("it is JSON");
    let kind = kind(&named('k', item.kind));
    let mut envelope = Envelope::new(id(&task), kind, payload, now);
    envelope.queue = queue(&named('q', item.queue));
    envelope.priority = Priority::new(item.priority).expect("a level");
    envelope.due_at = match item.delay {
        Some(delay) => now + delay,
        None => now - Duration::from_secs(30),
    };
    envelope.retention = item.retention;
    envelope.retry.crash_limit = item.crash_limit;
    envelope.key = item.claim.as_ref().map(|claim| KeyClaim {
        key: key(&named('k', claim.key)),
        ttl: claim.ttl,
        on_success: claim.on_success,
        on_failure: claim.on_failure,
    });
    envelope
}

pub(super) fn schedule(rule: &Rule) -> Schedule {
    let mut schedule = policed(&named('s', rule.schedule), rule.overlap, rule.misfire);
    schedule.queue = queue(&named('q', rule.queue));
    schedule.retention = rule.retention;
    schedule.retry.crash_limit = 2;
    schedule.payload = serde_json::json!({ "version": rule.version });
    schedule
}

pub(super) fn change(alteration: &Alteration, now: Timestamp) -> Change {
    match alteration {
        Alteration::Cancel => Change::Cancel,
        Alteration::Delete => Change::Delete,
        Alteration::Purge => Change::Purge,
        Alteration::RunNow => Change::RunNow,
        Alteration::Reschedule(after) => Change::Reschedule(now + *after),
        Alteration::Bury => Change::Bury,
        Alteration::Rebury(ago, reason, failures) => Change::Rebury(Burial {
            reason: *reason,
            buried_at: now - *ago,
            due_at: now - *ago - Duration::from_secs(1),
            failures: u32::from(*failures),
            crashes: 0,
        }),
        Alteration::Replay {
            to_queue,
            reset,
            edit,
            delay,
        } => Change::Replay(Replay {
            to_queue: to_queue.map(|name| queue(&named('q', name))),
            reset_attempts: *reset,
            edit: edit.then(|| {
                let patch = r#"{"edited":true,"task":null}"#.to_owned();
                RawValue::from_string(patch).expect("it is JSON")
            }),
            at: delay.map(|delay| now + delay),
        }),
    }
}

pub(super) fn wanted(filter: &Filter, now: Timestamp) -> TaskFilter {
    TaskFilter {
        states: filter.states.clone(),
        queue: filter.queue.map(|name| queue(&named('q', name))),
        kind: filter.kind.map(|name| kind(&named('k', name))),
        key: filter.key.map(|name| key(&named('k', name))),
        schedule: filter.schedule.map(|name| schedule_id(&named('s', name))),
        since: filter.since.map(|before| now - before),
        until: filter.until.map(|before| (now - before).max(start())),
        error: filter.error.then(|| pattern("RETR[iy]")),
        reason: filter.reason,
        ..TaskFilter::default()
    }
}
