//! What a schedule file says that is allowed and hardly meant.

use tidemill::{QueueName, Timestamp};

use super::view::{bounded_rule, next};
use crate::settings::ScheduleSource;

/// The schedules that have no instant left.
pub(crate) fn spent(sources: &[ScheduleSource], now: Timestamp) -> Vec<String> {
    let all = sources.iter().flat_map(ScheduleSource::placed);
    let spent = all.filter(|(_, schedule)| next(schedule, now, 1).is_empty());
    spent
        .map(|(place, schedule)| {
            let (id, rule) = (&schedule.id, bounded_rule(schedule));
            format!("{place}: schedule {id} never fires again: {rule}")
        })
        .collect()
}

/// The schedules whose queue is not among those that are served.
pub(crate) fn unserved(sources: &[ScheduleSource], served: &[QueueName]) -> Vec<String> {
    let all = sources.iter().flat_map(ScheduleSource::placed);
    let lost = all.filter(|(_, schedule)| !served.contains(&schedule.queue));
    lost.map(|(place, schedule)| {
        let (id, queue) = (&schedule.id, &schedule.queue);
        format!("{place}: schedule {id} goes to queue {queue}, which no worker here serves")
    })
    .collect()
}
