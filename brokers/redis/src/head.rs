//! The record of a task: a head with what scripts need of its envelope, and the rest of it.
//!
//! `head NEWLINE rest`, the rest being the wire form without what the head of every task has. The fields of the head are separated by TABs, which no name and no key contains:
//!
//! `flag queue priority due enqueued retention crash-limit kind`, and with the flag `x`
//! `key-ttl key-fate key schedule instant revision overlap misfire catch-up`, empty where there is none.
//! Flags: `p` plain, `r` plain but retained, `x` with a key or an origin. Times are in microseconds.

use std::fmt::Write;
use std::time::Duration;

use tidemill_shared::schedule::{Misfire, Overlap};
use tidemill_shared::{
    Envelope, EnvelopeHead, Error, ErrorKind, KeyFate, Kind, Payload, Priority, QueueName, Result,
    TaskId, Timestamp, decode_envelope, decode_rest, encode_rest,
};

/// Scripts count in doubles, which are exact up to here; a time of 285 years.
const LONGEST: u64 = 1 << 53;

/// Writes the record of an envelope.
pub(crate) fn encode_record(envelope: &Envelope) -> Result<Vec<u8>> {
    let body = encode_rest(envelope)?;
    let mut record = head(envelope).into_bytes();
    record.reserve_exact(body.len() + 1);
    record.push(b'\n');
    record.extend_from_slice(&body);
    Ok(record)
}

fn head(envelope: &Envelope) -> String {
    let has_more = envelope.key.is_some() || envelope.origin.is_some();
    let flag = match (has_more, envelope.retention.is_zero()) {
        (true, _) => 'x',
        (false, true) => 'p',
        (false, false) => 'r',
    };
    let mut head = format!(
        "{flag}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
        envelope.queue,
        envelope.priority.level(),
        envelope.due_at.as_micros(),
        envelope.enqueued_at.as_micros(),
        micros(envelope.retention),
        envelope.retry.crash_limit,
        envelope.kind,
    );
    if !has_more {
        return head;
    }
    let written = match &envelope.key {
        None => write!(head, "\t\t\t"),
        Some(claim) => write!(
            head,
            "\t{}\t{}{}\t{}",
            micros(claim.ttl),
            fate(claim.on_success),
            fate(claim.on_failure),
            claim.key
        ),
    };
    let written = written.and(match &envelope.origin {
        None => write!(head, "\t\t\t\t\t\t"),
        Some(origin) => write!(
            head,
            "\t{}\t{}\t{}\t{}\t{}\t{}",
            origin.schedule,
            origin.scheduled_at.as_micros(),
            origin.revision,
            overlap(origin.overlap),
            misfire(origin.misfire),
            micros(origin.catch_up),
        ),
    });
    written.expect("writing to a string cannot fail");
    head
}

/// A duration in whole microseconds, as scripts can count it.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).map_or(LONGEST, |micros| micros.min(LONGEST))
}

const fn fate(fate: KeyFate) -> char {
    match fate {
        KeyFate::Free => 'f',
        KeyFate::Keep => 'k',
    }
}

const fn overlap(overlap: Overlap) -> char {
    match overlap {
        Overlap::Allow => 'a',
        Overlap::Skip => 's',
        Overlap::QueueOne => 'q',
        Overlap::CancelPrevious => 'c',
    }
}

const fn misfire(misfire: Misfire) -> char {
    match misfire {
        Misfire::Skip => 's',
        Misfire::FireOnce => 'o',
        Misfire::FireAll => 'f',
    }
}

/// A stored record, taken apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored<'a> {
    head: Option<&'a str>,
    body: &'a [u8],
}

impl<'a> Stored<'a> {
    /// Takes a stored record apart. One without a head is all body.
    pub(crate) fn read(record: &'a [u8]) -> Self {
        let parts = record
            .iter()
            .position(|byte| *byte == b'\n')
            .and_then(|at| {
                let (head, rest) = record.split_at_checked(at)?;
                let head = std::str::from_utf8(head).ok()?;
                (head.split('\t').count() >= 8).then_some((head, rest.get(1..)?))
            });
        match parts {
            Some((head, body)) => Self {
                head: Some(head),
                body,
            },
            None => Self {
                head: None,
                body: record,
            },
        }
    }

    /// The envelope, if it can be read.
    pub(crate) fn envelope(&self, id: &TaskId) -> Result<Envelope> {
        match self.head_of(id) {
            Some(head) => decode_rest(head?, self.body),
            // Somebody else wrote it, and may have written it whole.
            None => decode_envelope(self.body),
        }
    }

    /// The envelope; one that cannot be read is shown by its head, with its bytes as payload.
    pub(crate) fn envelope_or_bytes(&self, id: &TaskId) -> Result<Envelope> {
        if let Ok(envelope) = self.envelope(id) {
            return Ok(envelope);
        }
        let payload = Payload::bytes(self.body);
        let Some(head) = self.head_of(id) else {
            let kind = Kind::new("undecodable")?;
            let since = Timestamp::from_micros(0);
            return Ok(Envelope::new(id.clone(), kind, payload, since));
        };
        let head = head?;
        let mut envelope = Envelope::new(head.id, head.kind, payload, head.enqueued_at);
        envelope.queue = head.queue;
        envelope.priority = head.priority;
        envelope.due_at = head.due_at;
        Ok(envelope)
    }

    fn head_of(&self, id: &TaskId) -> Option<Result<EnvelopeHead>> {
        let mut fields = self.head?.split('\t').skip(1);
        let mut next = || fields.next().unwrap_or_default();
        let (queue, priority, due_at, enqueued_at) = (next(), next(), next(), next());
        let (_retention, _crash_limit, kind) = (next(), next(), next());
        let instant = |text: &str| Timestamp::from_micros(text.parse().unwrap_or_default());
        let read = || {
            Ok(EnvelopeHead {
                id: id.clone(),
                kind: Kind::new(kind)?,
                queue: QueueName::new(queue)?,
                priority: Priority::new(priority.parse().unwrap_or(5))?,
                enqueued_at: instant(enqueued_at),
                due_at: instant(due_at),
            })
        };
        Some(read())
    }
}
/// An answer that makes no sense: somebody else has written to these keys, or it is a fault of ours.
pub(crate) fn nonsense(operation: &'static str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        operation,
        "redis holds something else under these keys than Tidemill writes",
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidemill_shared::{Envelope, Key, KeyClaim, Kind, Payload, TaskId, Timestamp};

    use super::{Stored, encode_record};

    fn envelope() -> Envelope {
        let id = TaskId::new("a").unwrap();
        let now = Timestamp::from_micros(7);
        Envelope::new(id, Kind::new("k").unwrap(), Payload::default(), now)
    }

    fn head_of(envelope: &Envelope) -> String {
        let record = encode_record(envelope).unwrap();
        let text = String::from_utf8(record).unwrap();
        text.split_once('\n').unwrap().0.to_owned()
    }

    #[test]
    fn the_head_repeats_what_scripts_need() {
        let mut envelope = envelope();
        assert_eq!(head_of(&envelope), "p\tdefault\t5\t7\t7\t0\t3\tk");
        envelope.retention = Duration::from_millis(1);
        assert_eq!(head_of(&envelope), "r\tdefault\t5\t7\t7\t1000\t3\tk");
        let mut claim = KeyClaim::new(Key::new("a b").unwrap());
        claim.ttl = Duration::from_secs(1);
        envelope.key = Some(claim);
        assert_eq!(
            head_of(&envelope),
            "x\tdefault\t5\t7\t7\t1000\t3\tk\t1000000\tff\ta b\t\t\t\t\t\t"
        );
    }

    #[test]
    fn a_stored_record_reads_back() {
        let envelope = envelope();
        let stored = encode_record(&envelope).unwrap();
        assert_eq!(
            Stored::read(&stored).envelope(&envelope.id).unwrap(),
            envelope
        );
    }

    #[test]
    fn bytes_that_are_no_envelope_are_kept() {
        let id = TaskId::new("a").unwrap();
        for record in [
            &b"garbage"[..],
            b"",
            b"\n",
            b"p\tmail\t9\t7\t7\t0\t3\tk\ngarbage",
        ] {
            let read = Stored::read(record).envelope_or_bytes(&id).unwrap();
            assert!(record.ends_with(read.payload.as_bytes()));
        }
        let record = b"p\tmail\t9\t7\t7\t0\t3\tk\ngarbage";
        let read = Stored::read(record).envelope_or_bytes(&id).unwrap();
        assert_eq!((read.queue.as_str(), read.kind.as_str()), ("mail", "k"));
    }
}
