//! From the end of a handler to what the broker is told: pure policy.

use std::time::Duration;

use rand::Rng;
use tidemill_shared::{BuryReason, FailureRecord, ReleaseCause, RetryPolicy, Timestamp, Verdict};

use crate::failure::{Course, Failure};
use crate::run::CancelReason;
use crate::{Outcome, RunContext, RunStatus};

/// The longest that a task of unknown kind waits for a worker that knows it.
const UNKNOWN_LONGEST: Duration = Duration::from_secs(60);

/// What the decision about a failure depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) policy: &'a RetryPolicy,
    /// Failures before this one.
    pub(crate) failures: u32,
    pub(crate) enqueued_at: Timestamp,
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) cancelled: Option<CancelReason>,
}

impl<'a> Facts<'a> {
    pub(crate) fn of(run: &'a RunContext) -> Self {
        Self {
            policy: run.retry_policy(),
            failures: run.lease().failures,
            enqueued_at: run.enqueued_at(),
            deadline: run.deadline(),
            cancelled: run.cancel_reason(),
        }
    }
}

/// Decides what the broker is told. A success is a success, also after the run was told to stop.
pub(crate) fn decide(
    outcome: Outcome,
    facts: Facts<'_>,
    now: Timestamp,
    rng: &mut dyn Rng,
) -> Verdict {
    let failure = match outcome {
        Ok(result) => return Verdict::Ack { result },
        Err(failure) => failure,
    };
    match facts.cancelled {
        // The broker ends it as cancelled, whatever the verdict.
        Some(CancelReason::Cancelled) => Verdict::Bury {
            reason: BuryReason::Operator,
            failure: failure.with_class("cancelled").record(),
        },
        Some(CancelReason::Shutdown) => Verdict::Release {
            at: None,
            cause: ReleaseCause::Shutdown,
        },
        Some(CancelReason::Deadline) => Verdict::Bury {
            reason: BuryReason::DeadlineExceeded,
            failure: failure.with_class("deadline").record(),
        },
        Some(CancelReason::Timeout) if failure.course() == Course::Retry => {
            after_failure(&failure.with_class("timeout"), facts, now, rng)
        }
        Some(CancelReason::Timeout | CancelReason::LeaseLost) | None => {
            after_failure(&failure, facts, now, rng)
        }
    }
}

fn after_failure(
    failure: &Failure,
    facts: Facts<'_>,
    now: Timestamp,
    rng: &mut dyn Rng,
) -> Verdict {
    let bury = |reason, failure| Verdict::Bury { reason, failure };
    let after = match failure.course() {
        Course::Snooze(delay) => {
            return Verdict::Release {
                at: Some(now + delay),
                cause: ReleaseCause::Snooze,
            };
        }
        Course::Reject => return bury(BuryReason::Rejected, failure.record()),
        Course::RetryAfter(delay) => Some(delay),
        Course::Retry => None,
    };
    let record = failure.record();
    if facts.deadline.is_some_and(|deadline| now >= deadline) {
        return bury(BuryReason::DeadlineExceeded, record);
    }
    let policy = facts.policy;
    if policy.non_retryable.contains(&record.class) {
        return bury(BuryReason::Rejected, record);
    }
    let elapsed = now.since(facts.enqueued_at);
    let failures = facts.failures.saturating_add(1);
    let Some(delay) = policy.next_delay(failures, &record, elapsed, rng) else {
        return bury(BuryReason::AttemptsExhausted, record);
    };
    let delay = after.unwrap_or(delay);
    if policy
        .max_elapsed
        .is_some_and(|limit| elapsed.saturating_add(delay) > limit)
    {
        return bury(BuryReason::AttemptsExhausted, record);
    }
    let at = now + delay;
    if facts.deadline.is_some_and(|deadline| at >= deadline) {
        return bury(BuryReason::DeadlineExceeded, record);
    }
    Verdict::Retry {
        at,
        failure: record,
    }
}

/// The verdict on a task whose kind has no handler here: another worker may know it, for a while.
pub(crate) fn unknown_kind(kind: &str, releases: u32, limit: u32, now: Timestamp) -> Verdict {
    if releases >= limit {
        return Verdict::Bury {
            reason: BuryReason::UnknownKind,
            failure: FailureRecord::new(
                "unknown_kind",
                format!("no worker knew the kind {kind} in {releases} hand-outs"),
            ),
        };
    }
    let delay = Duration::from_secs(1 << releases.min(6)).min(UNKNOWN_LONGEST);
    Verdict::Release {
        at: Some(now + delay),
        cause: ReleaseCause::UnknownKind,
    }
}

/// The verdict on a task whose deadline passed before it started.
pub(crate) fn too_late(deadline: Timestamp) -> Verdict {
    Verdict::Bury {
        reason: BuryReason::DeadlineExceeded,
        failure: FailureRecord::new(
            "deadline",
            format!("the deadline {deadline} had passed before the run started"),
        ),
    }
}

/// The word for a verdict.
pub(crate) fn status(verdict: &Verdict, cancelled: Option<CancelReason>) -> RunStatus {
    match verdict {
        Verdict::Ack { .. } => RunStatus::Completed,
        _ if cancelled == Some(CancelReason::Cancelled) => RunStatus::Cancelled,
        Verdict::Retry { .. } => RunStatus::Retry,
        Verdict::Bury { .. } => RunStatus::Dead,
        Verdict::Release {
            cause: ReleaseCause::Snooze,
            ..
        } => RunStatus::Snoozed,
        Verdict::Release { .. } => RunStatus::Released,
    }
}

/// What happened, for the verdict's message.
pub(crate) fn failure_of(verdict: &Verdict) -> Option<&FailureRecord> {
    match verdict {
        Verdict::Retry { failure, .. } | Verdict::Bury { failure, .. } => Some(failure),
        Verdict::Ack { .. } | Verdict::Release { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use tidemill_shared::{BuryReason, Jitter, ReleaseCause, RetryPolicy, Timestamp, Verdict};

    use super::{Facts, decide, unknown_kind};
    use crate::Failure;
    use crate::run::CancelReason;

    const NOW: Timestamp = Timestamp::from_millis(100_000);

    fn policy() -> RetryPolicy {
        RetryPolicy {
            max_attempts: 3,
            jitter: Jitter::None,
            ..RetryPolicy::default()
        }
    }

    fn facts(policy: &RetryPolicy) -> Facts<'_> {
        Facts {
            policy,
            failures: 0,
            enqueued_at: Timestamp::from_millis(90_000),
            deadline: None,
            cancelled: None,
        }
    }

    fn verdict(failure: Failure, facts: Facts<'_>) -> Verdict {
        decide(Err(failure), facts, NOW, &mut StdRng::seed_from_u64(1))
    }

    fn buried(verdict: &Verdict) -> Option<BuryReason> {
        match verdict {
            Verdict::Bury { reason, .. } => Some(*reason),
            _ => None,
        }
    }

    #[test]
    fn a_failure_is_retried_after_the_policys_delay() {
        let policy = policy();
        let verdict = verdict(Failure::new("boom"), facts(&policy));
        let Verdict::Retry { at, .. } = verdict else {
            panic!("{verdict:?}")
        };
        assert_eq!(at, NOW + Duration::from_secs(1));
    }

    #[test]
    fn a_delay_that_the_handler_names_replaces_the_policys_but_adds_no_attempt() {
        let policy = policy();
        let later = || Failure::retry_after(Duration::from_secs(77), "busy");
        let Verdict::Retry { at, .. } = verdict(later(), facts(&policy)) else {
            panic!("expected a retry")
        };
        assert_eq!(at, NOW + Duration::from_secs(77));
        let last = Facts {
            failures: 2,
            ..facts(&policy)
        };
        assert_eq!(
            buried(&verdict(later(), last)),
            Some(BuryReason::AttemptsExhausted)
        );
    }

    /// Behaviour 43.
    #[test]
    fn a_retry_that_would_come_after_the_deadline_is_not_made() {
        let policy = policy();
        for millis in [99_000, 100_500, 101_000] {
            let late = Facts {
                deadline: Some(Timestamp::from_millis(millis)),
                ..facts(&policy)
            };
            assert_eq!(
                buried(&verdict(Failure::new("boom"), late)),
                Some(BuryReason::DeadlineExceeded)
            );
        }
    }

    #[test]
    fn a_final_class_is_buried_as_rejected() {
        let policy = RetryPolicy {
            non_retryable: vec!["bad_input".into()],
            ..policy()
        };
        let failure = Failure::class("bad_input", "7 is not even");
        assert_eq!(
            buried(&verdict(failure, facts(&policy))),
            Some(BuryReason::Rejected)
        );
    }

    #[test]
    fn what_ends_in_a_shutdown_goes_back_uncounted() {
        let policy = policy();
        let ending = Facts {
            cancelled: Some(CancelReason::Shutdown),
            ..facts(&policy)
        };
        let verdict = verdict(Failure::new("interrupted"), ending);
        assert_eq!(
            verdict,
            Verdict::Release {
                at: None,
                cause: ReleaseCause::Shutdown
            }
        );
    }

    #[test]
    fn an_unknown_kind_waits_longer_each_time_and_is_buried_at_the_limit() {
        let delays: Vec<_> = (0..=20)
            .map(|releases| match unknown_kind("x", releases, 20, NOW) {
                Verdict::Release { at: Some(at), .. } => Some(at.since(NOW).as_secs()),
                _ => None,
            })
            .collect();
        assert_eq!(delays.first(), Some(&Some(1)));
        assert_eq!(delays.get(5), Some(&Some(32)));
        assert_eq!(delays.get(19), Some(&Some(60)));
        assert_eq!(delays.get(20), Some(&None));
    }
}
