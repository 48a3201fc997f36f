//! The wire form of an envelope: one line of versioned JSON.
//!
//! ```json
//! {"v":1,"id":"…","kind":"email.welcome","queue":"mail","payload":{"to":"ada@example.com"},
//!  "enqueued_at":1774747800000000,"due_at":1774747800000000,"retry":{…},"timeout_us":1800000000}
//! ```
//!
//! Instants are microseconds since 1970 in UTC. A payload of type `application/json` stands as it
//! is, byte for byte; any other stands in `payload_base64` beside its `content_type`. A field at its
//! default is left out. Readers ignore fields that they do not know and refuse versions that they
//! do not know; a writer adds fields only in a way that an older reader may ignore.
//!
//! A store that keeps the [`EnvelopeHead`] beside it in a form of its own keeps the rest alone: the same
//! line without those fields.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::envelope::DEFAULT_TIMEOUT;
use crate::{
    ContentType, Envelope, Error, ErrorKind, Headers, KeyClaim, Kind, Origin, Payload, Priority,
    QueueName, Result, RetryPolicy, TaskId, Timestamp,
};

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    v: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<TaskId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    queue: Option<QueueName>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    payload_base64: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    content_type: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    headers: Cow<'a, Headers>,
    #[serde(default, skip_serializing_if = "is_default")]
    priority: Priority,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enqueued_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Cow<'a, KeyClaim>>,
    #[serde(default, skip_serializing_if = "is_default")]
    retry: Cow<'a, RetryPolicy>,
    #[serde(
        default = "default_timeout",
        skip_serializing_if = "is_default_timeout"
    )]
    timeout_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline: Option<i64>,
    #[serde(default, skip_serializing_if = "is_default")]
    retention_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<Cow<'a, Origin>>,
}

/// What a store may keep beside the rest of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeHead {
    /// [`Envelope::id`].
    pub id: TaskId,
    /// [`Envelope::kind`].
    pub kind: Kind,
    /// [`Envelope::queue`].
    pub queue: QueueName,
    /// [`Envelope::priority`].
    pub priority: Priority,
    /// [`Envelope::enqueued_at`].
    pub enqueued_at: Timestamp,
    /// [`Envelope::due_at`].
    pub due_at: Timestamp,
}

#[derive(Deserialize)]
struct Versioned {
    v: u32,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn default_timeout() -> u64 {
    micros(DEFAULT_TIMEOUT)
}

fn is_default_timeout(timeout: &u64) -> bool {
    *timeout == default_timeout()
}

/// Writes an envelope. Fails only when a payload that claims to be JSON is not.
pub fn encode_envelope(envelope: &Envelope) -> Result<Vec<u8>> {
    encode(envelope, true)
}

/// Writes what an envelope has beside its head. Fails as [`encode_envelope`] does.
pub fn encode_rest(envelope: &Envelope) -> Result<Vec<u8>> {
    encode(envelope, false)
}

fn encode(envelope: &Envelope, with_head: bool) -> Result<Vec<u8>> {
    let payload = &envelope.payload;
    let bytes = payload.as_bytes();
    let not_json = |e: &dyn std::fmt::Display| {
        Error::invalid(
            "payload",
            format!("the payload is not the JSON that it claims to be: {e}"),
        )
    };
    // White space around a JSON text would be lost inside another one; such a payload is carried
    // as bytes, so that it arrives as it was.
    let bare = bytes.first().is_some_and(|b| !b.is_ascii_whitespace())
        && bytes.last().is_some_and(|b| !b.is_ascii_whitespace())
        && !bytes.contains(&b'\n');
    let mut raw = None;
    let mut base64 = None;
    if payload.content_type().is_json() && bare {
        let text = std::str::from_utf8(bytes).map_err(|e| not_json(&e))?;
        raw = Some(serde_json::from_str::<&RawValue>(text).map_err(|e| not_json(&e))?);
    } else {
        base64 = Some(Cow::Owned(STANDARD.encode(bytes)));
    }
    let wire = Wire {
        v: VERSION,
        id: with_head.then(|| envelope.id.clone()),
        kind: with_head.then(|| envelope.kind.clone()),
        queue: with_head.then(|| envelope.queue.clone()),
        payload: raw,
        payload_base64: base64,
        content_type: (!payload.content_type().is_json())
            .then(|| Cow::Borrowed(payload.content_type().as_str())),
        headers: Cow::Borrowed(&envelope.headers),
        priority: match with_head {
            true => envelope.priority,
            false => Priority::default(),
        },
        enqueued_at: with_head.then(|| envelope.enqueued_at.as_micros()),
        due_at: with_head.then(|| envelope.due_at.as_micros()),
        key: envelope.key.as_ref().map(Cow::Borrowed),
        retry: Cow::Borrowed(&envelope.retry),
        timeout_us: micros(envelope.timeout),
        deadline: envelope.deadline.map(Timestamp::as_micros),
        retention_us: micros(envelope.retention),
        origin: envelope.origin.as_ref().map(Cow::Borrowed),
    };
    serde_json::to_vec(&wire).map_err(|e| {
        Error::new(
            ErrorKind::Internal,
            "encode",
            "an envelope cannot be written",
        )
        .with_source(e)
    })
}

/// Reads an envelope. Never panics, whatever the bytes; fails with
/// [`ErrorKind::Corrupt`] and the place.
pub fn decode_envelope(bytes: &[u8]) -> Result<Envelope> {
    let mut wire = read(bytes)?;
    let lacks = |name: &str| corrupt(format!("cannot be read: missing field `{name}`"));
    let head = EnvelopeHead {
        id: wire.id.take().ok_or_else(|| lacks("id"))?,
        kind: wire.kind.take().ok_or_else(|| lacks("kind"))?,
        queue: wire.queue.take().ok_or_else(|| lacks("queue"))?,
        priority: wire.priority,
        enqueued_at: (wire.enqueued_at.map(Timestamp::from_micros))
            .ok_or_else(|| lacks("enqueued_at"))?,
        due_at: (wire.due_at.map(Timestamp::from_micros)).ok_or_else(|| lacks("due_at"))?,
    };
    assemble(head, wire)
}

/// Reads what [`encode_rest`] has written, as [`decode_envelope`] does. What it says of the head does not
/// count.
pub fn decode_rest(head: EnvelopeHead, bytes: &[u8]) -> Result<Envelope> {
    assemble(head, read(bytes)?)
}

fn corrupt(why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Corrupt, "decode", format!("the envelope {why}"))
}

fn read(bytes: &[u8]) -> Result<Wire<'_>> {
    let unknown = |v: u32| {
        corrupt(format!(
            "has version {v}; this build reads version {VERSION}"
        ))
    };
    let wire: Wire<'_> = serde_json::from_slice(bytes).map_err(|e| {
        // Another version may have another shape; then the version is what is wrong.
        match serde_json::from_slice::<Versioned>(bytes) {
            Ok(Versioned { v }) if v != VERSION => unknown(v),
            Ok(_) | Err(_) => corrupt(format!("cannot be read: {e}")),
        }
    })?;
    match wire.v {
        VERSION => Ok(wire),
        other => Err(unknown(other)),
    }
}

fn assemble(head: EnvelopeHead, wire: Wire<'_>) -> Result<Envelope> {
    let content_type = match &wire.content_type {
        Some(text) => ContentType::new(text)?,
        None => ContentType::json(),
    };
    let payload = match (wire.payload, &wire.payload_base64) {
        (Some(raw), None) => Payload::new(content_type, raw.get().as_bytes()),
        (None, Some(text)) => {
            let bytes = STANDARD
                .decode(text.as_bytes())
                .map_err(|e| corrupt(format!("has a payload that is not base64: {e}")))?;
            Payload::new(content_type, bytes)
        }
        (None, None) => Payload::new(content_type, *b"null"),
        (Some(_), Some(_)) => return Err(corrupt("has two payloads")),
    };
    Ok(Envelope {
        id: head.id,
        kind: head.kind,
        queue: head.queue,
        payload,
        headers: wire.headers.into_owned(),
        priority: head.priority,
        enqueued_at: head.enqueued_at,
        due_at: head.due_at,
        key: wire.key.map(Cow::into_owned),
        retry: wire.retry.into_owned(),
        timeout: Duration::from_micros(wire.timeout_us),
        deadline: wire.deadline.map(Timestamp::from_micros),
        retention: Duration::from_micros(wire.retention_us),
        origin: wire.origin.map(Cow::into_owned),
    })
}
