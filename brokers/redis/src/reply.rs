//! Reading what scripts answer.

use redis::Value;
use tidemill_shared::{Payload, Result, Timestamp};

use crate::head::nonsense;

/// The elements of an answer, one after the other.
#[derive(Debug)]
pub(crate) struct Reply {
    operation: &'static str,
    values: std::vec::IntoIter<Value>,
}

impl Reply {
    /// An answer that is a list. Nothing is the empty list.
    pub(crate) fn list(operation: &'static str, value: Value) -> Result<Self> {
        let values = match value {
            Value::Array(values) | Value::Set(values) => values,
            Value::Nil => Vec::new(),
            _ => return Err(nonsense(operation)),
        };
        Ok(Self {
            operation,
            values: values.into_iter(),
        })
    }

    pub(crate) fn is_done(&self) -> bool {
        self.values.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    fn next(&mut self) -> Result<Value> {
        self.values.next().ok_or_else(|| nonsense(self.operation))
    }

    /// The next element, as a list of its own.
    pub(crate) fn sublist(&mut self) -> Result<Self> {
        let value = self.next()?;
        Self::list(self.operation, value)
    }

    /// The next element, if it is known.
    pub(crate) fn maybe_bytes(&mut self) -> Result<Option<Vec<u8>>> {
        bytes(self.operation, self.next()?)
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>> {
        self.maybe_bytes()?.ok_or_else(|| nonsense(self.operation))
    }

    pub(crate) fn maybe_text(&mut self) -> Result<Option<String>> {
        let operation = self.operation;
        let text = self.maybe_bytes()?.map(String::from_utf8).transpose();
        text.map_err(|_| nonsense(operation))
    }

    pub(crate) fn text(&mut self) -> Result<String> {
        self.maybe_text()?.ok_or_else(|| nonsense(self.operation))
    }

    pub(crate) fn maybe_number<N: std::str::FromStr>(&mut self) -> Result<Option<N>> {
        let operation = self.operation;
        let number = self.maybe_text()?.map(|text| text.parse()).transpose();
        number.map_err(|_| nonsense(operation))
    }

    pub(crate) fn number<N: std::str::FromStr>(&mut self) -> Result<N> {
        self.maybe_number()?.ok_or_else(|| nonsense(self.operation))
    }

    pub(crate) fn maybe_instant(&mut self) -> Result<Option<Timestamp>> {
        Ok(self.maybe_number()?.map(Timestamp::from_micros))
    }

    pub(crate) fn instant(&mut self) -> Result<Timestamp> {
        Ok(Timestamp::from_micros(self.number()?))
    }

    pub(crate) fn maybe_payload(&mut self) -> Result<Option<Payload>> {
        let operation = self.operation;
        let stored = self.maybe_bytes()?.map(|stored| read_payload(&stored));
        stored
            .map(|read| read.ok_or_else(|| nonsense(operation)))
            .transpose()
    }
}

/// An answer that is one piece of bytes, or nothing.
pub(crate) fn bytes(operation: &'static str, value: Value) -> Result<Option<Vec<u8>>> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes)),
        Value::SimpleString(text) => Ok(Some(text.into_bytes())),
        Value::Int(number) => Ok(Some(number.to_string().into_bytes())),
        Value::Okay => Ok(Some(b"OK".to_vec())),
        _ => Err(nonsense(operation)),
    }
}

/// An answer that is one number.
pub(crate) fn number(operation: &'static str, value: Value) -> Result<i64> {
    let bytes = bytes(operation, value)?.unwrap_or_default();
    let text = std::str::from_utf8(&bytes).ok();
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| nonsense(operation))
}

/// A result or a progress as it is stored: its type, a NEWLINE, its bytes.
pub(crate) fn write_payload(payload: &Payload) -> Vec<u8> {
    let kind = payload.content_type().as_str().as_bytes();
    [kind, b"\n", payload.as_bytes()].concat()
}

/// Reads what [`write_payload`] wrote.
pub(crate) fn read_payload(stored: &[u8]) -> Option<Payload> {
    let at = stored.iter().position(|byte| *byte == b'\n')?;
    let (kind, rest) = stored.split_at_checked(at)?;
    let kind = std::str::from_utf8(kind).ok()?;
    let kind = tidemill_shared::ContentType::new(kind).ok()?;
    Some(Payload::new(kind, rest.get(1..)?.to_vec()))
}
