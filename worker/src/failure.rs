//! What a handler answers when it did not succeed.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use tidemill_shared::FailureRecord;

/// What a handler returns: a value that is kept as the task's result (`()` means none), or why not.
pub type TaskResult<T = ()> = Result<T, Failure>;

/// Why a run did not succeed, and what follows from it.
///
/// Every error converts into one, so that `?` retries the task by its retry policy, with the error's
/// text and its causes as the message and `error` as the class. [`Failure::reject`] buries the task
/// at once; [`Failure::snooze`] brings it back later without being counted. An error that has a
/// [`FailureError`] among its causes follows that one.
///
/// ```
/// use tidemill_worker::{Failure, TaskResult};
///
/// fn parse(text: &str) -> TaskResult<u32> {
///     if text.is_empty() {
///         return Err(Failure::reject("there is nothing to parse"));
///     }
///     Ok(text.parse()?)
/// }
/// assert!(parse("").unwrap_err().is_rejected());
/// assert_eq!(parse("x").unwrap_err().class_name(), "error");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    course: Course,
    class: Cow<'static, str>,
    message: String,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    Retry,
    RetryAfter(Duration),
    Reject,
    Snooze(Duration),
}

impl Failure {
    /// A failure that is retried by the task's policy, of class `error`.
    pub fn new(message: impl Into<String>) -> Self {
        Self::classed("error", message)
    }

    /// A failure of this class, which the retry policy may hold to be final
    /// ([`RetryPolicy::non_retryable`](tidemill_shared::RetryPolicy)).
    pub fn class(class: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::classed(class, message)
    }

    /// A failure that is final: the task becomes a dead letter at once.
    pub fn reject(message: impl Into<String>) -> Self {
        Self {
            course: Course::Reject,
            ..Self::classed("rejected", message)
        }
    }

    /// Not now: the task comes back after `delay`, and the run is not counted as an attempt.
    #[must_use]
    pub fn snooze(delay: Duration) -> Self {
        Self {
            course: Course::Snooze(delay),
            ..Self::classed("snoozed", "not now")
        }
    }

    /// A failure that is retried after `delay` instead of the policy's own delay, as long as the
    /// policy allows another attempt.
    pub fn retry_after(delay: Duration, message: impl Into<String>) -> Self {
        Self {
            course: Course::RetryAfter(delay),
            ..Self::classed("error", message)
        }
    }

    /// Takes any error, boxed ones included, as `?` would.
    pub fn from_error(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::from_chain(&*error.into())
    }

    /// Gives it another class: a short stable word for metrics and retry policies.
    #[must_use]
    pub fn with_class(mut self, class: impl Into<Cow<'static, str>>) -> Self {
        self.class = class.into();
        self
    }

    /// The class.
    #[must_use]
    pub fn class_name(&self) -> &str {
        &self.class
    }

    /// What happened.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether it buries the task at once.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        self.course == Course::Reject
    }

    /// Whether it only puts the task off.
    #[must_use]
    pub const fn is_snoozed(&self) -> bool {
        matches!(self.course, Course::Snooze(_))
    }

    /// The same as an error, to be wrapped in other errors without losing what follows from it.
    #[must_use]
    pub const fn into_error(self) -> FailureError {
        FailureError(self)
    }

    pub(crate) const fn course(&self) -> Course {
        self.course
    }

    /// As it is kept with the task.
    pub(crate) fn record(&self) -> FailureRecord {
        FailureRecord::new(&*self.class, &*self.message)
    }

    fn classed(class: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            course: Course::Retry,
            class: class.into(),
            message: message.into(),
        }
    }

    fn from_chain(error: &(dyn StdError + 'static)) -> Self {
        let mut failure = Self::new(error.to_string());
        let mut last = failure.message.clone();
        let mut link = Some(error);
        let mut found = false;
        while let Some(error) = link {
            if let (false, Some(FailureError(inner))) = (found, error.downcast_ref()) {
                failure.course = inner.course;
                failure.class = inner.class.clone();
                found = true;
            }
            let text = error.to_string();
            // Many errors repeat their cause's text in their own.
            if !last.contains(&text) {
                failure.message.push_str(": ");
                failure.message.push_str(&text);
            }
            last = text;
            link = error.source();
        }
        failure
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::from_chain(&error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}: {}", self.course, self.class, self.message)
    }
}

/// A [`Failure`] as an error: it can be the cause of another error and still decides what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureError(Failure);

impl fmt::Display for FailureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for FailureError {}

#[cfg(test)]
mod tests {
    use std::error::Error as StdError;
    use std::fmt;

    use super::{Failure, FailureError};

    #[derive(Debug)]
    struct Outer(FailureError);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("reading the order")
        }
    }

    impl StdError for Outer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn a_reject_among_the_causes_still_rejects() {
        let failure = Failure::from(Outer(Failure::reject("no such order").into_error()));
        assert!(failure.is_rejected());
        assert_eq!(failure.message(), "reading the order: no such order");
        let boxed: Box<dyn StdError + Send + Sync> =
            Box::new(Outer(Failure::reject("no such order").into_error()));
        assert!(Failure::from_error(boxed).is_rejected());
    }

    #[test]
    fn a_class_among_the_causes_is_kept() {
        let cause = Failure::class("bad_input", "7 is not even").into_error();
        assert_eq!(Failure::from(Outer(cause)).class_name(), "bad_input");
    }

    #[test]
    fn a_text_can_be_a_failure() {
        assert_eq!(Failure::from_error("boom").message(), "boom");
    }
}
