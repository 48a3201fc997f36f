//! One enqueue with its options.

use std::future::IntoFuture;
use std::time::Duration;

use futures::future::BoxFuture;
use tidemill_shared::{
    Error, Key, KeyFate, Priority, QueueName, Result, RetryPolicy, TaskId, Timestamp,
};

use super::delivery::{Item, deliver};
use super::draft::{Draft, Due};
use super::{Client, Enqueued};
use crate::spans::SendSpan;

/// One enqueue; await it to send it.
///
/// Of an option that is given twice the later counts. What is wrong is refused when it is awaited,
/// with [`ErrorKind::Invalid`](tidemill_shared::ErrorKind), before any I/O.
///
/// A transient error of the store is tried again with the same id until the timeout (5 s unless
/// [`enqueue_timeout`](Self::enqueue_timeout) says otherwise), so that a lost answer makes neither a
/// second task nor a false conflict. After that the error is
/// [`ErrorKind::Timeout`](tidemill_shared::ErrorKind) where the task may be in the store, and
/// [`ErrorKind::Unavailable`](tidemill_shared::ErrorKind) where it is not known to be. An id that is
/// taken is [`ErrorKind::Conflict`](tidemill_shared::ErrorKind), a full queue
/// [`ErrorKind::Refused`](tidemill_shared::ErrorKind); a key that is taken is not an error.
///
/// Cancel-safe: dropping the future before the task was handed to the store takes it back; after
/// that it goes through.
#[derive(Debug)]
#[must_use = "an enqueue does nothing until it is awaited"]
pub struct Enqueue {
    client: Client,
    draft: Draft,
    timeout: Duration,
}

impl Enqueue {
    pub(super) fn new(client: Client, draft: Draft) -> Self {
        let timeout = client.timeout;
        Self {
            client,
            draft,
            timeout,
        }
    }

    /// Into this queue. Default: the task's own, or `default`.
    pub fn queue(mut self, name: impl AsRef<str>) -> Self {
        self.draft.queue = Some(QueueName::new(name));
        self
    }

    /// With this id. Default: a new UUID version 7.
    pub fn id(mut self, id: impl AsRef<str>) -> Self {
        self.draft.id = Some(TaskId::new(id));
        self
    }

    /// Unless a live task of the same queue and kind has this key.
    pub fn key(mut self, key: impl AsRef<str>) -> Self {
        self.draft.key = Some(Key::new(key));
        self
    }

    /// How long the key stays taken, from the due time on. Default 24 h.
    pub fn key_ttl(mut self, ttl: Duration) -> Self {
        self.draft.key_ttl = Some(ttl);
        self
    }

    /// What success does to the key. Default: it is free at once.
    pub fn key_on_success(mut self, fate: KeyFate) -> Self {
        self.draft.on_success = Some(fate);
        self
    }

    /// What the task's burial does to the key. Default: it is free at once.
    pub fn key_on_failure(mut self, fate: KeyFate) -> Self {
        self.draft.on_failure = Some(fate);
        self
    }

    /// Not before this instant; one in the past means at once. Replaces an earlier `after`.
    pub fn at(mut self, instant: Timestamp) -> Self {
        self.draft.due = Due::At(instant);
        self
    }

    /// Not before this much time from the await. Replaces an earlier `at`.
    pub fn after(mut self, delay: Duration) -> Self {
        self.draft.due = Due::After(delay);
        self
    }

    /// 0 (last) to 9 (first) among the ready tasks of its queue. Default: the task's own, or 5.
    pub fn priority(mut self, level: i64) -> Self {
        self.draft.priority = Some(Priority::new(level));
        self
    }

    /// Runs in all, the first included. Default: the task's own, or 10.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.draft.retry.max_attempts = attempts;
        self
    }

    /// When it runs again after a failure; replaces an earlier `max_attempts` too.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.draft.retry = policy;
        self
    }

    /// The longest that one run may take. Default: the task's own, or 30 min.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.draft.timeout = Some(limit);
        self
    }

    /// No run starts and none goes on after this instant. Default none.
    pub fn deadline(mut self, instant: Timestamp) -> Self {
        self.draft.deadline = Some(instant);
        self
    }

    /// How long it is kept with its result and logs once completed. Default: the task's own, or
    /// zero.
    pub fn retention(mut self, time: Duration) -> Self {
        self.draft.retention = time;
        self
    }

    /// Adds a header, or replaces it.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.draft.headers.insert(name.into(), value.into());
        self
    }

    /// How long this enqueue may take, repeats included. Default: the client's.
    pub fn enqueue_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(super) const fn limit(&self) -> Duration {
        self.timeout
    }

    /// The item to deliver, or what is wrong with it.
    pub(super) fn finish(self) -> Result<Item> {
        if self.timeout.is_zero() {
            return Err(Error::invalid(
                "enqueue",
                "the enqueue timeout is zero; expected more",
            ));
        }
        let now = self.client.connection.clock.now();
        let (envelope, maker) = self.draft.finish(now, self.client.max_payload())?;
        Ok(Item { envelope, maker })
    }

    async fn send(self) -> Result<Enqueued> {
        let client = self.client.clone();
        let timeout = self.timeout;
        let mut item = self.finish()?;
        let span = SendSpan::begin(&client.connection, &mut item.envelope);
        let mut answers = deliver(&client, &[item], timeout).await;
        let answer = answers
            .pop()
            .expect("a delivery answers each of its items, and this one has one");
        span.end(&answer);
        answer
    }
}

impl IntoFuture for Enqueue {
    type Output = Result<Enqueued>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
