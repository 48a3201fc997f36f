//! The spans of fires.

use tidemill_shared::ledger::{FireOutcome, PlannedFire, Recorded};
use tidemill_shared::{Connection, Descent, Result, Span, SpanKind};

use super::dispatch;

/// The spans of fires that are about to be recorded: for each one that has a task, the fire, which
/// begins a trace, and within it the sending of the task.
#[derive(Debug, Default)]
pub(crate) struct FireSpans(Vec<Option<(Span, Span)>>);

impl FireSpans {
    /// `cron` is asked for the expression of the fire at a place, if that is recorded.
    pub(crate) fn begin<'a>(
        connection: &Connection,
        fires: &mut [PlannedFire],
        cron: impl Fn(usize) -> Option<&'a str>,
    ) -> Self {
        let Some(tracer) = &connection.tracer else {
            return Self::default();
        };
        let spans = fires.iter_mut().enumerate().map(|(place, fire)| {
            let envelope = fire.task.as_mut().ok()?;
            let mut fired = Span::start(tracer, SpanKind::Producer, Descent::Root, || {
                format!("schedule.fire {}", fire.schedule)
            });
            fired.describe(|record| {
                record.set("faas.trigger", "timer");
                if let Some(cron) = cron(place) {
                    record.set("faas.cron", cron.to_owned());
                }
                let lateness = envelope.enqueued_at.since(envelope.due_at).as_millis();
                record.set("tidemill.schedule.id", fire.schedule.to_string());
                record.set("tidemill.schedule.at", fire.scheduled_at.to_string());
                record.set(
                    "tidemill.schedule.lateness_ms",
                    i64::try_from(lateness).unwrap_or(i64::MAX),
                );
            });
            let descent = Descent::ChildOf(fired.context());
            let sent = dispatch("send", connection, tracer, descent, envelope);
            Some((fired, sent))
        });
        Self(spans.collect())
    }

    /// Ends them. Of a fire that was on record already, or that was not this producer's to record,
    /// nothing is told: somebody else has told it. A lost answer is told as a failure, because the task
    /// may be in the store all the same and then carries the place of these spans.
    pub(crate) fn end(self, recorded: &Result<Recorded>) {
        for (place, spans) in self.0.into_iter().enumerate() {
            let Some((mut fired, mut sent)) = spans else {
                continue;
            };
            let answer = match recorded {
                Ok(recorded) => recorded.outcomes.get(place),
                Err(error) => {
                    sent.fail(error.kind().as_str(), error);
                    fired.fail(error.kind().as_str(), error);
                    continue;
                }
            };
            match answer {
                Some(FireOutcome::Enqueued) => {}
                Some(outcome @ (FireOutcome::Skipped | FireOutcome::Missed)) => {
                    fired.describe(|record| record.set("tidemill.outcome", outcome.as_str()));
                    sent.discard();
                }
                Some(FireOutcome::Duplicate | FireOutcome::Refused) | None => {
                    sent.discard();
                    fired.discard();
                }
            }
        }
    }
}
