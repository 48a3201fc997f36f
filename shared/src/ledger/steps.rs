//! Results of a run's named steps, so that a retry does not repeat them.

use std::time::Duration;

use async_trait::async_trait;

use crate::{LeaseToken, Payload, Result};

/// The answer to the claim of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepClaim {
    /// Nobody has finished it: run it, then commit.
    Run,
    /// It was finished with this result: do not run it.
    Finished(Payload),
    /// A later lease has claimed it: this run is stale and must stop.
    Fenced,
}

/// Steps of runs, fenced by the lease: a claim or a commit under an older fence than the last one
/// seen for the step is refused, wherever the ledger is kept.
#[async_trait]
pub trait Steps: Send + Sync + 'static {
    /// Claims a step for the run that holds this lease. A claim of an earlier run that did not commit
    /// is taken over. Where the ledger is kept with its broker, a claim is `Fenced` too when the lease
    /// is no longer held: steps go with their task, and a run that was overtaken must not find a
    /// clean table.
    async fn claim_step(&self, token: &LeaseToken, step: &str) -> Result<StepClaim>;

    /// Remembers the result of a claimed step for `keep`. The same commit again is `true` again, so
    /// that a lost answer can be repeated. `false` when a later lease has claimed it
    /// since: nothing was written.
    async fn commit_step(
        &self,
        token: &LeaseToken,
        step: &str,
        result: &Payload,
        keep: Duration,
    ) -> Result<bool>;

    /// Forgets the claim of a step that failed.
    async fn abandon_step(&self, token: &LeaseToken, step: &str) -> Result<()>;
}
