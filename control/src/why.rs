//! Why a task is where it is, from what is on record.

mod past;
mod workers;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use tidemill_shared::ledger::{Presence, Role};
use tidemill_shared::{
    BuryReason, Connection, QueueStats, Result, State, TaskRecord, Timestamp, format_duration,
};

use past::{by_hand, put_back, repeats};
use workers::{Workers, busy};

/// One thing that is known about a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// A stable word.
    pub code: Cow<'static, str>,
    /// What it means for this task.
    pub text: String,
    /// What could be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

fn finding(code: &'static str, text: impl Into<String>) -> Finding {
    Finding {
        code: code.into(),
        text: text.into(),
        remedy: None,
    }
}

impl Finding {
    fn remedy(mut self, text: impl Into<String>) -> Self {
        self.remedy = Some(text.into());
        self
    }
}

/// Why a task is where it is: why it does not run, why it ran more than once, why it is dead. The
/// first finding says what holds it now.
pub async fn why(connection: &Connection, task: &TaskRecord) -> Result<Vec<Finding>> {
    let attempts = match connection.broker.inspect() {
        Some(inspect) => inspect.attempts(&task.envelope.id).await?,
        None => Vec::new(),
    };
    let now = connection.clock.now();
    let mut findings = match task.state {
        State::Scheduled => scheduled(connection, task, now).await?,
        State::Retry => {
            let mut findings = vec![retry(task, now)];
            findings.extend(Workers::of(connection, task).await?.unknown_kind(task));
            findings
        }
        State::Pending => pending(connection, task, now).await?,
        State::Active => active(connection, task).await?,
        State::Completed => vec![ended(task, "completed", "it has run well")],
        State::Cancelled => vec![ended(task, "cancelled", "it was cancelled, which is final")],
        State::Dead => vec![dead(task)],
    };
    if task.cancel_requested && task.state == State::Active {
        findings.push(finding(
            "cancel_requested",
            "its cancellation was asked for; its run is told at its next renewal",
        ));
    }
    if let Some(deadline) = task.envelope.deadline
        && !task.state.is_final()
    {
        let text = match deadline <= now {
            true => {
                format!("its deadline was {deadline}: its next run ends at once, as a dead letter")
            }
            false => format!("no run of it starts or goes on after its deadline, {deadline}"),
        };
        findings.push(finding("deadline", text));
    }
    findings.extend(put_back(task, &attempts));
    findings.extend(by_hand(connection, task).await?);
    findings.extend(repeats(task, &attempts));
    Ok(findings)
}

async fn scheduled(
    connection: &Connection,
    task: &TaskRecord,
    now: Timestamp,
) -> Result<Vec<Finding>> {
    let mut findings = vec![not_yet(task, now)];
    let workers = Workers::of(connection, task).await?;
    if let Some(unknown) = workers.unknown_kind(task) {
        // One that was handed out already waits for nothing else.
        let place = usize::from(task.worker.is_none());
        findings.insert(place, unknown);
    }
    Ok(findings)
}

fn not_yet(task: &TaskRecord, now: Timestamp) -> Finding {
    let due = task.due_at;
    if due > now && task.worker.is_some() {
        let rest = format_duration(due.since(now));
        return finding(
            "put_off",
            format!("it was handed out and put off until {due}, in {rest}"),
        );
    }
    if due > now {
        let rest = format_duration(due.since(now));
        return finding("not_due", format!("it is due at {due}, in {rest}")).remedy(format!(
            "`tidemill task retry {}` runs it now",
            task.envelope.id
        ));
    }
    match &task.envelope.origin {
        Some(origin) => finding(
            "held",
            format!(
                "it was due at {due}; an earlier task of its schedule {} has not ended, and its overlap \
                 policy lets it wait",
                origin.schedule
            ),
        )
        .remedy(format!("`tidemill task list --schedule {}` shows them", origin.schedule)),
        None => finding(
            "not_promoted",
            format!("it was due at {due}, and nothing has promoted it yet"),
        )
        .remedy("workers promote what is due: is one alive? `tidemill workers`"),
    }
}

fn retry(task: &TaskRecord, now: Timestamp) -> Finding {
    let failed = match &task.error {
        Some(error) => format!("its run {} failed ({error})", task.attempt),
        None => format!("its run {} failed", task.attempt),
    };
    let left = task
        .envelope
        .retry
        .max_attempts
        .saturating_sub(task.failures);
    let due = task.due_at;
    let text = match due > now {
        true => {
            let rest = format_duration(due.since(now));
            format!("{failed}; it runs again at {due}, in {rest}, and {left} attempts are left")
        }
        false => format!("{failed}; it was to run again at {due}, and nothing has promoted it yet"),
    };
    finding("retry", text).remedy(format!(
        "`tidemill task retry {}` runs it now",
        task.envelope.id
    ))
}

async fn pending(
    connection: &Connection,
    task: &TaskRecord,
    now: Timestamp,
) -> Result<Vec<Finding>> {
    let queue = &task.envelope.queue;
    let stats = connection.broker.stats(std::slice::from_ref(queue)).await?;
    let stats = stats
        .into_iter()
        .next()
        .unwrap_or_else(|| QueueStats::empty(queue.clone()));
    let workers = Workers::of(connection, task).await?;
    let mut findings = Vec::new();
    if stats.paused {
        let why = stats.pause_reason.as_deref().map(|why| format!(": {why}"));
        let text = format!("its queue {queue} is paused{}", why.unwrap_or_default());
        findings
            .push(finding("queue_paused", text).remedy(format!("`tidemill queue resume {queue}`")));
    }
    if workers.serving.is_empty() {
        let text = match workers.alive {
            0 => "no worker is alive".to_owned(),
            count => {
                format!("{count} workers are alive, and none of them serves the queue {queue}")
            }
        };
        findings.push(
            finding("no_worker", text)
                .remedy(format!("start one: `tidemill worker --queue {queue}`")),
        );
    }
    findings.extend(workers.unknown_kind(task));
    findings.extend(busy(&workers.knowing(task)));
    let waited = format_duration(now.since(task.due_at));
    let ahead = stats.pending.saturating_sub(1);
    findings.push(finding(
        "ready",
        format!("it has been ready for {waited}; {ahead} others are ready in its queue"),
    ));
    Ok(findings)
}

async fn active(connection: &Connection, task: &TaskRecord) -> Result<Vec<Finding>> {
    let since = task.started_at.map(|at| format!(" since {at}"));
    let since = since.unwrap_or_default();
    let Some(worker) = &task.worker else {
        return Ok(vec![finding("running", format!("it runs{since}"))]);
    };
    let workers = Presence::present(&*connection.ledger, Role::Worker).await?;
    let alive = workers.iter().find(|one| one.id == *worker);
    Ok(vec![match alive {
        Some(one) => finding(
            "running",
            format!(
                "it runs{since} on worker {worker} (host {}, process {})",
                one.host, one.pid
            ),
        ),
        None => finding(
            "worker_lost",
            format!(
                "worker {worker} holds it{since} and is no longer heard of; it is taken back when its \
                 lease ends"
            ),
        ),
    }])
}

fn ended(task: &TaskRecord, code: &'static str, what: &str) -> Finding {
    let at = task.finished_at.map(|at| format!(", at {at}"));
    finding(code, format!("{what}{}", at.unwrap_or_default())).remedy(format!(
        "`tidemill task retry {}` runs it again",
        task.envelope.id
    ))
}

fn dead(task: &TaskRecord) -> Finding {
    let policy = &task.envelope.retry;
    let last = task
        .error
        .as_ref()
        .map(|error| format!("; the last failure: {error}"));
    let what = match task.bury_reason {
        Some(BuryReason::AttemptsExhausted) if task.failures > policy.max_attempts => {
            format!(
                "all {} attempts failed, and {} more that it got by being put back",
                policy.max_attempts,
                task.failures - policy.max_attempts
            )
        }
        Some(BuryReason::AttemptsExhausted) => {
            format!(
                "{} of {} attempts failed",
                task.failures, policy.max_attempts
            )
        }
        Some(BuryReason::Rejected) => {
            "its handler rejected it, or failed in a way that no retry mends".into()
        }
        Some(BuryReason::DeadlineExceeded) => "its deadline passed".into(),
        Some(BuryReason::CrashLoop) => {
            format!(
                "{} workers died under it, which is its crash limit",
                task.crashes
            )
        }
        Some(BuryReason::UnknownKind) => {
            format!(
                "no worker knew its kind {} for too long",
                task.envelope.kind
            )
        }
        Some(BuryReason::Undecodable) => {
            "its stored form cannot be read; its bytes are kept".into()
        }
        _ => "an operator buried it".into(),
    };
    let at = task.finished_at.map(|at| format!(" at {at}"));
    let code = task.bury_reason.map_or("dead", BuryReason::as_str);
    let text = format!(
        "it was buried{}: {what}{}",
        at.unwrap_or_default(),
        last.unwrap_or_default()
    );
    let id = &task.envelope.id;
    finding(code, text).remedy(match task.bury_reason {
        Some(BuryReason::UnknownKind) => format!(
            "start a worker that has a handler for {}; then `tidemill dead replay {id}` puts it back",
            task.envelope.kind
        ),
        _ => format!("`tidemill dead replay {id}` puts it back"),
    })
}
