//! Bringing one envelope to the broker, again with the same id where the outcome is not known.

use std::time::Duration;

use tidemill::{Admission, Envelope};
use tokio::time::{Instant, sleep};

use crate::context::Context;
use crate::problem::Problem;

/// No attempt begins later; each may take as long as a call to the broker may.
const LIMIT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Delivers it. When that fails with the outcome unknown, the problem names the id and how to repeat it.
pub(super) async fn deliver(context: &Context, envelope: Envelope) -> Result<Admission, Problem> {
    let began = Instant::now();
    let (mut pause, mut may_be_there) = (FIRST_PAUSE, false);
    loop {
        let error = match context.broker().enqueue(vec![envelope.clone()]).await {
            Ok(mut answers) => {
                let answer = answers.pop();
                let answer = answer.ok_or_else(|| Problem::failed("the broker gave no answer"))?;
                return Ok(match answer {
                    // What an attempt with a lost answer has left.
                    Admission::Duplicate(first) if first == envelope.id => Admission::Admitted,
                    Admission::IdConflict if may_be_there && is_there(context, &envelope).await => {
                        Admission::Admitted
                    }
                    answer => answer,
                });
            }
            Err(error) => error,
        };
        if !error.is_transient() || began.elapsed() + pause >= LIMIT {
            let is_known = !may_be_there && !error.is_transient();
            let problem = Problem::from(error);
            return Err(match is_known {
                true => problem,
                false => problem
                    .during(format!("the task {} may be in the store", envelope.id))
                    .hint(format!(
                        "repeat the command with --id {}: the task is then added once at most",
                        envelope.id
                    )),
            });
        }
        may_be_there = true;
        tracing::debug!(%error, "the enqueue failed and is tried again");
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether the task under this id is this one: nobody else enqueued the same thing at the same instant.
async fn is_there(context: &Context, own: &Envelope) -> bool {
    let Ok(inspect) = context.inspect() else {
        return false;
    };
    let found = inspect.get(&own.id).await;
    found.is_ok_and(|task| {
        task.is_some_and(|task| {
            let found = &task.envelope;
            (own.enqueued_at, &own.kind, &own.queue, &own.payload)
                == (found.enqueued_at, &found.kind, &found.queue, &found.payload)
        })
    })
}
