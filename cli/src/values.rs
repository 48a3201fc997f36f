//! Readers of single values on the command line. Each says what was expected.

use std::time::Duration;

use tidemill::{Clock, Error, Key, QueueName, Result, Timestamp, parse_duration};

/// A duration such as `30s`.
pub(crate) fn duration(text: &str) -> Result<Duration> {
    parse_duration(text)
}

/// A duration that is more than nothing.
pub(crate) fn positive_duration(text: &str) -> Result<Duration> {
    let duration = parse_duration(text)?;
    if duration.is_zero() {
        return Err(Error::invalid(
            "duration",
            "the duration is zero; expected more, such as 30s",
        ));
    }
    Ok(duration)
}

/// A uniqueness key.
pub(crate) fn key(text: &str) -> Result<Key> {
    Key::new(text)
}

/// An instant, or how long ago.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    At(Timestamp),
    Ago(Duration),
}

impl When {
    /// Reads RFC 3339, a date, whose midnight in UTC is meant, or a duration that counts back from now.
    pub(crate) fn read(text: &str) -> Result<Self> {
        if let Ok(ago) = parse_duration(text) {
            return Ok(Self::Ago(ago));
        }
        Timestamp::read(text).map(Self::At).map_err(|_| {
            Error::invalid(
                "instant",
                "expected RFC 3339 with a zone, such as 2026-03-29T01:30:00Z, a date, such as 2026-03-29 (midnight in UTC), or how long ago, such as 15m",
            )
        })
    }

    /// The instant that is meant.
    pub(crate) fn instant(self, clock: &dyn Clock) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => clock.now() - ago,
        }
    }
}

/// A queue of a worker with its weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WeightedQueue {
    pub(crate) queue: QueueName,
    pub(crate) weight: u32,
}

impl WeightedQueue {
    /// Reads `NAME` or `NAME=WEIGHT`; the weight is 1 when not given.
    pub(crate) fn read(text: &str) -> Result<Self> {
        let (name, weight) = match text.split_once('=') {
            Some((name, weight)) => (name, Some(weight)),
            None => (text, None),
        };
        let queue = QueueName::new(name)?;
        let weight = match weight.map(str::parse) {
            None => 1,
            Some(Ok(weight @ 1..=1_000)) => weight,
            Some(_) => {
                return Err(Error::invalid(
                    "weight",
                    format!("the weight of queue {queue} is not a number from 1 to 1000"),
                ));
            }
        };
        Ok(Self { queue, weight })
    }
}

/// A header, `NAME=VALUE`.
pub(crate) fn header(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Error::invalid("header", "expected NAME=VALUE")),
    }
}

/// A rate, `N/s`: how many in a second.
pub(crate) fn rate(text: &str) -> Result<u32> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    match number.parse() {
        Ok(rate @ 1..=100_000) => Ok(rate),
        _ => Err(Error::invalid(
            "rate",
            "expected a number from 1 to 100000 per second, such as 50/s",
        )),
    }
}

/// How many requests a second a caller may make, by a flag and in the configuration file alike.
pub(crate) fn calls(text: &str) -> Result<u32> {
    match text.parse() {
        Ok(calls @ 1..) => Ok(calls),
        _ => Err(Error::invalid(
            "rate",
            format!(
                "expected how many requests a second, from 1 to {}",
                u32::MAX
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::{WeightedQueue, header, rate};

    #[test]
    fn a_queue_may_have_a_weight() {
        let read = |text| WeightedQueue::read(text).map(|q| (q.queue.to_string(), q.weight));
        assert_eq!(read("mail").unwrap(), ("mail".into(), 1));
        assert_eq!(read("mail=6").unwrap(), ("mail".into(), 6));
    }

    /// S35.
    #[test]
    fn a_weight_of_zero_and_a_rate_of_zero_are_refused() {
        for bad in ["mail=0", "mail=-1", "mail=", "mail=4294967296", "=1", "a:b"] {
            assert!(WeightedQueue::read(bad).is_err(), "{bad}");
        }
        for bad in ["0/s", "", "-1", "1e9", "50/m"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
        assert_eq!(rate("50/s").unwrap(), 50);
    }

    #[test]
    fn a_header_needs_a_name() {
        assert_eq!(header("a=b=c").unwrap(), ("a".into(), "b=c".into()));
        assert!(header("=b").is_err());
        assert!(header("b").is_err());
    }
}
