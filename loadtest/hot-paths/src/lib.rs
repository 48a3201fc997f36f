//! What every task passes through, each as something that can be called again and again: timed by
//! `cargo bench -p tidemill-hot-paths`, and counted in instructions by `cargo xtask guard`.

use std::fmt;
use std::hint::black_box;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::Serialize;
use tidemill_shared::schedule::{CronExpr, Interval, Recurrence, Zone};
use tidemill_shared::{
    Envelope, FailureRecord, Kind, Payload, Result, RetryPolicy, TaskId, Timestamp,
    decode_envelope, encode_envelope,
};

/// Something that is called for one task after the other.
pub type Call = Box<dyn FnMut()>;

/// A path, and what makes it ready to be called.
#[derive(Clone, Copy)]
pub struct HotPath {
    /// Its name, in the limits too.
    pub name: &'static str,
    prepare: fn() -> Result<Call>,
}

impl fmt::Debug for HotPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl HotPath {
    /// Something to be called, each time for one task. Fails only if Tidemill refuses what is written in
    /// this file.
    pub fn prepare(&self) -> Result<Call> {
        (self.prepare)()
    }

    /// The path of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        PATHS.iter().find(|path| path.name == name)
    }
}

/// All of them.
pub const PATHS: &[HotPath] = &[
    HotPath {
        name: "envelope_encode",
        prepare: || {
            let envelope = envelope()?;
            Ok(Box::new(move || {
                black_box(encode_envelope(black_box(&envelope)).is_ok());
            }))
        },
    },
    HotPath {
        name: "envelope_decode",
        prepare: || {
            let bytes = encode_envelope(&envelope()?)?;
            Ok(Box::new(move || {
                black_box(decode_envelope(black_box(&bytes)).is_ok());
            }))
        },
    },
    HotPath {
        name: "payload_json",
        prepare: || {
            let mail = Mail::default();
            Ok(Box::new(move || {
                black_box(Payload::json(black_box(&mail)).is_ok());
            }))
        },
    },
    HotPath {
        name: "task_id",
        prepare: || {
            Ok(Box::new(|| {
                black_box(TaskId::generate(black_box(BEGIN)));
            }))
        },
    },
    HotPath {
        name: "next_fire_utc",
        prepare: || next_fire("0 9 * * MON-FRI", "UTC"),
    },
    HotPath {
        name: "next_fire_in_a_zone",
        prepare: || next_fire("0 9 * * MON-FRI", "America/New_York"),
    },
    HotPath {
        name: "next_fire_every",
        prepare: || {
            let every = Recurrence::Every(Interval::new(Duration::from_secs(30))?);
            let mut at = BEGIN;
            Ok(Box::new(move || {
                at = every.next_after(black_box(at)).unwrap_or(BEGIN);
            }))
        },
    },
    HotPath {
        name: "cron_parse",
        prepare: || {
            Ok(Box::new(|| {
                black_box(CronExpr::parse(black_box("*/15 8-17 * * MON-FRI")).is_ok());
            }))
        },
    },
    HotPath {
        name: "retry_delay",
        prepare: || {
            let policy = RetryPolicy::default();
            let failure = FailureRecord::new("error", "connection refused");
            let mut dice = StdRng::seed_from_u64(1);
            Ok(Box::new(move || {
                let elapsed = Duration::from_secs(30);
                black_box(policy.next_delay(black_box(4), &failure, elapsed, &mut dice));
            }))
        },
    },
];

/// 2026-03-02T08:00:00Z.
const BEGIN: Timestamp = Timestamp::from_micros(1_772_438_400_000_000);

#[derive(Debug, Serialize)]
struct Mail {
    to: &'static str,
    subject: &'static str,
    lines: u32,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            to: "ada@example.com",
            subject: "the first program, and what has come of it since",
            lines: 42,
        }
    }
}

/// As a task is that an application enqueues: a payload of about a hundred bytes, and a trace.
fn envelope() -> Result<Envelope> {
    let payload = Payload::json(&Mail::default())?;
    let id = TaskId::new("019cc6f0-2f80-7c4a-9d2e-3b6f1a5c8e01")?;
    let mut envelope = Envelope::new(id, Kind::new("email.welcome")?, payload, BEGIN);
    envelope.headers.insert(
        "traceparent".into(),
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
    );
    Ok(envelope)
}

fn next_fire(expression: &str, zone: &str) -> Result<Call> {
    let (cron, zone) = (CronExpr::parse(expression)?, Zone::new(zone)?);
    let mut at = BEGIN;
    Ok(Box::new(move || {
        at = cron.next_after(black_box(at), &zone).unwrap_or(BEGIN);
    }))
}

#[cfg(test)]
mod tests {
    use super::PATHS;

    #[test]
    fn every_path_can_be_called_and_has_a_name_of_its_own() {
        let mut names: Vec<&str> = PATHS.iter().map(|path| path.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PATHS.len());
        for path in PATHS {
            let mut call = path.prepare().unwrap();
            call();
            call();
        }
    }
}
