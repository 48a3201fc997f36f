//! Handing out leases and extending them.

use std::time::Duration;

use tidemill_shared::State as TaskState;
use tidemill_shared::{Demand, Lease, LeaseToken, Renewal, Timestamp, WorkerId};

use crate::row::{Seq, TaskRow};
use crate::state::State;

/// How many due tasks one call of `lease` promotes at most.
const PROMOTED_PER_LEASE: usize = 250;

impl State {
    /// Promotes what is due, then takes what the demand asks for.
    pub(crate) fn lease(&mut self, demand: &Demand, now: Timestamp) -> Vec<Lease> {
        self.promote(now, PROMOTED_PER_LEASE);
        let mut leases = Vec::new();
        for wanted in &demand.queues {
            let room = wanted.max.min(demand.max.saturating_sub(leases.len()));
            for _ in 0..room {
                let Some(queue) = self.queues.get(&wanted.queue).filter(|q| q.yields()) else {
                    break;
                };
                let Some((_, _, seq)) = queue.ready.first().copied() else {
                    break;
                };
                leases.push(self.grant(seq, &demand.worker, demand.ttl, now));
            }
        }
        leases
    }

    pub(crate) fn grant(
        &mut self,
        seq: Seq,
        worker: &WorkerId,
        ttl: Duration,
        now: Timestamp,
    ) -> Lease {
        self.alter(seq, |row| {
            let record = &mut row.record;
            row.fence += 1;
            row.lease_expires_at = now + ttl;
            record.state = TaskState::Active;
            record.attempt = record
                .failures
                .saturating_add(record.crashes)
                .saturating_add(1);
            record.worker = Some(worker.clone());
            record.started_at = Some(now);
            record.progress = None;
            Lease {
                token: LeaseToken {
                    task: record.envelope.id.clone(),
                    queue: record.envelope.queue.clone(),
                    worker: worker.clone(),
                    fence: row.fence,
                    locator: seq,
                },
                envelope: record.envelope.clone(),
                attempt: record.attempt,
                failures: record.failures,
                crashes: record.crashes,
                unknown_kind_releases: row.unknown_kind_releases,
                ready_at: row.ready_at,
                expires_at: row.lease_expires_at,
            }
        })
    }

    /// The task of a token that still holds its lease. An expired lease that nobody has taken back
    /// is still held: the fence decides, not the clock.
    pub(crate) fn held_by(&self, token: &LeaseToken) -> Option<(Seq, &TaskRow)> {
        let row = self.tasks.get(&token.locator)?;
        let is_held = row.envelope().id == token.task && row.is_held_by(&token.worker, token.fence);
        is_held.then_some((token.locator, row))
    }

    /// Extends a lease.
    pub(crate) fn renew(&mut self, token: &LeaseToken, ttl: Duration, now: Timestamp) -> Renewal {
        let Some((seq, row)) = self.held_by(token) else {
            return Renewal::Lost;
        };
        let until = now + ttl;
        let is_cancelled = row.record.cancel_requested;
        self.alter(seq, |row| row.lease_expires_at = until);
        if is_cancelled {
            Renewal::Cancelled(until)
        } else {
            Renewal::Held(until)
        }
    }
}
