//! What each metric means. `docs/metrics.md` says the same, which a test holds.

use crate::names;

/// A metric, described.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Described {
    /// Its name.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub form: &'static str,
    /// The labels that it has beside those of the scrape.
    pub labels: &'static [&'static str],
    /// What it says, without a full stop at the end.
    pub help: &'static str,
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Described {
    described(name, "counter", labels, help)
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Described {
    described(name, "gauge", labels, help)
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Described {
    described(name, "histogram", labels, help)
}

const fn described(
    name: &'static str,
    form: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Described {
    Described {
        name,
        form,
        labels,
        help,
    }
}

/// Every metric that a process of Tidemill exports.
#[rustfmt::skip]
pub const CATALOGUE: &[Described] = &[
    counter(names::TASK_RUN_TOTAL, &["status"], "Runs that ended: completed, failed or cancelled"),
    histogram(names::JOB_DURATION_SECONDS, &["job", "status"], "How long runs took, by kind"),
    counter(names::TASK_FAILURES_TOTAL, &["job", "reason"], "Runs that failed, by the class of the failure"),
    histogram(names::TASK_EXECUTION, &["task"], "Count and sum of the durations of runs in seconds, by kind, without buckets"),
    histogram(names::TASK_DURATION_SECONDS, &[], "How long runs took, over all kinds"),
    gauge(names::TASKS, &["queue", "state"], "Tasks in the store"),
    histogram(names::QUEUE_LATENCY_SECONDS, &["queue"], "From ready to started"),
    gauge(names::OLDEST_PENDING_AGE_SECONDS, &["queue"], "Age of the task that has been ready for longest, 0 when none is"),
    counter(names::ENQUEUED_TOTAL, &["queue", "result"], "Tasks that this process put into the store: admitted, duplicate, conflict, full or error"),
    counter(names::PROCESSED_TOTAL, &["queue", "status"], "Runs that ended in this process: completed, retry, dead, cancelled, snoozed, released or lost"),
    counter(names::RETRIES_TOTAL, &[], "Runs that failed and are repeated"),
    counter(names::DEAD_TOTAL, &["reason"], "Tasks that became dead letters here"),
    counter(names::DEAD_DROPPED_TOTAL, &["queue", "bound"], "Dead letters that this process removed because they were beyond their bounds: age, count or bytes"),
    gauge(names::DEAD_LETTERS, &["queue"], "Dead letters in the store"),
    counter(names::LEASE_LOST_TOTAL, &[], "Leases that passed to somebody else during a run"),
    counter(names::ORPHANS_RECOVERED_TOTAL, &[], "Tasks that this process took back from workers that died"),
    counter(names::STALE_ACK_REJECTED_TOTAL, &[], "Settlements that were refused because their lease was no longer valid"),
    gauge(names::WORKER_SLOTS, &["state"], "Places for runs: busy or idle"),
    gauge(names::WORKER_LAST_HEARTBEAT_TIMESTAMP_SECONDS, &[], "When the store last took this worker's sign of life"),
    gauge(names::OLDEST_RUNNING_START_TIMESTAMP_SECONDS, &[], "When the run began that has been going on for longest, the present when none is"),
    gauge(names::QUEUE_PAUSED, &["queue"], "Whether a queue is paused"),
    gauge(names::SCHEDULER_IS_LEADER, &["shard"], "Whether this producer leads a shard of the schedules"),
    gauge(names::SCHEDULER_LEADER_EPOCH, &["shard"], "The epoch of its latest term"),
    counter(names::SCHEDULER_LEADER_CHANGES_TOTAL, &[], "How often this producer was elected"),
    histogram(names::SCHEDULER_FIRE_LATENESS_SECONDS, &[], "How long after their due time fires were put into the store, 0 for those put ahead"),
    gauge(names::SCHEDULER_LAST_FIRE_TIMESTAMP_SECONDS, &["schedule"], "The last instant that was due"),
    gauge(names::SCHEDULER_NEXT_FIRE_TIMESTAMP_SECONDS, &["schedule"], "The next instant that is due"),
    counter(names::SCHEDULER_MISSED_FIRES_TOTAL, &["policy"], "Instants that passed without a run because nothing was up at their time, by the misfire policy of their schedule: counted by whoever found them late"),
    counter(names::SCHEDULER_DUPLICATE_FIRES_SUPPRESSED_TOTAL, &[], "Fires that were on record already, so that nothing was added"),
    gauge(names::BROKER_UP, &["backend"], "Whether the store answers"),
    gauge(names::BROKER_BLOCKED, &[], "Whether the broker holds publishers back"),
    counter(names::BROKER_RECONNECTS_TOTAL, &[], "How often the store answered again after it had not"),
    histogram(names::BROKER_OPERATION_DURATION_SECONDS, &["op"], "How long calls of the broker took; lease counts only when it had no need to wait"),
    counter(names::AMQP_PUBLISH_TOTAL, &["result"], "What became of published messages: ack, nack or returned; zero without RabbitMQ"),
    gauge(names::STORE_CLOCK_SKEW_SECONDS, &[], "The store's clock minus this machine's"),
    histogram(names::HTTP_REQUEST_DURATION_SECONDS, &["route", "code"], "How long HTTP requests to this process took, by route and class of the answer, until its first byte"),
    counter(names::SPANS_TOTAL, &["result"], "Spans of traces: exported, rejected by the collector out of a batch that it took, dropped because there was no room for them, or failed because the collector did not take their batch"),
    counter(names::LOG_LINES_DROPPED_TOTAL, &[], "Lines of the log that were dropped, because whoever reads it was too slow"),
    gauge(names::BUILD_INFO, &["version", "role", "backend"], "What runs; always 1"),
    counter(names::PROCESS_CPU_SECONDS_TOTAL, &[], "Processor time of this process"),
    gauge(names::PROCESS_OPEN_FDS, &[], "Open file descriptors"),
    gauge(names::PROCESS_MAX_FDS, &[], "The most file descriptors that may be open"),
    gauge(names::PROCESS_RESIDENT_MEMORY_BYTES, &[], "Memory in use"),
    gauge(names::PROCESS_VIRTUAL_MEMORY_BYTES, &[], "Address space in use"),
    gauge(names::PROCESS_START_TIME_SECONDS, &[], "When the process started"),
    gauge(names::PROCESS_THREADS, &[], "Threads"),
];

/// What a metric means.
pub(crate) fn help(name: &str) -> &'static str {
    let found = CATALOGUE.iter().find(|described| described.name == name);
    found.map_or("", |described| described.help)
}
