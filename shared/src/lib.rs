//! The language of Tidemill: its nouns, its contracts and its pure policy.
//!
//! Everything that a producer, a worker and a broker have to agree on stands here, and nothing that
//! touches a socket, a file, a thread or the wall clock. Start with [`Envelope`] (what travels),
//! [`Broker`] (who keeps it), [`Lease`] (the right to run it) and [`Settlement`] (how a run ends).
//! The rules that every broker obeys are numbered in `docs/contract.md` and tested by name in the
//! crate `tidemill-conformance`.

mod broker;
mod clock;
mod connection;
mod envelope;
mod error;
mod error_pattern;
mod failure;
mod gate;
mod inspect;
mod key;
mod lease;
pub mod ledger;
mod merge_patch;
mod name;
mod payload;
mod priority;
mod record;
mod retry;
pub mod schedule;
mod settlement;
mod span;
mod state;
mod stats;
mod strict_json;
mod task;
mod timestamp;
mod trace;
mod url;
mod view;
mod vitals;
mod wire;

pub use broker::{Admission, Broker, Capabilities, Reclaimed, Swept};
pub use clock::{Clock, ManualClock, Sleep};
pub use connection::Connection;
pub use envelope::{Envelope, Headers, Origin};
pub use error::{Error, ErrorKind, Result};
pub use error_pattern::ErrorPattern;
pub use failure::{BuryReason, FailureRecord};
pub use gate::{Gate, Siblings, gate};
pub use inspect::{Bulk, Burial, Change, Changed, Inspect, MAX_LOOK, Removed, Replay, fill_page};
pub use key::{Key, KeyClaim, KeyFate};
pub use lease::{Demand, Lease, LeaseToken, QueueDemand, Renewal};
pub use merge_patch::merge_patch;
pub use name::{Kind, Namespace, NoteName, QueueName, ScheduleId, TaskId, WorkerId};
pub use payload::{ContentType, Payload};
pub use priority::Priority;
pub use record::{Attempt, AttemptOutcome, Cursor, Page, TaskFilter, TaskRecord};
pub use retry::{Jitter, RetryPolicy};
pub use settlement::{ReleaseCause, Settled, Settlement, Verdict};
pub use span::{Descent, Entered, Span, SpanKind, SpanRecord, SpanValue, Tracer};
pub use state::State;
pub use stats::{HistoryPoint, QueueStats};
pub use strict_json::check_json;
pub use task::{Task, TaskDefaults};
pub use timestamp::{Timestamp, format_duration, parse_duration, seconds_text};
pub use trace::{
    BAGGAGE, InvalidTraceParent, TRACEPARENT, TRACESTATE, TraceContext, keep_what_travels,
    trace_headers, trace_id,
};
pub use url::{Address, Secret, percent_decode};
pub use view::{AttemptView, FailureView, FireView, REPLAY_OF, TaskView};
pub use vitals::{MissedFires, Vitals};
pub use wire::{EnvelopeHead, decode_envelope, decode_rest, encode_envelope, encode_rest};
