//! Reading replies.

use redis::Value;
use tidemill_shared::Timestamp;

/// The bytes of a string.
pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        Value::Okay => Some("OK"),
        _ => None,
    }
}

/// A number, also one that is written as a string.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        _ => text(value)?.parse().ok(),
    }
}

/// The parts of an array.
pub(super) fn array(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

/// What stands behind a name in an array of names and values.
pub(super) fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    array(value)?
        .chunks_exact(2)
        .find_map(|pair| (text(&pair[0]) == Some(name)).then_some(&pair[1]))
}

/// The reply of TIME: seconds and microseconds.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    let [seconds, micros] = array(value)? else {
        return None;
    };
    let micros = integer(seconds)?
        .checked_mul(1_000_000)?
        .checked_add(integer(micros)?)?;
    Some(Timestamp::from_micros(micros))
}
