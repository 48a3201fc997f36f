//! Which tasks travel through RabbitMQ.

use tidemill_shared::{Envelope, Timestamp};

/// Whether a task needs nothing but its turn: it is due, nobody else can know its id, and it has neither a
/// key nor a schedule behind it. Whatever else there is goes to the ledger.
pub(crate) fn is_plain(envelope: &Envelope, now: Timestamp) -> bool {
    envelope.due_at <= now.max(envelope.enqueued_at)
        && envelope.key.is_none()
        && envelope.origin.is_none()
        // The library makes an id when the task is made. One that a caller gives, to be told apart from an earlier
        // one, is of no instant, or of another.
        && envelope.id.is_generated_at(envelope.enqueued_at)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidemill_shared::{Envelope, Key, KeyClaim, Kind, Payload, TaskId, Timestamp};

    use super::is_plain;

    const NOW: Timestamp = Timestamp::from_micros(1_772_452_800_123_456);

    fn envelope(id: TaskId) -> Envelope {
        Envelope::new(id, Kind::new("k").unwrap(), Payload::default(), NOW)
    }

    #[test]
    fn what_the_library_has_named_and_is_due_is_plain() {
        for micros in 0..2_000 {
            let now = NOW + Duration::from_micros(micros);
            let task = Envelope::new(
                TaskId::generate(now),
                Kind::new("k").unwrap(),
                Payload::default(),
                now,
            );
            assert!(is_plain(&task, now), "{micros}");
        }
    }

    #[test]
    fn what_has_an_identity_or_waits_is_not() {
        assert!(!is_plain(&envelope(TaskId::new("a").unwrap()), NOW));
        let earlier = TaskId::generate(NOW - Duration::from_micros(1));
        assert!(!is_plain(&envelope(earlier), NOW));
        let random = TaskId::new("0191f3c1-7a2b-4c3d-9e4f-000000000000").unwrap();
        assert!(!is_plain(&envelope(random), NOW));
        let mut later = envelope(TaskId::generate(NOW));
        later.due_at = NOW + Duration::from_micros(1);
        assert!(!is_plain(&later, NOW));
        let mut keyed = envelope(TaskId::generate(NOW));
        keyed.key = Some(KeyClaim::new(Key::new("k").unwrap()));
        assert!(!is_plain(&keyed, NOW));
    }
}
