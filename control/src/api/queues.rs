//! Looking at queues and changing them.

use std::time::Duration;

use serde::Deserialize;
use tidemill_shared::{QueueName, QueueStats, Removed};

use crate::call::{Call, PageView, Reply};
use crate::problem::Problem;
use crate::route::Answer;

/// How many tasks one step of a forced removal takes.
const STEP: usize = 1_000;

fn queue(call: &Call) -> Result<QueueName, Problem> {
    let queue: QueueName = call.param("name").map_err(|_| Problem::not_found())?;
    call.must_see(&queue)?;
    Ok(queue)
}

/// The queue of the path, which has to be there.
async fn known(call: &Call) -> Result<QueueName, Problem> {
    let queue = queue(call)?;
    match call.inspect()?.queues().await?.contains(&queue) {
        true => Ok(queue),
        false => Err(Problem::not_found()),
    }
}

async fn stats(call: &Call, queue: &QueueName) -> Result<QueueStats, Problem> {
    let mut stats = call.broker().stats(std::slice::from_ref(queue)).await?;
    stats.pop().ok_or_else(Problem::not_found)
}

/// Queues with what they hold and have done, by name.
pub(crate) async fn list(call: Call) -> Answer {
    let mut stats = call.broker().stats(&[]).await?;
    stats.retain(|one| call.principal.scope.has(&one.queue));
    let (after, limit) = (call.parsed("cursor")?, call.limit()?);
    let place = |one: &QueueStats| one.queue.clone();
    Ok(Reply::ok(&PageView::of_all(
        stats,
        place,
        after.as_ref(),
        limit,
    )))
}

/// One queue.
pub(crate) async fn get(call: Call) -> Answer {
    let queue = known(&call).await?;
    Ok(Reply::ok(&stats(&call, &queue).await?))
}

/// What a queue did in each minute.
pub(crate) async fn history(call: Call) -> Answer {
    let queue = known(&call).await?;
    let hour = call.now() - Duration::from_secs(3_600);
    let since = call.when("since")?.unwrap_or(hour);
    let points = call.inspect()?.history(&queue, since).await?;
    Ok(Reply::ok(&PageView::new(points, None)))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ReasonForm {
    reason: Option<String>,
}

/// Stops a queue from yielding tasks.
pub(crate) async fn pause(call: Call) -> Answer {
    let form: ReasonForm = call.json_or_default()?;
    let queue = queue(&call)?;
    let reason = form.reason.or_else(|| call.reason());
    call.inspect()?.pause(&queue, reason.as_deref()).await?;
    Ok(Reply::ok(&stats(&call, &queue).await?))
}

/// Ends a pause, and a drain.
pub(crate) async fn resume(call: Call) -> Answer {
    let _: ReasonForm = call.json_or_default()?;
    let queue = known(&call).await?;
    call.inspect()?.resume(&queue).await?;
    if stats(&call, &queue).await?.limit == Some(0) {
        call.inspect()?.set_limit(&queue, None).await?;
    }
    Ok(Reply::ok(&stats(&call, &queue).await?))
}

/// Takes nothing new in, while what is there runs out.
pub(crate) async fn drain(call: Call) -> Answer {
    let _: ReasonForm = call.json_or_default()?;
    let queue = known(&call).await?;
    call.inspect()?.set_limit(&queue, Some(0)).await?;
    Ok(Reply::ok(&stats(&call, &queue).await?))
}

/// Limits how many tasks may wait.
pub(crate) async fn limit(call: Call) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Form {
        limit: Option<u64>,
        #[serde(default, rename = "reason")]
        _reason: Option<String>,
    }
    let form: Form = call.json()?;
    let queue = queue(&call)?;
    if form.limit == Some(0) {
        return Err(Problem::invalid(
            "limit: expected 1 or more, or null; see drain",
        ));
    }
    call.inspect()?.set_limit(&queue, form.limit).await?;
    Ok(Reply::ok(&stats(&call, &queue).await?))
}

/// Removes a queue that is empty; by force also one that is not, where the count is confirmed.
pub(crate) async fn remove(call: Call) -> Answer {
    let queue = known(&call).await?;
    let force = call.flag("force")?;
    let held = match call.inspect()?.remove_queue(&queue, false, STEP).await? {
        Removed::Done => return Ok(Reply::no_content()),
        Removed::NotFound => return Err(Problem::not_found()),
        Removed::Holds(held) => held,
    };
    if !force {
        let detail = format!("the queue holds {held} tasks; force=true removes them too");
        return Err(Problem::conflict(detail).with("count", held));
    }
    super::dead::confirm(&call, held)?;
    loop {
        match call.inspect()?.remove_queue(&queue, true, STEP).await? {
            Removed::Done | Removed::NotFound => return Ok(Reply::no_content()),
            Removed::Holds(now) => {
                let active = stats(&call, &queue).await?.active;
                if active >= now {
                    let detail = format!("{active} tasks run; they are left to end first");
                    return Err(Problem::conflict(detail).with("count", active));
                }
            }
        }
    }
}
