//! What a handler knows about its run, and what it can do with it.

mod cancel;
mod log;
mod once;
mod trace;

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Serialize;
use tidemill_shared::{
    Error, ErrorKind, Headers, Kind, Lease, Payload, QueueName, Result, RetryPolicy, ScheduleId,
    TaskId, Timestamp, WorkerId,
};
use tokio::time::Instant;

pub(crate) use cancel::CancelCell;
pub use cancel::CancelReason;
pub(crate) use log::{Fate, Limit, LogDesk, RunLog};
pub use trace::ClientSpan;
use trace::RunTrace;

use crate::engine::Engine;
use crate::registry::Registration;

/// A run as its handler sees it: everything of [`RunContext`], and the worker's state.
///
/// Owned and cheap to clone, so that it can move into spawned futures.
pub struct Run<S> {
    context: RunContext,
    state: Arc<S>,
}

impl<S> Run<S> {
    pub(crate) const fn new(context: RunContext, state: Arc<S>) -> Self {
        Self { context, state }
    }

    /// What was given to [`WorkerBuilder::state`](crate::WorkerBuilder::state).
    #[must_use]
    pub fn state(&self) -> &S {
        &self.state
    }

    /// The run without the state.
    #[must_use]
    pub const fn context(&self) -> &RunContext {
        &self.context
    }
}

impl<S> Clone for Run<S> {
    fn clone(&self) -> Self {
        Self {
            context: self.context.clone(),
            state: Arc::clone(&self.state),
        }
    }
}

impl<S> Deref for Run<S> {
    type Target = RunContext;
    fn deref(&self) -> &RunContext {
        &self.context
    }
}

impl<S> fmt::Debug for Run<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.context.fmt(f)
    }
}

/// One execution of a task under a lease. Cheap to clone.
#[derive(Clone)]
pub struct RunContext {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Arc<Engine>,
    hold: u64,
    lease: Lease,
    registration: Option<Arc<Registration>>,
    leased_at: Instant,
    begun: OnceLock<Begun>,
    cancel: CancelCell,
    lost: AtomicBool,
    concluded: AtomicBool,
    stuck: AtomicBool,
    log: OnceLock<RunLog>,
    trace: OnceLock<RunTrace>,
}

/// When a run began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    pub(crate) at: Timestamp,
    pub(crate) instant: Instant,
}

impl RunContext {
    pub(crate) fn new(
        engine: Arc<Engine>,
        hold: u64,
        lease: Lease,
        registration: Option<Arc<Registration>>,
        leased_at: Instant,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                engine,
                hold,
                lease,
                registration,
                leased_at,
                begun: OnceLock::new(),
                cancel: CancelCell::default(),
                lost: AtomicBool::new(false),
                concluded: AtomicBool::new(false),
                stuck: AtomicBool::new(false),
                log: OnceLock::new(),
                trace: OnceLock::new(),
            }),
        }
    }

    /// The task's id.
    #[must_use]
    pub fn task_id(&self) -> &TaskId {
        &self.inner.lease.envelope.id
    }

    /// The task's kind.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.inner.lease.envelope.kind
    }

    /// The queue that it came from.
    #[must_use]
    pub fn queue(&self) -> &QueueName {
        &self.inner.lease.envelope.queue
    }

    /// The number of this run, from 1. Snoozes and releases are not counted.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.inner.lease.attempt
    }

    /// Runs in all that the retry policy allows, the first included.
    #[must_use]
    pub fn max_attempts(&self) -> u32 {
        self.retry_policy().max_attempts
    }

    /// The task's stable identity: the same for every retry and every redelivery, to be handed to
    /// services downstream so that they see a repeat as a repeat. It is the task's id.
    #[must_use]
    pub fn idempotency_token(&self) -> &str {
        self.task_id().as_str()
    }

    /// The schedule that the task comes from, if any.
    #[must_use]
    pub fn schedule_id(&self) -> Option<&ScheduleId> {
        let origin = self.inner.lease.envelope.origin.as_ref()?;
        Some(&origin.schedule)
    }

    /// The planned instant of its fire, before jitter, if it comes from a schedule.
    #[must_use]
    pub fn scheduled_at(&self) -> Option<Timestamp> {
        let origin = self.inner.lease.envelope.origin.as_ref()?;
        Some(origin.scheduled_at)
    }

    /// The envelope's headers.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.inner.lease.envelope.headers
    }

    /// When the task was enqueued.
    #[must_use]
    pub fn enqueued_at(&self) -> Timestamp {
        self.inner.lease.envelope.enqueued_at
    }

    /// When the handler was started; `None` before that.
    #[must_use]
    pub fn started_at(&self) -> Option<Timestamp> {
        self.begun().map(|begun| begun.at)
    }

    /// When the task became ready for this run.
    #[must_use]
    pub fn ready_at(&self) -> Timestamp {
        self.inner.lease.ready_at
    }

    /// The instant after which the task neither starts nor goes on, if it has one.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.inner.lease.envelope.deadline
    }

    /// The longest that this run may take: the smaller of the envelope's timeout and the handler's.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        let own = self.inner.lease.envelope.timeout;
        self.registration()
            .and_then(|registration| registration.options.timeout)
            .map_or(own, |limit| limit.min(own))
    }

    /// Who runs it.
    #[must_use]
    pub fn worker_id(&self) -> &WorkerId {
        &self.inner.lease.token.worker
    }

    /// The present instant by the worker's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.engine.clock().now()
    }

    /// Is ready once this run has to stop, with the reason: its timeout or deadline has passed, it
    /// was cancelled, its lease is lost, or the worker's grace is used up. A handler that goes on is
    /// dropped a few seconds later ([`WorkerBuilder::cancel_grace`](crate::WorkerBuilder)).
    /// Cancel-safe.
    pub async fn cancelled(&self) -> CancelReason {
        self.inner.cancel.wait().await
    }

    /// Why this run has to stop, if it has to. For handlers that block and so can't wait.
    #[must_use]
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        self.inner.cancel.reason()
    }

    /// Whether this run has to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancel_reason().is_some()
    }

    /// Is ready once the worker is shutting down. A notice, not yet an order: the run may take the
    /// worker's grace to finish, or end itself early and uncounted with
    /// [`Failure::snooze`](crate::Failure::snooze). Cancel-safe.
    pub async fn shutting_down(&self) {
        self.inner.engine.draining().cancelled().await;
    }

    /// Whether the worker is shutting down.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.inner.engine.draining().is_cancelled()
    }

    /// Records how far this run has come, as JSON of the caller's own shape; the latest stands in the
    /// task's record. Fails with [`ErrorKind::Fenced`] when the lease is lost and with
    /// [`ErrorKind::Unsupported`] when the broker keeps no records.
    pub async fn progress<T: Serialize + ?Sized + Sync>(&self, progress: &T) -> Result<()> {
        let payload = Payload::json(progress)?;
        let broker = self.inner.engine.broker();
        let limit = broker.capabilities().max_payload;
        if payload.as_bytes().len() > limit {
            return Err(Error::invalid(
                "progress",
                format!(
                    "the progress has {} bytes; the limit is {limit}",
                    payload.as_bytes().len()
                ),
            ));
        }
        let Some(inspect) = broker.inspect() else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "progress",
                "this broker keeps no task records, so there is no place for progress",
            ));
        };
        inspect.report(&self.inner.lease.token, &payload).await
    }

    /// [`RunContext::progress`] for blocking handlers. Not to be called from async code.
    pub fn progress_blocking<T: Serialize + ?Sized + Sync>(&self, progress: &T) -> Result<()> {
        self.inner
            .engine
            .runtime()
            .block_on(self.progress(progress))
    }
}

/// What the worker's agents need.
impl RunContext {
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.inner.engine
    }

    pub(crate) fn hold(&self) -> u64 {
        self.inner.hold
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.inner.lease
    }

    pub(crate) fn registration(&self) -> Option<&Arc<Registration>> {
        self.inner.registration.as_ref()
    }

    pub(crate) fn retry_policy(&self) -> &RetryPolicy {
        self.registration()
            .and_then(|registration| registration.options.retry.as_ref())
            .unwrap_or(&self.inner.lease.envelope.retry)
    }

    /// How long after being told a handler may take to end.
    pub(crate) fn cancel_grace(&self) -> Duration {
        self.registration()
            .and_then(|registration| registration.options.cancel_grace)
            .unwrap_or(self.inner.engine.settings().cancel_grace)
    }

    pub(crate) fn leased_at(&self) -> Instant {
        self.inner.leased_at
    }

    pub(crate) fn begin(&self) -> Begun {
        *self.inner.begun.get_or_init(|| Begun {
            at: self.now(),
            instant: Instant::now(),
        })
    }

    /// Gives the run its place in a trace and in the log.
    pub(crate) fn open_trace(&self) {
        self.inner.trace.get_or_init(|| RunTrace::open(self));
    }

    pub(crate) fn begun(&self) -> Option<Begun> {
        self.inner.begun.get().copied()
    }

    pub(crate) fn cancel(&self, reason: CancelReason) -> bool {
        if reason == CancelReason::LeaseLost {
            self.inner.lost.store(true, Ordering::Release);
        }
        self.inner.cancel.cancel(reason)
    }

    pub(crate) fn told_at(&self) -> Option<Instant> {
        self.inner.cancel.at()
    }

    /// Whether the broker has said that the lease is somebody else's.
    pub(crate) fn is_lost(&self) -> bool {
        self.inner.lost.load(Ordering::Acquire)
    }

    /// Takes the right to say how this run ended. Only the first caller gets it.
    pub(crate) fn conclude(&self) -> bool {
        !self.inner.concluded.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn is_concluded(&self) -> bool {
        self.inner.concluded.load(Ordering::Acquire)
    }

    /// Notes that the handler does not end. Only the first caller gets `true`.
    pub(crate) fn mark_stuck(&self) -> bool {
        !self.inner.stuck.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn run_log(&self) -> Option<&RunLog> {
        self.inner.log.get()
    }

    pub(crate) fn open_log(&self) -> &RunLog {
        self.inner.log.get_or_init(RunLog::default)
    }
}

impl fmt::Debug for RunContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("task", self.task_id())
            .field("kind", self.kind())
            .field("queue", self.queue())
            .field("attempt", &self.attempt())
            .field("cancelled", &self.cancel_reason())
            .finish_non_exhaustive()
    }
}
