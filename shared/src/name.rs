//! Validated names: what identifies a task, a kind, a queue, a namespace, a schedule or a worker.
//!
//! Every name obeys one rule, `^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`, so that no name can be taken
//! for a key separator, a hash tag, a glob, a path or a terminal escape anywhere downstream.
//! Names are case-sensitive and cheap to clone.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The longest name that is accepted, in bytes.
const MAX_NAME: usize = 128;

fn check(what: &'static str, text: &str) -> Result<()> {
    let mut bytes = text.bytes();
    let Some(first) = bytes.next() else {
        return Err(Error::invalid(
            what,
            format!("the {what} is empty; expected 1 to 128 characters"),
        ));
    };
    if text.len() > MAX_NAME {
        return Err(Error::invalid(
            what,
            format!(
                "the {what} has {} bytes; expected at most {MAX_NAME}",
                text.len()
            ),
        ));
    }
    if !first.is_ascii_alphanumeric() {
        return Err(Error::invalid(
            what,
            format!("the {what} {text:?} must start with an ASCII letter or digit"),
        ));
    }
    if let Some(bad) = text
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || "_.-".contains(*c)))
    {
        return Err(Error::invalid(
            what,
            format!(
                "the {what} {text:?} contains {bad:?}; expected only letters, digits, '_', '.' and '-'"
            ),
        ));
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks and takes a name. Fails with [`ErrorKind::Invalid`](crate::ErrorKind::Invalid)
            /// when it does not match `^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`.
            pub fn new(text: impl AsRef<str>) -> Result<Self> {
                let text = text.as_ref();
                check($what, text)?;
                Ok(Self(text.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($type), self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = Error;
            fn try_from(text: String) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $type {
            type Error = Error;
            fn try_from(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0.as_ref().to_owned()
            }
        }
    };
}

name!(
    /// Identifies one enqueued task within a namespace. UUID version 7 (RFC 9562) unless the caller
    /// gave one; for a fire it follows from the schedule and the instant.
    TaskId, "task id"
);
name!(
    /// The stable wire name of a task's kind, always written out, never a Rust type name.
    Kind, "kind"
);
name!(
    /// A named line of envelopes. `default` when none is given.
    QueueName, "queue"
);
name!(
    /// Keeps several deployments apart in one store. `default` when none is given.
    Namespace, "namespace"
);
name!(
    /// Identifies a schedule within a namespace.
    ScheduleId, "schedule id"
);
name!(
    /// Identifies one worker or producer process for its lifetime: a random UUID, never a hostname.
    WorkerId, "worker id"
);

name!(
    /// Names a note within its book.
    NoteName, "note name"
);

impl TaskId {
    /// A new time-ordered id: UUID version 7 (RFC 9562) for the given instant.
    ///
    /// The microseconds stand in the leftmost random bits (section 6.2, method 3), so that ids which
    /// are made one after the other lie beside each other in an index; 62 bits stay random.
    #[must_use]
    pub fn generate(now: crate::Timestamp) -> Self {
        let (millis, fraction) = instant(now);
        let random = uuid::Uuid::new_v4().as_u128();
        // Version and variant are put in by the builder; these 80 bits are rand_a and rand_b with
        // the four bits of the version before them.
        let bits = (u128::from(fraction) << 64) | (random & u128::from(u64::MAX));
        let mut bytes = [0; 10];
        bytes.copy_from_slice(&bits.to_be_bytes()[6..]);
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid();
        let mut buffer = uuid::Uuid::encode_buffer();
        Self(Arc::from(&*id.hyphenated().encode_lower(&mut buffer)))
    }

    /// Whether the id looks as one that was [generated](Self::generate) for this instant.
    #[must_use]
    pub fn is_generated_at(&self, now: crate::Timestamp) -> bool {
        let (millis, fraction) = instant(now);
        let (upper, lower) = (millis >> 16, millis & 0xffff);
        let head = format!("{upper:08x}-{lower:04x}-7{fraction:03x}-");
        self.0.starts_with(&head) && self.0.len() == uuid::fmt::Hyphenated::LENGTH
    }
}

/// An instant as ids have it: milliseconds, and the rest of it in twelve bits.
fn instant(now: crate::Timestamp) -> (u64, u64) {
    let micros = now.as_micros().max(0).unsigned_abs();
    (micros / 1_000, (micros % 1_000) * 4_096 / 1_000)
}

impl WorkerId {
    /// A new random identity (UUID version 4).
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string().into())
    }
}

impl Default for QueueName {
    fn default() -> Self {
        Self("default".into())
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self("default".into())
    }
}

#[cfg(test)]
mod tests {
    use super::{QueueName, TaskId};
    use crate::Timestamp;

    #[test]
    fn a_name_of_letters_digits_and_marks_is_accepted() {
        for good in ["a", "A-1_b.c", "0", &"x".repeat(128)] {
            assert!(QueueName::new(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_malformed_name_is_refused_with_the_place() {
        let long = "x".repeat(129);
        for bad in [
            "",
            " ",
            "a b",
            "a:b",
            "{x}",
            "*",
            "../",
            "a\r\nb",
            "a\0",
            "\u{202e}a",
            "😀",
            "-a",
            &long,
        ] {
            assert!(QueueName::new(bad).is_err(), "{bad:?}");
        }
        let message = QueueName::new("a:b").unwrap_err().to_string();
        assert!(message.contains("':'"), "{message}");
    }

    #[test]
    fn names_are_case_sensitive() {
        assert_ne!(
            QueueName::new("mail").unwrap(),
            QueueName::new("Mail").unwrap()
        );
    }

    #[test]
    fn generated_ids_are_ordered_by_time() {
        let ids: Vec<_> = (0..5_000)
            .map(|n| TaskId::generate(Timestamp::from_micros(1_767_225_600_000_000 + n)))
            .collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn a_generated_id_is_a_uuid_of_version_7() {
        let id = TaskId::generate(Timestamp::from_micros(1_767_225_600_123_456));
        let uuid: uuid::Uuid = id.as_str().parse().unwrap();
        assert_eq!(
            (uuid.get_version_num(), uuid.get_variant()),
            (7, uuid::Variant::RFC4122)
        );
        assert_eq!(uuid.get_timestamp().unwrap().to_unix().0, 1_767_225_600);
        let again = TaskId::generate(Timestamp::from_micros(1_767_225_600_123_456));
        assert_ne!(id, again);
    }

    #[test]
    fn a_generated_id_tells_its_instant_to_the_microsecond() {
        for micros in 1_767_225_600_123_456..1_767_225_600_125_456 {
            let now = Timestamp::from_micros(micros);
            let id = TaskId::generate(now);
            assert!(id.is_generated_at(now), "{micros}");
            assert!(!id.is_generated_at(Timestamp::from_micros(micros + 1)));
        }
        let given = TaskId::new("019b76da-a47b-7747").unwrap();
        assert!(!given.is_generated_at(Timestamp::from_micros(1_767_225_600_123_456)));
    }
}
