//! The text form of a schedule, as it stands in a file.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::schedule::recurrence::Interval;
use crate::schedule::{
    Bounds, CronExpr, ExcludedDates, Misfire, Overlap, Recurrence, Schedule, Zone, retry_form,
};
use crate::{
    Error, Headers, Kind, Priority, QueueName, RetryPolicy, ScheduleId, Timestamp, seconds_text,
};

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScheduleForm {
    id: ScheduleId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
    #[serde(
        default,
        with = "seconds_text::option",
        skip_serializing_if = "Option::is_none"
    )]
    every: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    exclude: Vec<String>,
    kind: Kind,
    #[serde(default)]
    queue: QueueName,
    #[serde(default)]
    payload: serde_json::Value,
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    headers: Headers,
    #[serde(default)]
    priority: Priority,
    #[serde(default)]
    misfire: Misfire,
    #[serde(default = "super::default_catch_up", with = "seconds_text")]
    catch_up: Duration,
    #[serde(default)]
    overlap: Overlap,
    #[serde(default, with = "seconds_text")]
    jitter: Duration,
    #[serde(default = "default_timeout", with = "seconds_text")]
    timeout: Duration,
    #[serde(default = "default_retention", with = "seconds_text")]
    retention: Duration,
    #[serde(default, deserialize_with = "retry_form::deserialize")]
    retry: RetryPolicy,
}

fn default_timeout() -> Duration {
    crate::envelope::DEFAULT_TIMEOUT
}

fn default_retention() -> Duration {
    Duration::from_secs(86_400)
}

impl TryFrom<ScheduleForm> for Schedule {
    type Error = Error;

    fn try_from(form: ScheduleForm) -> Result<Self, Error> {
        let wrong = |what: String| {
            Error::invalid("schedule", format!("schedule {}: {what}", form.id.as_str()))
        };
        let named = |e: Error| wrong(e.to_string());
        let recurrence = match (&form.cron, form.every, form.at) {
            (Some(text), None, None) => {
                let expression = CronExpr::parse(text).map_err(named)?;
                let zone = match &form.time_zone {
                    Some(name) => Zone::new(name).map_err(named)?,
                    None => Zone::utc(),
                };
                Recurrence::Cron { expression, zone }
            }
            (None, Some(every), None) => Recurrence::Every(Interval::new(every).map_err(named)?),
            (None, None, Some(at)) => Recurrence::At(at),
            (None, None, None) => {
                return Err(wrong(
                    "expected one of cron, every and at; found none".into(),
                ));
            }
            _ => return Err(wrong("expected just one of cron, every and at".into())),
        };
        let bounds = Bounds {
            start: form.start,
            end: form.end,
            limit: form.limit,
            exclude: ExcludedDates::read(&form.exclude).map_err(named)?,
        };
        let recurrence = recurrence.within(bounds).map_err(named)?;
        if form.time_zone.is_some() && form.cron.is_none() {
            return Err(wrong("time_zone goes with cron only".into()));
        }
        if form.timeout.is_zero() {
            return Err(wrong("the timeout is zero; expected more".into()));
        }
        if form.jitter > Duration::from_secs(86_400) {
            return Err(wrong("the jitter is over a day".into()));
        }
        form.retry.check().map_err(named)?;
        Ok(Self {
            id: form.id,
            recurrence,
            misfire: form.misfire,
            catch_up: form.catch_up,
            overlap: form.overlap,
            jitter: form.jitter,
            kind: form.kind,
            queue: form.queue,
            payload: form.payload,
            headers: form.headers,
            priority: form.priority,
            timeout: form.timeout,
            retention: form.retention,
            retry: form.retry,
        })
    }
}

impl From<Schedule> for ScheduleForm {
    fn from(schedule: Schedule) -> Self {
        let (mut cron, mut every, mut at, mut time_zone) = (None, None, None, None);
        match schedule.recurrence.rule() {
            Recurrence::Cron { expression, zone } => {
                cron = Some(expression.as_str().to_owned());
                time_zone = Some(zone.name().to_owned());
            }
            Recurrence::Every(interval) => every = Some(interval.get()),
            Recurrence::At(instant) => at = Some(*instant),
            Recurrence::Bounded(_) => {}
        }
        let bounds = schedule.recurrence.bounds().cloned().unwrap_or_default();
        Self {
            id: schedule.id,
            cron,
            every,
            at,
            time_zone,
            start: bounds.start,
            end: bounds.end,
            limit: bounds.limit,
            exclude: bounds.exclude.entries(),
            kind: schedule.kind,
            queue: schedule.queue,
            payload: schedule.payload,
            headers: schedule.headers,
            priority: schedule.priority,
            misfire: schedule.misfire,
            catch_up: schedule.catch_up,
            overlap: schedule.overlap,
            jitter: schedule.jitter,
            timeout: schedule.timeout,
            retention: schedule.retention,
            retry: schedule.retry,
        }
    }
}
