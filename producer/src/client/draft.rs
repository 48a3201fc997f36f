//! An envelope in the making: each option is kept with what is wrong with it, so that a later one
//! replaces it, and the first that is wrong at the end is refused before any I/O.

use std::time::Duration;

use tidemill_shared::{
    Envelope, Error, Headers, Key, KeyClaim, KeyFate, Kind, Payload, Priority, QueueName, Result,
    RetryPolicy, Task, TaskId, Timestamp, check_json, keep_what_travels,
};

/// When a task is due.
#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    Now,
    At(Timestamp),
    After(Duration),
}

/// Who made a task's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdMaker {
    /// The client: nobody else can have the same.
    Client,
    /// The caller: somebody else may have used it.
    Caller,
}

#[derive(Debug)]
pub(super) struct Draft {
    kind: Result<Kind>,
    payload: Result<Payload>,
    pub(super) id: Option<Result<TaskId>>,
    pub(super) queue: Option<Result<QueueName>>,
    pub(super) key: Option<Result<Key>>,
    pub(super) key_ttl: Option<Duration>,
    pub(super) on_success: Option<KeyFate>,
    pub(super) on_failure: Option<KeyFate>,
    pub(super) due: Due,
    pub(super) priority: Option<Result<Priority>>,
    pub(super) retry: RetryPolicy,
    pub(super) timeout: Option<Duration>,
    pub(super) deadline: Option<Timestamp>,
    pub(super) retention: Duration,
    pub(super) headers: Headers,
}

impl Draft {
    pub(super) fn of_task<T: Task>(payload: Result<Payload>) -> Self {
        let defaults = T::defaults();
        let mut draft = Self::new(Kind::new(T::KIND), payload);
        draft.queue = defaults.queue.map(QueueName::new);
        draft.priority = defaults.priority.map(|level| Priority::new(level.into()));
        draft.timeout = defaults.timeout;
        draft.retention = defaults.retention.unwrap_or_default();
        if let Some(attempts) = defaults.max_attempts {
            draft.retry.max_attempts = attempts;
        }
        draft
    }

    pub(super) fn raw(kind: &str, payload: Payload) -> Self {
        let checked = if payload.content_type().is_json() {
            check_json(payload.as_bytes()).map(|()| payload)
        } else {
            Ok(payload)
        };
        Self::new(Kind::new(kind), checked)
    }

    fn new(kind: Result<Kind>, payload: Result<Payload>) -> Self {
        Self {
            kind,
            payload,
            id: None,
            queue: None,
            key: None,
            key_ttl: None,
            on_success: None,
            on_failure: None,
            due: Due::Now,
            priority: None,
            retry: RetryPolicy::default(),
            timeout: None,
            deadline: None,
            retention: Duration::ZERO,
            headers: Headers::new(),
        }
    }

    /// The envelope, or the first thing that is wrong with it.
    pub(super) fn finish(self, now: Timestamp, max_payload: usize) -> Result<(Envelope, IdMaker)> {
        let key = self.key_claim()?;
        let (id, maker) = match self.id {
            Some(id) => (id?, IdMaker::Caller),
            None => (TaskId::generate(now), IdMaker::Client),
        };
        let mut envelope = Envelope::new(id, self.kind?, self.payload?, now);
        if let Some(queue) = self.queue {
            envelope.queue = queue?;
        }
        if let Some(priority) = self.priority {
            envelope.priority = priority?;
        }
        if let Some(timeout) = self.timeout {
            envelope.timeout = timeout;
        }
        envelope.due_at = match self.due {
            Due::Now => now,
            Due::At(at) => at,
            Due::After(delay) => now + delay,
        };
        envelope.key = key;
        envelope.retry = self.retry;
        envelope.deadline = self.deadline;
        envelope.retention = self.retention;
        envelope.headers = self.headers;
        keep_what_travels(&mut envelope.headers);
        envelope.check(max_payload)?;
        Ok((envelope, maker))
    }

    fn key_claim(&self) -> Result<Option<KeyClaim>> {
        let Some(key) = &self.key else {
            let stray =
                self.key_ttl.is_some() || self.on_success.is_some() || self.on_failure.is_some();
            return if stray {
                Err(Error::invalid(
                    "key",
                    "there is a setting for the key but no key; give one with key(…)",
                ))
            } else {
                Ok(None)
            };
        };
        let key = key.as_ref().map_err(Error::duplicate)?;
        let mut claim = KeyClaim::new(key.clone());
        if let Some(ttl) = self.key_ttl {
            if ttl.is_zero() {
                return Err(Error::invalid(
                    "key",
                    "the key's time to live is zero; expected more",
                ));
            }
            claim.ttl = ttl;
        }
        claim.on_success = self.on_success.unwrap_or_default();
        claim.on_failure = self.on_failure.unwrap_or_default();
        Ok(Some(claim))
    }
}
