//! What a task carries: opaque bytes and their content type.

use std::fmt;
use std::sync::Arc;

use crate::{Error, Result};

/// The media type of a payload (RFC 9110, section 8.3.1).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ContentType(Arc<str>);

impl ContentType {
    /// `application/json`, the default.
    #[must_use]
    pub fn json() -> Self {
        Self("application/json".into())
    }

    /// `application/octet-stream`.
    #[must_use]
    pub fn bytes() -> Self {
        Self("application/octet-stream".into())
    }

    /// Takes a media type: 1 to 128 visible ASCII characters with one `/`.
    pub fn new(text: &str) -> Result<Self> {
        let shape = text.len() <= 128
            && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
            && text
                .split_once('/')
                .is_some_and(|(a, b)| !a.is_empty() && !b.is_empty());
        if !shape {
            return Err(Error::invalid(
                "content type",
                format!("{text:?} is not a media type; expected something like application/json"),
            ));
        }
        Ok(Self(text.into()))
    }

    /// The media type as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `application/json`.
    #[must_use]
    pub fn is_json(&self) -> bool {
        &*self.0 == "application/json"
    }
}

impl fmt::Debug for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Opaque bytes with a content type. They arrive at the handler byte for byte; cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    content_type: ContentType,
    bytes: Arc<[u8]>,
}

impl Payload {
    /// Any bytes of any type.
    pub fn new(content_type: ContentType, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self {
            content_type,
            bytes: bytes.into(),
        }
    }

    /// The JSON of a value.
    pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self> {
        let bytes = serde_json::to_vec(value).map_err(|e| {
            Error::invalid(
                "payload",
                format!("the payload cannot be written as JSON: {e}"),
            )
        })?;
        Ok(Self::new(ContentType::json(), bytes))
    }

    /// Bytes as they are, `application/octet-stream`.
    pub fn bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self::new(ContentType::bytes(), bytes)
    }

    /// The content type.
    #[must_use]
    pub const fn content_type(&self) -> &ContentType {
        &self.content_type
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Default for Payload {
    /// The JSON `null`.
    fn default() -> Self {
        Self::new(ContentType::json(), *b"null")
    }
}

impl fmt::Debug for Payload {
    /// Shows size and type only: payloads may hold what must not stand in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Payload({} bytes of {:?})",
            self.bytes.len(),
            self.content_type
        )
    }
}
