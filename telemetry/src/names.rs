//! The name of every metric, as it stands in a scrape, in dashboards and in alerts.

/// Runs that ended, by `status`.
pub const TASK_RUN_TOTAL: &str = "scheduler_task_run_total";
/// How long runs took, by `job` and `status`.
pub const JOB_DURATION_SECONDS: &str = "job_duration_seconds";
/// Runs that failed, by `job` and `reason`.
pub const TASK_FAILURES_TOTAL: &str = "task_failures_total";
/// Count and sum of the durations of runs, by `task`.
pub const TASK_EXECUTION: &str = "task_execution";
/// How long runs took, over all kinds.
pub const TASK_DURATION_SECONDS: &str = "task_duration_seconds";

/// Tasks in the store, by `queue` and `state`.
pub const TASKS: &str = "tidemill_tasks";
/// From ready to started, by `queue`.
pub const QUEUE_LATENCY_SECONDS: &str = "tidemill_queue_latency_seconds";
/// Age of the task that has been ready for longest, by `queue`.
pub const OLDEST_PENDING_AGE_SECONDS: &str = "tidemill_oldest_pending_age_seconds";
/// Tasks that this process put into the store, by `queue` and `result`.
pub const ENQUEUED_TOTAL: &str = "tidemill_enqueued_total";
/// Runs that ended here, by `queue` and `status`.
pub const PROCESSED_TOTAL: &str = "tidemill_processed_total";
/// Runs that failed and are repeated.
pub const RETRIES_TOTAL: &str = "tidemill_retries_total";
/// Tasks that became dead letters, by `reason`.
pub const DEAD_TOTAL: &str = "tidemill_dead_total";
/// Dead letters that were beyond their bounds and are removed, by `queue` and `bound`.
pub const DEAD_DROPPED_TOTAL: &str = "tidemill_dead_dropped_total";
/// Dead letters in the store, by `queue`.
pub const DEAD_LETTERS: &str = "tidemill_dead_letters";
/// Leases that passed to somebody else during a run.
pub const LEASE_LOST_TOTAL: &str = "tidemill_lease_lost_total";
/// Tasks taken back from workers that died.
pub const ORPHANS_RECOVERED_TOTAL: &str = "tidemill_orphans_recovered_total";
/// Settlements that were refused because their lease was no longer valid.
pub const STALE_ACK_REJECTED_TOTAL: &str = "tidemill_stale_ack_rejected_total";
/// Places for runs, by `state`.
pub const WORKER_SLOTS: &str = "tidemill_worker_slots";
/// When this worker last said that it is there.
pub const WORKER_LAST_HEARTBEAT_TIMESTAMP_SECONDS: &str =
    "tidemill_worker_last_heartbeat_timestamp_seconds";
/// When the run began that has been going on for longest.
pub const OLDEST_RUNNING_START_TIMESTAMP_SECONDS: &str =
    "tidemill_oldest_running_start_timestamp_seconds";
/// Whether a queue is paused, by `queue`.
pub const QUEUE_PAUSED: &str = "tidemill_queue_paused";

/// Whether this producer leads.
pub const SCHEDULER_IS_LEADER: &str = "tidemill_scheduler_is_leader";
/// The epoch of its term.
pub const SCHEDULER_LEADER_EPOCH: &str = "tidemill_scheduler_leader_epoch";
/// How often it was elected.
pub const SCHEDULER_LEADER_CHANGES_TOTAL: &str = "tidemill_scheduler_leader_changes_total";
/// How late fires were put into the store.
pub const SCHEDULER_FIRE_LATENESS_SECONDS: &str = "tidemill_scheduler_fire_lateness_seconds";
/// The last instant that was due, by `schedule`.
pub const SCHEDULER_LAST_FIRE_TIMESTAMP_SECONDS: &str =
    "tidemill_scheduler_last_fire_timestamp_seconds";
/// The next instant that is due, by `schedule`.
pub const SCHEDULER_NEXT_FIRE_TIMESTAMP_SECONDS: &str =
    "tidemill_scheduler_next_fire_timestamp_seconds";
/// Instants that passed without a run, by `policy`.
pub const SCHEDULER_MISSED_FIRES_TOTAL: &str = "tidemill_scheduler_missed_fires_total";
/// Fires that were on record already.
pub const SCHEDULER_DUPLICATE_FIRES_SUPPRESSED_TOTAL: &str =
    "tidemill_scheduler_duplicate_fires_suppressed_total";

/// Whether the store answers, by `backend`.
pub const BROKER_UP: &str = "tidemill_broker_up";
/// Whether the broker holds publishers back.
pub const BROKER_BLOCKED: &str = "tidemill_broker_blocked";
/// How often the store answered again after it had not.
pub const BROKER_RECONNECTS_TOTAL: &str = "tidemill_broker_reconnects_total";
/// How long calls of the broker took, by `op`.
pub const BROKER_OPERATION_DURATION_SECONDS: &str = "tidemill_broker_operation_duration_seconds";
/// What became of messages that were published, by `result`.
pub const AMQP_PUBLISH_TOTAL: &str = "tidemill_amqp_publish_total";
/// The store's clock minus this machine's.
pub const STORE_CLOCK_SKEW_SECONDS: &str = "tidemill_store_clock_skew_seconds";

/// How long requests took, by `route` and `code`.
pub const HTTP_REQUEST_DURATION_SECONDS: &str = "tidemill_http_request_duration_seconds";
/// What became of spans, by `result`.
pub const SPANS_TOTAL: &str = "tidemill_spans_total";
/// Lines of the log that were dropped.
pub const LOG_LINES_DROPPED_TOTAL: &str = "tidemill_log_lines_dropped_total";
/// What runs, by `version`, `role` and `backend`.
pub const BUILD_INFO: &str = "tidemill_build_info";

/// Processor time.
pub const PROCESS_CPU_SECONDS_TOTAL: &str = "process_cpu_seconds_total";
/// Open file descriptors.
pub const PROCESS_OPEN_FDS: &str = "process_open_fds";
/// The most file descriptors that may be open.
pub const PROCESS_MAX_FDS: &str = "process_max_fds";
/// Memory in use.
pub const PROCESS_RESIDENT_MEMORY_BYTES: &str = "process_resident_memory_bytes";
/// Address space in use.
pub const PROCESS_VIRTUAL_MEMORY_BYTES: &str = "process_virtual_memory_bytes";
/// When the process started.
pub const PROCESS_START_TIME_SECONDS: &str = "process_start_time_seconds";
/// Threads.
pub const PROCESS_THREADS: &str = "process_threads";
