//! Ending runs.

use std::collections::{HashMap, HashSet};

use redis::Value;
use tidemill_shared::{
    Error, FailureRecord, LeaseToken, Result, Settled, Settlement, State, Verdict,
};

use super::RedisStore;
use super::record::state;
use crate::args::{Args, place_of, proof};
use crate::head::nonsense;
use crate::reply::{Reply, write_payload};
use crate::script_set::SCRIPTS;

/// Whether it acknowledges the first run of a task that leaves nothing behind.
fn is_plain(settlement: &Settlement) -> bool {
    let (_, is_plain) = place_of(&settlement.token);
    is_plain && settlement.token.fence == 1 && matches!(settlement.verdict, Verdict::Ack { .. })
}

impl RedisStore {
    /// Ends runs: those that leave nothing behind by the quick script, in one call for each queue and
    /// worker; the rest, and what turns out not to be so plain, by the thorough one.
    pub(super) async fn end(&self, batch: &[Settlement]) -> Result<Vec<Settled>> {
        let mut settled = vec![Settled::Stale; batch.len()];
        let mut left = Vec::new();
        let mut plain: HashMap<_, Vec<usize>> = HashMap::new();
        let mut seen = HashSet::with_capacity(batch.len());
        let is_unique = batch.iter().all(|one| seen.insert(&one.token.task));
        for (at, settlement) in batch.iter().enumerate() {
            // Of two verdicts on one task the first counts, whichever script takes it.
            if is_unique && is_plain(settlement) {
                let token = &settlement.token;
                plain
                    .entry((&token.queue, &token.worker))
                    .or_default()
                    .push(at);
            } else {
                left.push(at);
            }
        }
        for ((queue, worker), places) in plain {
            let mut args = self.args().with(queue.as_str()).with(worker.as_str());
            args.reserve(2 * places.len());
            for at in &places {
                let token = &batch[*at].token;
                args.push(token.task.as_str());
                args.push(place_of(token).0.to_string());
            }
            let answer = self.change("settle", &SCRIPTS.settle_plain, args).await?;
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
