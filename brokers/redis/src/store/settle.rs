//! Ending runs.

use std::collections::{HashMap, HashSet};

use futures::future::try_join_all;
use redis::Value;
use tidemill_shared::{
    Error, FailureRecord, LeaseToken, QueueName, Result, Settled, Settlement, State, Verdict,
    WorkerId,
};

use super::RedisStore;
use super::record::state;
use crate::args::{Args, Run, place_of, proof};
use crate::head::nonsense;
use crate::reply::{Reply, write_payload};
use crate::script_set::SCRIPTS;

/// Which script can take a settlement.
fn run_of(settlement: &Settlement) -> Run {
    let (_, run) = place_of(&settlement.token);
    let is_first = settlement.token.fence == 1;
    match settlement.verdict {
        Verdict::Ack { .. } if is_first => run,
        _ => Run::Any,
    }
}

impl RedisStore {
    /// Ends runs: those that leave nothing behind by the quick scripts, in one call for each queue and
    /// worker; the rest, and what turns out not to be so plain, by the thorough one.
    pub(super) async fn end(&self, batch: &[Settlement]) -> Result<Vec<Settled>> {
        let mut settled = vec![Settled::Stale; batch.len()];
        let mut left = Vec::new();
        let mut plain: HashMap<_, Vec<usize>> = HashMap::new();
        let mut seen = HashSet::with_capacity(batch.len());
        let is_unique = batch.iter().all(|one| seen.insert(&one.token.task));
        for (at, settlement) in batch.iter().enumerate() {
            // Of two verdicts on one task the first counts, whichever script takes it.
            let run = run_of(settlement);
            if is_unique && run != Run::Any {
                let token = &settlement.token;
                plain
                    .entry((&token.queue, &token.worker, run))
                    .or_default()
                    .push(at);
            } else {
                left.push(at);
            }
        }
        // All of them are under way at once, or many queues would take as many round trips.
        let calls = plain.into_iter().map(|(part, places)| async move {
            let answer = self.end_plain(part, batch, &places).await?;
            Ok::<_, Error>((answer, places))
        });
        for (answer, places) in try_join_all(calls).await? {
            if answer == Value::Nil {
                for at in places {
                    settled[at] = Settled::Done(State::Completed);
                }
                continue;
            }
            let mut answers = Reply::list("settle", answer)?;
            for at in places {
                match answers.bytes()?.as_slice() {
                    b"c" => settled[at] = Settled::Done(State::Completed),
                    _ => left.push(at),
                }
            }
        }
        if left.is_empty() {
            return Ok(settled);
        }
        let mut args = self.args();
        args.reserve(5 * left.len());
        for at in &left {
            push_settlement(&mut args, &batch[*at])?;
        }
        let answer = self.change("settle", &SCRIPTS.settle, args).await?;
        let mut answers = Reply::list("settle", answer)?;
        for at in left {
            settled[at] = match answers.bytes()?.as_slice() {
                b"-" => Settled::Stale,
                letter => Settled::Done(state(letter).ok_or_else(|| nonsense("settle"))?),
            };
        }
        Ok(settled)
    }

    /// Ends runs by the quick script for them.
    async fn end_plain(
        &self,
        (queue, worker, run): (&QueueName, &WorkerId, Run),
        batch: &[Settlement],
        places: &[usize],
    ) -> Result<Value> {
        let mut args = self.args().with(queue.as_str()).with(worker.as_str());
        args.reserve(3 * places.len());
        for at in places {
            let Settlement {
                token, started_at, ..
            } = &batch[*at];
            args.push(token.task.as_str());
            args.push_number(place_of(token).0);
            if run == Run::Fire {
                let started = started_at.map(|at| at.as_micros().to_string());
                args.push(started.unwrap_or_default());
            }
        }
        let script = match run {
            Run::Fire => &SCRIPTS.settle_fires,
            Run::Plain | Run::Any => &SCRIPTS.settle_plain,
        };
        self.change("settle", script, args).await
    }

    /// Ends leases whose tasks cannot be read.
    pub(super) async fn set_aside(&self, unreadable: &[(LeaseToken, FailureRecord)]) -> Result<()> {
        let mut args = self.args();
        for (token, why) in unreadable {
            args.push(token.task.as_str());
            args.push(proof(token));
            args.push("U");
            args.push(token.queue.as_str());
            args.push(failure(why)?);
        }
        self.change("settle", &SCRIPTS.settle, args).await.map(drop)
    }
}

/// Adds a settlement to the arguments of the script `settle`.
fn push_settlement(args: &mut Args, settlement: &Settlement) -> Result<()> {
    let Settlement {
        token,
        started_at,
        verdict,
    } = settlement;
    let started = started_at.map(|at| at.as_micros().to_string());
    let verdict_as = |letter: char| format!("{letter}{}", started.as_deref().unwrap_or_default());
    args.push(token.task.as_str());
    args.push(proof(token));
    match verdict {
        Verdict::Ack { result: None } => args.push(verdict_as('A')),
        Verdict::Ack {
            result: Some(result),
        } => {
            args.push(verdict_as('a'));
            args.push(write_payload(result));
        }
        Verdict::Retry { at, failure: why } => {
            args.push(verdict_as('R'));
            args.push(at.as_micros().to_string());
            args.push(failure(why)?);
        }
        Verdict::Bury {
            reason,
            failure: why,
        } => {
            args.push(verdict_as('B'));
            args.push(reason.as_str());
            args.push(failure(why)?);
        }
        Verdict::Release { at, cause } => {
            args.push(verdict_as('L'));
            args.push(at.map(|at| at.as_micros().to_string()).unwrap_or_default());
            args.push(cause.as_str());
        }
    }
    Ok(())
}

fn failure(failure: &FailureRecord) -> Result<Vec<u8>> {
    serde_json::to_vec(failure).map_err(|e| Error::invalid("settle", e.to_string()))
}
