//! Ending runs.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use tidemill_shared::{
    LeaseToken, Result, Settled, Settlement, State, TaskId, Verdict, WorkerId, decode_envelope,
};

use super::RabbitStore;
use super::adoption::{Ending, acknowledge};
use super::broker::put;
use crate::lines::held::{self, Held};

/// How long it is remembered that a run succeeded of which RabbitMQ did not hear.
const REMEMBERED: Duration = Duration::from_secs(24 * 3_600);

/// What becomes of a batch: its settlements, each with its place, by what has to be done.
#[derive(Default)]
struct Plan {
    /// To be acknowledged, and that is all.
    plain: Vec<(usize, LeaseToken)>,
    /// To be settled by the ledger, and what is to be acknowledged then.
    kept: Vec<(usize, Settlement, Option<Held>)>,
    /// To be adopted by the ledger first, by worker.
    adopted: BTreeMap<WorkerId, Vec<(usize, Settlement, Held)>>,
    /// Succeeded after the lease was lost.
    too_late: Vec<TaskId>,
}

impl RabbitStore {
    /// Ends runs. What touches the ledger comes first: when that fails, nothing was acknowledged.
    pub(super) async fn end(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>> {
        let mut answers = vec![Settled::Stale; batch.len()];
        let plan = self.plan(batch);
        let mut places = Vec::new();
        let (mut kept, mut of_kept) = (Vec::new(), Vec::new());
        for (place, settlement, held) in plan.kept {
            kept.push(settlement);
            of_kept.push((place, held));
        }
        if !kept.is_empty() {
            let settled = self.inner.ledger.broker.settle(kept).await;
            self.inner.emptiness.end();
            for (settled, (place, held)) in settled?.into_iter().zip(of_kept) {
                put(&mut answers, place, settled);
                places.extend(held.map(|held| (held.outlet, held.tag)));
            }
        }
        for (worker, group) in plan.adopted {
            let (mut endings, mut of_group) = (Vec::new(), Vec::new());
            for (place, settlement, held) in group {
                endings.push(Ending {
                    envelope: decode_envelope(&held.body)?,
                    started_at: settlement.started_at,
                    verdict: settlement.verdict,
                });
                of_group.push((place, settlement.token, held));
            }
            let settled = self.adopt_and_settle(&worker, endings).await?;
            for (settled, (place, token, held)) in settled.into_iter().zip(of_group) {
                put(&mut answers, place, settled);
                self.inner.lines.held().remove(&token);
                places.push((held.outlet, held.tag));
            }
        }
        for (place, token) in plan.plain {
            if let Some(held) = self.inner.lines.held().remove(&token) {
                put(&mut answers, place, Settled::Done(State::Completed));
                places.push((held.outlet, held.tag));
            }
        }
        acknowledge(places).await;
        for task in plan.too_late {
            // It comes again, and then it is known that it need not run.
            let ledger = self.ledger();
            ledger.mark_completed(&task, REMEMBERED).await?;
        }
        Ok(answers)
    }

    fn plan(&self, batch: Vec<Settlement>) -> Plan {
        let mut plan = Plan::default();
        let mut table = self.inner.lines.held();
        let mut seen = HashSet::new();
        for (place, settlement) in batch.into_iter().enumerate() {
            if !held::is_ours(&settlement.token) {
                plan.kept.push((place, settlement, None));
                continue;
            }
            let is_success = matches!(settlement.verdict, Verdict::Ack { .. });
            let Some(held) = table.get(&settlement.token) else {
                if is_success {
                    plan.too_late.push(settlement.token.task);
                }
                continue;
            };
            // Of two verdicts on one run the first counts.
            if !seen.insert(settlement.token.locator) {
                continue;
            }
            if let Some(adopted) = held.adopted.clone() {
                let held = table.remove(&settlement.token);
                let settlement = Settlement {
                    token: adopted,
                    ..settlement
                };
                plan.kept.push((place, settlement, held));
            } else if is_success && !held.is_kept {
                plan.plain.push((place, settlement.token));
            } else {
                let held = held.clone();
                let group = plan.adopted.entry(held.worker.clone()).or_default();
                group.push((place, settlement, held));
            }
        }
        plan
    }
}
