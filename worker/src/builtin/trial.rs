//! Handlers for trials: they do nothing but end in a known way.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tidemill_shared::{Payload, Task, seconds_text};

use crate::{Failure, Run, TaskResult};

/// `echo`: returns its payload, any JSON, as its result.
pub(super) async fn echo<S>(payload: Payload, _run: Run<S>) -> TaskResult<Box<RawValue>> {
    if !payload.content_type().is_json() {
        return Err(Failure::reject(
            "echo takes JSON, but the payload is of another type",
        ));
    }
    serde_json::from_slice(payload.as_bytes())
        .map_err(|e| Failure::reject(format!("the payload is not JSON: {e}")))
}

/// The payload of `sleep`: takes this long, then succeeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sleep {
    /// How long, such as `2s`.
    #[serde(rename = "for", with = "seconds_text")]
    pub duration: Duration,
}

impl Task for Sleep {
    const KIND: &'static str = "sleep";
}

pub(super) async fn sleep<S: Send + Sync>(task: Sleep, run: Run<S>) -> TaskResult {
    tokio::select! {
        () = tokio::time::sleep(task.duration) => Ok(()),
        reason = run.cancelled() => {
            Err(Failure::class(reason.as_str(), "told to stop before the time was over"))
        }
    }
}

/// The payload of `fail`: fails in a way of one's choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fail {
    /// What it says.
    pub message: String,
    /// The class of the failure; `error` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The attempt, from 1, that succeeds; none does when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub succeed_on_attempt: Option<u32>,
    /// Whether it rejects its task, which buries it at once.
    pub reject: bool,
    /// Whether it panics.
    pub panic: bool,
}

impl Default for Fail {
    fn default() -> Self {
        Self {
            message: "failed as asked".into(),
            class: None,
            succeed_on_attempt: None,
            reject: false,
            panic: false,
        }
    }
}

impl Task for Fail {
    const KIND: &'static str = "fail";
}

#[expect(clippy::panic, reason = "a trial of what a worker does with a panic")]
pub(super) async fn fail<S>(task: Fail, run: Run<S>) -> TaskResult {
    if task
        .succeed_on_attempt
        .is_some_and(|attempt| run.attempt() >= attempt)
    {
        return Ok(());
    }
    if task.panic {
        panic!("{}", task.message);
    }
    let failure = match task.reject {
        true => Failure::reject(task.message),
        false => Failure::new(task.message),
    };
    Err(match task.class {
        Some(class) => failure.with_class(class),
        None => failure,
    })
}
