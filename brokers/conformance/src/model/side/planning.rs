//! The ledger's side: schedules, fires, leadership, steps, logs and markers.

use std::sync::Arc;

use tidemill_shared::ledger::{FireOutcome, LogLine, LogStream, PlannedFire, StepClaim};
use tidemill_shared::{Payload, Timestamp};

use super::{Side, text};
use crate::model::operation::{Instant, Operation, Planned};
use crate::model::universe::{bytes, holder, named, schedule, source};
use crate::planning::schedule_id;
use crate::scene::id;

/// Instants are multiples of ten seconds.
const STEP: i64 = 10_000_000;

impl Side {
    pub(super) async fn plan(&mut self, operation: &Operation) -> String {
        let ledger = Arc::clone(&self.ledger);
        match operation {
            Operation::Apply {
                source: by,
                schedules,
            } => {
                let file = schedules.iter().map(schedule).collect();
                let applied = ledger.apply_schedules(&source(*by), file).await;
                text(applied.map(|mut applied| {
                    applied.added.sort();
                    applied.changed.sort();
                    applied.removed.sort();
                    applied
                }))
            }
            Operation::PutSchedule {
                source: by,
                schedule: rule,
            } => text(ledger.put_schedule(&source(*by), schedule(rule)).await),
            Operation::DeleteSchedule(id) => {
                text(ledger.delete_schedule(&schedule_id(&named('s', *id))).await)
            }
            Operation::PauseSchedule(id, why) => {
                let why = why.map(|why| named('r', why));
                let id = schedule_id(&named('s', *id));
                text(ledger.pause_schedule(&id, why.as_deref()).await)
            }
            Operation::ResumeSchedule(id) => {
                text(ledger.resume_schedule(&schedule_id(&named('s', *id))).await)
            }
            Operation::Lead { holder: who, ttl } => {
                let term = ledger.lead(0, &holder(*who), *ttl).await;
                if let Ok(Some(term)) = &term {
                    self.terms.push(term.clone());
                }
                text(term)
            }
            Operation::Resign(who) => text(ledger.resign(0, &holder(*who)).await),
            Operation::Fire { term, fires } => self.fire(*term, fires).await,
            remembering => self.remember(remembering).await,
        }
    }

    async fn remember(&self, operation: &Operation) -> String {
        let ledger = &self.ledger;
        match operation {
            Operation::ClaimStep(back, step) => match self.held(*back) {
                Some(lease) => {
                    let step = named('x', *step);
                    let claim = ledger.claim_step(&lease.token, &step).await;
                    text(claim.map(|claim| match claim {
                        StepClaim::Finished(result) => bytes(&result),
                        other => format!("{other:?}"),
                    }))
                }
                None => String::new(),
            },
            Operation::CommitStep(back, step, keep) => match self.held(*back) {
                Some(lease) => {
                    let step = named('x', *step);
                    let result = Payload::bytes(format!("{}", lease.token.fence).into_bytes());
                    text(
                        ledger
                            .commit_step(&lease.token, &step, &result, *keep)
                            .await,
                    )
                }
                None => String::new(),
            },
            Operation::AbandonStep(back, step) => match self.held(*back) {
                Some(lease) => text(ledger.abandon_step(&lease.token, &named('x', *step)).await),
                None => String::new(),
            },
            Operation::Log(task, lines) => match self.named_task(*task) {
                Some(task) => {
                    let lines = (0..*lines).map(|n| LogLine {
                        at: self.now(),
                        attempt: 1,
                        stream: LogStream::Stdout,
                        text: named('l', n),
                    });
                    text(ledger.append_log(&task, lines.collect()).await)
                }
                None => String::new(),
            },
            Operation::MarkCompleted(task, window) => text(
                ledger
                    .mark_completed(&id(&named('t', *task)), *window)
                    .await,
            ),
            Operation::ForgetCompleted(task) => {
                text(ledger.forget_completed(&id(&named('t', *task))).await)
            }
            _ => String::new(),
        }
    }

    async fn fire(&mut self, term: Option<u8>, instants: &[Instant]) -> String {
        let term = term.and_then(|back| self.terms.iter().rev().nth(usize::from(back)));
        let term = term.cloned();
        let mut fires = Vec::new();
        for instant in instants {
            fires.push(self.planned(instant).await);
        }
        for fire in &fires {
            if let Ok(envelope) = &fire.task {
                self.fired.push(envelope.id.clone());
            }
        }
        text(self.ledger.record_fires(term.as_ref(), fires).await)
    }

    async fn planned(&self, instant: &Instant) -> PlannedFire {
        let name = named('s', instant.schedule);
        let known = self
            .ledger
            .schedule(&schedule_id(&name))
            .await
            .ok()
            .flatten();
        let revision = known.as_ref().map_or(1, |record| record.revision);
        let revision = revision.saturating_sub(u64::from(instant.outdated));
        let schedule = known.map_or_else(|| crate::planning::schedule(&name), |r| r.schedule);
        let slot = self.now().as_micros().div_euclid(STEP) + i64::from(instant.offset);
        let scheduled_at = Timestamp::from_micros(slot * STEP);
        let envelope = schedule.envelope(scheduled_at, scheduled_at, revision, self.now());
        let task = match &instant.plan {
            Planned::Task => Ok(Box::new(envelope.expect("a schedule makes tasks"))),
            Planned::Missed(_) => Err((FireOutcome::Missed, "nothing was up".to_owned())),
            Planned::Skipped => Err((FireOutcome::Skipped, "because".to_owned())),
        };
        PlannedFire {
            schedule: schedule.id,
            scheduled_at,
            revision,
            task,
            count: match &instant.plan {
                Planned::Missed(count) => *count,
                Planned::Task | Planned::Skipped => 1,
            },
            planned_until: scheduled_at,
            manual: instant.manual,
        }
    }
}
