//! The wire form of an envelope: golden files, and readers and writers of different ages.
//!
//! The files of `golden/envelope-*.json` were written by the first release and are never changed. A
//! newer form gets files of its own.

#![expect(
    clippy::unwrap_used,
    reason = "these are tests, their helpers included"
)]

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tidemill_shared::schedule::{Misfire, Overlap};
use tidemill_shared::{
    ContentType, Envelope, EnvelopeHead, ErrorKind, Jitter, Key, KeyClaim, KeyFate, Kind, Origin,
    Payload, Priority, QueueName, RetryPolicy, ScheduleId, TaskId, Timestamp, decode_envelope,
    decode_rest, encode_envelope, encode_rest,
};

const MINIMAL: &[u8] = include_bytes!("golden/envelope-minimal.json");
const FULL: &[u8] = include_bytes!("golden/envelope-full.json");
const BYTES: &[u8] = include_bytes!("golden/envelope-bytes.json");
const NEWER: &[u8] = include_bytes!("golden/envelope-from-a-newer-writer.json");

fn instant(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn minimal() -> Envelope {
    Envelope::new(
        TaskId::new("018f-minimal").unwrap(),
        Kind::new("email.welcome").unwrap(),
        Payload::default(),
        instant(1_767_225_600_000_000),
    )
}

fn full() -> Envelope {
    let mut envelope = minimal();
    envelope.id = TaskId::new("nightly.1767225600000000").unwrap();
    envelope.queue = QueueName::new("mail").unwrap();
    let payload = r#"{"to":"ada@example.com","n":9007199254740993,"text":"é😀"}"#;
    envelope.payload = Payload::new(ContentType::json(), payload.as_bytes());
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    envelope.headers = [("traceparent", trace), ("x-é", "")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    envelope.priority = Priority::HIGHEST;
    envelope.due_at = instant(1_767_225_660_000_001);
    envelope.key = Some(KeyClaim {
        key: Key::new("welcome:ada").unwrap(),
        ttl: Duration::from_secs(3_600),
        on_success: KeyFate::Keep,
        on_failure: KeyFate::Free,
    });
    envelope.retry = RetryPolicy {
        max_attempts: 3,
        initial: Duration::from_millis(250),
        multiplier: 1.5,
        max: Duration::from_secs(60),
        jitter: Jitter::Equal,
        max_elapsed: Some(Duration::from_secs(600)),
        non_retryable: vec!["bad_input".into()],
        crash_limit: 5,
    };
    envelope.timeout = Duration::from_millis(1_500);
    envelope.deadline = Some(instant(1_767_229_200_000_000));
    envelope.retention = Duration::from_secs(86_400);
    envelope.origin = Some(Origin {
        schedule: ScheduleId::new("nightly").unwrap(),
        scheduled_at: instant(1_767_225_600_000_000),
        revision: 4,
        overlap: Overlap::QueueOne,
        misfire: Misfire::Skip,
        catch_up: Duration::from_secs(1_800),
    });
    envelope
}

fn bytes() -> Envelope {
    let mut envelope = minimal();
    envelope.payload = Payload::bytes(*b"\x00\xff\r\nFLUSHALL\r\n");
    envelope
}

fn text(wire: &[u8]) -> &str {
    std::str::from_utf8(wire).unwrap().trim_end()
}

#[test]
fn an_old_reader_form_is_what_the_writer_writes() {
    for (envelope, golden) in [(minimal(), MINIMAL), (full(), FULL), (bytes(), BYTES)] {
        let written = encode_envelope(&envelope).unwrap();
        assert_eq!(text(&written), text(golden));
    }
}

#[test]
fn what_an_old_writer_wrote_is_read() {
    for (envelope, golden) in [(minimal(), MINIMAL), (full(), FULL), (bytes(), BYTES)] {
        assert_eq!(decode_envelope(golden).unwrap(), envelope);
    }
}

#[test]
fn a_head_and_the_rest_are_the_envelope() {
    for envelope in [minimal(), full(), bytes()] {
        let rest = encode_rest(&envelope).unwrap();
        assert!(!text(&rest).contains(envelope.id.as_str()));
        let head = EnvelopeHead {
            id: envelope.id.clone(),
            kind: envelope.kind.clone(),
            queue: envelope.queue.clone(),
            priority: envelope.priority,
            enqueued_at: envelope.enqueued_at,
            due_at: envelope.due_at,
        };
        assert_eq!(decode_rest(head.clone(), &rest).unwrap(), envelope);
        // Also where the line is whole.
        let whole = encode_envelope(&envelope).unwrap();
        assert_eq!(decode_rest(head, &whole).unwrap(), envelope);
        let error = decode_envelope(&rest).unwrap_err();
        assert!(error.to_string().contains("missing field `id`"), "{error}");
    }
}

#[test]
fn what_a_newer_writer_adds_is_passed_over() {
    let mut envelope = decode_envelope(NEWER).unwrap();
    assert_eq!(envelope.id.as_str(), "018f-newer");
    envelope.id = TaskId::new("018f-minimal").unwrap();
    assert_eq!(envelope, minimal());
}

#[test]
fn an_old_writer_may_leave_out_whatever_is_optional() {
    let whole: Value = serde_json::from_slice(FULL).unwrap();
    let required = ["v", "id", "kind", "queue", "enqueued_at", "due_at"];
    for name in whole.as_object().unwrap().keys() {
        let mut part = whole.clone();
        part.as_object_mut().unwrap().remove(name);
        let read = decode_envelope(part.to_string().as_bytes());
        assert_eq!(
            read.is_ok(),
            !required.contains(&name.as_str()),
            "without {name}"
        );
    }
}

#[test]
fn a_version_that_is_not_known_is_named() {
    for version in [json!(0), json!(2), json!(4_294_967_295_u32)] {
        let mut same_shape: Value = serde_json::from_slice(MINIMAL).unwrap();
        same_shape["v"] = version.clone();
        let other_shape = json!({ "v": version, "task": ["018f"] });
        for wire in [same_shape, other_shape] {
            let error = decode_envelope(wire.to_string().as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(
                error.to_string().contains(&format!("version {version}")),
                "{error}"
            );
        }
    }
}

/// Behaviour 9. Payloads arrive byte for byte.
#[test]
fn payloads_arrive_byte_for_byte() {
    for payload in [
        Payload::new(ContentType::json(), *b"null"),
        Payload::new(ContentType::json(), *b" {\"a\" :\n1} "),
        Payload::new(ContentType::json(), *b"123456789012345678901234567890.10"),
        Payload::new(ContentType::json(), *b"\"\\u00e9\\ud83d\\ude00\""),
        Payload::bytes(*b""),
        Payload::bytes((0..=255).collect::<Vec<u8>>()),
        Payload::new(
            ContentType::new("text/plain; charset=utf-8").unwrap(),
            "é\0".as_bytes(),
        ),
    ] {
        let mut envelope = minimal();
        envelope.payload = payload.clone();
        let wire = encode_envelope(&envelope).unwrap();
        assert!(!wire.contains(&b'\n'), "one line each");
        assert_eq!(decode_envelope(&wire).unwrap().payload, payload);
    }
}

/// Behaviour 51. Whatever is wrong is an error and never a panic.
#[test]
fn a_cut_at_each_byte_is_refused() {
    for golden in [MINIMAL, FULL, BYTES] {
        let whole = text(golden).as_bytes();
        for end in 0..whole.len() {
            let cut = whole.get(..end).unwrap();
            let error = decode_envelope(cut).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "cut at {end}");
        }
    }
}

/// Behaviour 51.
#[test]
fn a_flip_of_each_bit_never_panics() {
    for golden in [MINIMAL, FULL, BYTES] {
        let whole = text(golden).as_bytes();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.to_vec();
                flipped[at] ^= 1 << bit;
                // Some flips make another valid envelope; that one must be writable again.
                if let Ok(envelope) = decode_envelope(&flipped) {
                    encode_envelope(&envelope).unwrap();
                }
            }
        }
    }
}

#[test]
fn hostile_envelopes_are_refused() {
    let deep = format!(r#"{{"v":1,"payload":{}"#, "[".repeat(100_000));
    let patched = |name: &str, value: Value| {
        let mut wire: Value = serde_json::from_slice(MINIMAL).unwrap();
        wire[name] = value;
        wire.to_string()
    };
    for wire in [
        deep,
        patched("id", json!("a:b")),
        patched("queue", json!("x".repeat(129))),
        patched("kind", json!("../x")),
        patched("priority", json!(256)),
        patched("enqueued_at", json!("soon")),
        patched("due_at", json!(1e300)),
        patched("timeout_us", json!(-1)),
        patched("payload", json!(1)).replace("\"v\":1", "\"payload_base64\":\"AAAA\",\"v\":1"),
        patched("key", json!({ "key": "", "ttl": "1h" })),
        patched("retry", json!({ "max_attempts": -1 })),
        patched("content_type", json!("nonsense")),
    ] {
        let Err(error) = decode_envelope(wire.as_bytes()) else {
            panic!("taken: {}", wire.chars().take(200).collect::<String>());
        };
        assert!(error.to_string().len() < 1_000, "{error}");
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(wire in prop::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(decode_envelope(&wire).is_err());
    }

    #[test]
    fn any_envelope_reads_back_as_written(
        content in prop::collection::vec(any::<u8>(), 0..200),
        micros in Timestamp::MIN.as_micros()..=Timestamp::MAX.as_micros(),
        delay in 0..u64::MAX,
        level in 0..=9_i64,
        timeout in 1..u64::MAX,
        retention in 0..u64::MAX,
        headers in prop::collection::btree_map("[!-~]{1,20}", any::<String>(), 0..5),
    ) {
        let mut envelope = minimal();
        envelope.payload = Payload::bytes(content);
        envelope.enqueued_at = instant(micros);
        envelope.due_at = instant(micros) + Duration::from_micros(delay);
        envelope.priority = Priority::new(level).unwrap();
        envelope.timeout = Duration::from_micros(timeout);
        envelope.retention = Duration::from_micros(retention);
        envelope.headers = headers;
        let wire = encode_envelope(&envelope).unwrap();
        prop_assert_eq!(decode_envelope(&wire).unwrap(), envelope);
    }
}
