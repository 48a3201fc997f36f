//! What a queue did, minute by minute.

use std::collections::BTreeMap;
use std::time::Duration;

use tidemill_shared::{HistoryPoint, Result, Timestamp};

use crate::head::nonsense;
use crate::reply::Reply;

/// How long the history of a queue is kept.
const HISTORY: Duration = Duration::from_secs(24 * 3_600);

/// Reads the history of a queue: fields are a minute and an event, values are counts.
pub(in crate::store) fn history(
    answer: redis::Value,
    since: Timestamp,
    now: Timestamp,
) -> Result<Vec<HistoryPoint>> {
    let pairs = match answer {
        redis::Value::Map(pairs) => pairs.into_iter().flat_map(|(a, b)| [a, b]).collect(),
        redis::Value::Array(values) => values,
        _ => return Err(nonsense("history")),
    };
    let mut pairs = Reply::list("history", redis::Value::Array(pairs))?;
    let first = minute_of(since).max(minute_of(now) - HISTORY);
    let mut points: BTreeMap<Timestamp, HistoryPoint> = BTreeMap::new();
    while !pairs.is_done() {
        let (field, count) = (pairs.text()?, pairs.number::<u64>()?);
        let split = field.find(|c: char| c.is_ascii_alphabetic());
        let (minute, event) = split
            .and_then(|at| field.split_at_checked(at))
            .ok_or_else(|| nonsense("history"))?;
        let minute: i64 = minute.parse().map_err(|_| nonsense("history"))?;
        let minute = Timestamp::from_micros(minute);
        if minute < first {
            continue;
        }
        let point = points.entry(minute).or_insert(HistoryPoint {
            minute,
            enqueued: 0,
            succeeded: 0,
            failed: 0,
        });
        match event {
            "enqueued" => point.enqueued = count,
            "succeeded" => point.succeeded = count,
            "failed" => point.failed = count,
            _ => return Err(nonsense("history")),
        }
    }
    Ok(points.into_values().collect())
}

/// The start of the minute of an instant.
fn minute_of(at: Timestamp) -> Timestamp {
    let step = 60_000_000;
    Timestamp::from_micros(at.as_micros().div_euclid(step) * step)
}
