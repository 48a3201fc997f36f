//! What has become of a task so far: its runs, and what operators did.

use tidemill_shared::ledger::{LogStream, Logs};
use tidemill_shared::{Attempt, AttemptOutcome, Connection, Result, State, TaskRecord};

use super::{Finding, finding};

/// The longest page of a log, and how many of them are looked through for what operators did.
const LOG_PAGE: usize = 1_000;
const LOG_PAGES: usize = 10;

/// That it had ended, and what it got by being put back in line.
pub(super) fn put_back(task: &TaskRecord, attempts: &[Attempt]) -> Option<Finding> {
    if task.state.is_final() {
        return None;
    }
    let policy = &task.envelope.retry;
    let last = attempts.last()?;
    let had_ended = match last.outcome {
        AttemptOutcome::Buried | AttemptOutcome::Succeeded | AttemptOutcome::Cancelled => true,
        // At its crash limit it was buried; a reset starts its count anew.
        AttemptOutcome::Crashed => task.crashes == 0 || task.crashes >= policy.crash_limit,
        AttemptOutcome::Failed | AttemptOutcome::Released => false,
    };
    let left = policy.max_attempts.saturating_sub(task.failures);
    let runs = match left {
        0 => "one more run".to_owned(),
        left => format!("{left} of {} attempts", policy.max_attempts),
    };
    had_ended.then(|| {
        finding(
            "put_back",
            format!(
                "it had ended at {} and was put back in line since, with {runs}",
                last.finished_at
            ),
        )
    })
}

/// What operators did to it, from its log.
pub(super) async fn by_hand(connection: &Connection, task: &TaskRecord) -> Result<Vec<Finding>> {
    const DEEDS: [&str; 8] = [
        "retried by ",
        "replayed by ",
        "repaired by ",
        "run now by ",
        "rescheduled by ",
        "buried by ",
        "cancelled by ",
        "skipped by ",
    ];
    let (mut findings, mut cursor) = (Vec::new(), None);
    for _ in 0..LOG_PAGES {
        let page = Logs::read_log(&*connection.ledger, &task.envelope.id, cursor, LOG_PAGE).await?;
        let is_last = page.lines.len() < LOG_PAGE;
        for line in page.lines {
            let is_deed = DEEDS.iter().any(|deed| line.text.starts_with(deed));
            if line.stream == LogStream::System && is_deed {
                findings.push(finding("by_hand", format!("{}, at {}", line.text, line.at)));
            }
        }
        if is_last {
            break;
        }
        cursor = Some(page.next);
    }
    Ok(findings)
}

/// Why it ran more than once: an account of the attempts that ended otherwise than well.
pub(super) fn repeats(task: &TaskRecord, attempts: &[Attempt]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for attempt in attempts {
        let (number, worker, at) = (attempt.attempt, &attempt.worker, attempt.finished_at);
        let error = attempt
            .failure
            .as_ref()
            .map_or_else(String::new, |error| format!(": {error}"));
        findings.push(match attempt.outcome {
            AttemptOutcome::Crashed => finding(
                "lease_lost",
                format!("run {number}: worker {worker} died or lost the lease; taken back at {at}"),
            ),
            AttemptOutcome::Failed => {
                finding("failed", format!("run {number} failed on worker {worker} at {at}{error}"))
            }
            AttemptOutcome::Buried if is_last_burial(task, attempts, attempt) => finding(
                "buried",
                format!("run {number} on worker {worker} ended it at {at}{error}"),
            ),
            AttemptOutcome::Buried => finding(
                "buried_before",
                format!(
                    "run {number} on worker {worker} made it a dead letter at {at}{error}; it was put back since"
                ),
            ),
            AttemptOutcome::Released => finding(
                "released",
                format!("run {number} went back uncounted at {at}, from worker {worker}{error}"),
            ),
            AttemptOutcome::Succeeded | AttemptOutcome::Cancelled => continue,
        });
    }
    findings
}

/// Whether it is this burial that stands.
fn is_last_burial(task: &TaskRecord, attempts: &[Attempt], attempt: &Attempt) -> bool {
    task.state == State::Dead && attempts.last() == Some(attempt)
}
