//! Named steps whose results are remembered, so that a retry does not repeat them.

use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tidemill_shared::ledger::StepClaim;
use tidemill_shared::{Error, Payload};

use super::{CancelReason, RunContext};
use crate::backoff::Backoff;
use crate::{Failure, TaskResult};

/// The longest name of a step, in bytes.
const MAX_NAME: usize = 128;

impl RunContext {
    /// Runs a step of this task at most once to its end: its result is remembered under `name`, and a
    /// later run of the task gets the remembered result instead of running the step again.
    ///
    /// The step is claimed, run, then committed with its result as JSON, fenced by the lease: a run
    /// whose lease has passed to somebody else can neither claim nor commit, and fails with class
    /// `fenced`. A step that fails, is dropped, or whose worker dies before the commit runs again;
    /// what it did outside must bear that, for which there is
    /// [`RunContext::idempotency_token`]. Names have 1 to 128 visible ASCII characters, and count
    /// within the task. Results live as long as the task, at most a week.
    pub async fn once<T, F>(&self, name: &str, step: F) -> TaskResult<T>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = TaskResult<T>>,
    {
        if let Some(finished) = self.claim(name).await? {
            return read(name, &finished);
        }
        match step.await {
            Ok(value) => {
                self.commit(name, &value).await?;
                Ok(value)
            }
            Err(failure) => {
                self.abandon(name).await;
                Err(failure)
            }
        }
    }

    /// [`RunContext::once`] for blocking handlers. Not to be called from async code.
    pub fn once_blocking<T, F>(&self, name: &str, step: F) -> TaskResult<T>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> TaskResult<T>,
    {
        let runtime = self.engine().runtime();
        if let Some(finished) = runtime.block_on(self.claim(name))? {
            return read(name, &finished);
        }
        match step() {
            Ok(value) => {
                runtime.block_on(self.commit(name, &value))?;
                Ok(value)
            }
            Err(failure) => {
                runtime.block_on(self.abandon(name));
                Err(failure)
            }
        }
    }

    async fn claim(&self, name: &str) -> TaskResult<Option<Payload>> {
        check(name)?;
        // The steps of a task are gone with it, so the ledger alone may not know any more.
        if self.is_lost() {
            return Err(self.fenced(name));
        }
        match self
            .engine()
            .ledger()
            .claim_step(&self.lease().token, name)
            .await?
        {
            StepClaim::Run => Ok(None),
            StepClaim::Finished(result) => Ok(Some(result)),
            StepClaim::Fenced => Err(self.fenced(name)),
        }
    }

    /// What the step did has happened, so its result is worth some patience with the ledger. A commit
    /// whose answer got lost is simply repeated: the ledger answers `true` to the same fence again.
    async fn commit<T: Serialize>(&self, name: &str, value: &T) -> TaskResult<()> {
        let payload = Payload::json(value)?;
        let settings = self.engine().settings();
        let mut backoff = Backoff::new(self.engine().draw());
        let mut patience = settings.lease;
        loop {
            let ledger = self.engine().ledger();
            let token = &self.lease().token;
            match ledger
                .commit_step(token, name, &payload, settings.step_keep)
                .await
            {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(self.fenced(name)),
                Err(_) if self.is_lost() => return Err(self.fenced(name)),
                Err(error) if error.is_transient() && !patience.is_zero() => {
                    tracing::warn!(task_id = %self.task_id(), step = name, %error, "failed to commit a step; trying again");
                    let delay = backoff.next_delay();
                    patience = patience.saturating_sub(delay);
                    tokio::time::sleep(delay).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn abandon(&self, name: &str) {
        // A claim that stays is taken over by the next run, so this is a courtesy.
        if let Err(error) = self
            .engine()
            .ledger()
            .abandon_step(&self.lease().token, name)
            .await
        {
            tracing::debug!(task_id = %self.task_id(), step = name, %error, "failed to abandon a step");
        }
    }

    fn fenced(&self, name: &str) -> Failure {
        self.cancel(CancelReason::LeaseLost);
        Failure::class(
            "fenced",
            format!("the step {name} is refused: the lease of this run has passed on"),
        )
    }
}

fn check(name: &str) -> Result<(), Error> {
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::invalid(
            "step",
            format!(
                "the step name {name:?} is malformed; expected 1 to 128 visible ASCII characters"
            ),
        ));
    }
    Ok(())
}

fn read<T: DeserializeOwned>(name: &str, result: &Payload) -> TaskResult<T> {
    serde_json::from_slice(result.as_bytes()).map_err(|error| {
        Failure::class(
            "step",
            format!("the remembered result of the step {name} cannot be read: {error}"),
        )
    })
}
