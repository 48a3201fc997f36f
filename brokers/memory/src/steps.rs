//! Results of named steps, fenced by the lease.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::ledger::{StepClaim, Steps};
use tidemill_shared::{LeaseToken, Payload, Result, TaskId, Timestamp};

use crate::store::MemoryStore;

/// How long the claim of a step is kept that nobody finishes: 7 days. Claims of tasks in this store
/// go with their task; this is for tasks that another broker keeps.
const CLAIM: Duration = Duration::from_secs(7 * 86_400);

/// One step of one task.
#[derive(Debug)]
struct Step {
    /// The highest fence that has claimed it.
    fence: u64,
    phase: Phase,
    expires_at: Timestamp,
}

#[derive(Debug)]
enum Phase {
    Claimed,
    /// Given up; the fence still counts.
    Abandoned,
    Finished(Payload),
}

/// Steps by task, and by the end of their time.
#[derive(Debug, Default)]
pub(crate) struct StepTable {
    tasks: HashMap<TaskId, BTreeMap<String, Step>>,
    ages: BTreeSet<(Timestamp, TaskId, String)>,
}

impl StepTable {
    fn claim(&mut self, token: &LeaseToken, name: &str, now: Timestamp) -> StepClaim {
        let known = self
            .tasks
            .get_mut(&token.task)
            .and_then(|steps| steps.get_mut(name));
        if let Some(step) = known {
            if step.fence > token.fence {
                return StepClaim::Fenced;
            }
            step.fence = token.fence;
            if let Phase::Finished(result) = &step.phase
                && step.expires_at > now
            {
                return StepClaim::Finished(result.clone());
            }
        }
        self.put(token, name, Phase::Claimed, now + CLAIM);
        StepClaim::Run
    }

    fn commit(
        &mut self,
        token: &LeaseToken,
        name: &str,
        result: &Payload,
        until: Timestamp,
    ) -> bool {
        let Some(step) = self
            .step(token, name)
            .filter(|step| step.fence == token.fence)
        else {
            return false;
        };
        match step.phase {
            Phase::Claimed => {
                self.put(token, name, Phase::Finished(result.clone()), until);
                true
            }
            // The same commit again, after an answer that was lost.
            Phase::Finished(_) => true,
            Phase::Abandoned => false,
        }
    }

    fn abandon(&mut self, token: &LeaseToken, name: &str) {
        let steps = self.tasks.get_mut(&token.task);
        if let Some(step) = steps.and_then(|steps| steps.get_mut(name))
            && step.fence == token.fence
            && matches!(step.phase, Phase::Claimed)
        {
            step.phase = Phase::Abandoned;
        }
    }

    fn step(&self, token: &LeaseToken, name: &str) -> Option<&Step> {
        self.tasks.get(&token.task)?.get(name)
    }

    fn put(&mut self, token: &LeaseToken, name: &str, phase: Phase, expires_at: Timestamp) {
        let step = Step {
            fence: token.fence,
            phase,
            expires_at,
        };
        let steps = self.tasks.entry(token.task.clone()).or_default();
        if let Some(old) = steps.insert(name.to_owned(), step) {
            let age = (old.expires_at, token.task.clone(), name.to_owned());
            self.ages.remove(&age);
        }
        self.ages
            .insert((expires_at, token.task.clone(), name.to_owned()));
    }

    /// Forgets the steps of a task that is gone.
    pub(crate) fn forget_task(&mut self, task: &TaskId) {
        let Some(steps) = self.tasks.remove(task) else {
            return;
        };
        for (name, step) in steps {
            self.ages.remove(&(step.expires_at, task.clone(), name));
        }
    }

    pub(crate) fn has_old(&self, now: Timestamp) -> bool {
        self.ages.first().is_some_and(|(at, ..)| *at <= now)
    }

    /// Forgets steps whose time is over; a claim of a task that still lives gets more.
    pub(crate) fn prune(&mut self, now: Timestamp, budget: usize, lives: impl Fn(&TaskId) -> bool) {
        for _ in 0..budget {
            if !self.has_old(now) {
                return;
            }
            let Some((_, task, name)) = self.ages.pop_first() else {
                return;
            };
            let Some(steps) = self.tasks.get_mut(&task) else {
                continue;
            };
            if let Some(step) = steps.get_mut(&name)
                && !matches!(step.phase, Phase::Finished(_))
                && lives(&task)
            {
                step.expires_at = now + CLAIM;
                self.ages.insert((step.expires_at, task, name));
                continue;
            }
            steps.remove(&name);
            if steps.is_empty() {
                self.tasks.remove(&task);
            }
        }
    }
}

#[async_trait]
impl Steps for MemoryStore {
    async fn claim_step(&self, token: &LeaseToken, step: &str) -> Result<StepClaim> {
        Ok(self.step(|state, now| {
            let holds = state
                .row(&token.task)
                .is_some_and(|(_, row)| row.is_held_by(&token.worker, token.fence));
            if holds {
                state.steps.claim(token, step, now)
            } else {
                StepClaim::Fenced
            }
        }))
    }

    async fn commit_step(
        &self,
        token: &LeaseToken,
        step: &str,
        result: &Payload,
        keep: Duration,
    ) -> Result<bool> {
        Ok(self.step(|state, now| state.steps.commit(token, step, result, now + keep)))
    }

    async fn abandon_step(&self, token: &LeaseToken, step: &str) -> Result<()> {
        self.step(|state, _| state.steps.abandon(token, step));
        Ok(())
    }
}
