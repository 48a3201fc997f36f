//! What a collector refuses of a batch that it takes: the partial success of OTLP.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;

/// Where spans go, and what was refused of them there.
#[derive(Debug)]
pub(super) struct Outlet<E> {
    pub(super) exporter: E,
    pub(super) refusals: Refusals,
}

impl<E> Outlet<E> {
    /// An exporter that says nothing of what was refused.
    pub(super) fn of(exporter: E) -> Self {
        Self {
            exporter,
            refusals: Refusals::default(),
        }
    }
}

/// Collects what was refused since somebody last asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals(Arc<Mutex<Refused>>);

/// Spans that were refused, and what was said of the last of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) spans: u64,
    pub(super) reason: String,
}

impl Refusals {
    fn refused(&self) -> MutexGuard<'_, Refused> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the answer to a batch that was taken. One that is no answer of OTLP refuses nothing.
    fn read(&self, body: &[u8]) {
        let answer = ExportTraceServiceResponse::decode(body).unwrap_or_default();
        let Some(partial) = answer.partial_success else {
            return;
        };
        // A message alone is a warning, says the protocol: everything was taken.
        if let Ok(spans @ 1..) = u64::try_from(partial.rejected_spans) {
            let mut refused = self.refused();
            refused.spans += spans;
            refused.reason = partial.error_message;
        }
    }

    /// What was refused, which is forgotten with this.
    pub(super) fn take(&self) -> Refused {
        std::mem::take(&mut self.refused())
    }
}

/// A client that reads along. The exporter itself keeps what it reads of refusals to itself.
#[derive(Debug)]
pub(super) struct Attentive<C> {
    pub(super) client: C,
    pub(super) refusals: Refusals,
}

#[async_trait]
impl<C: HttpClient> HttpClient for Attentive<C> {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let response = self.client.send_bytes(request).await?;
        if response.status().is_success() {
            self.refusals.read(response.body());
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::{Refusals, Refused};

    #[test]
    fn what_is_no_refusal_counts_as_none() {
        let refusals = Refusals::default();
        // Nothing; a warning without refused spans; what is no protobuf; a count below zero.
        let below: [u8; 13] = [
            0x0a, 0x0b, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
        ];
        for body in [&b""[..], b"\x0a\x04\x12\x02hm", b"<html>", &below] {
            refusals.read(body);
            assert_eq!(refusals.take(), Refused::default(), "{body:?}");
        }
        refusals.read(b"\x0a\x09\x08\x02\x12\x05stale");
        let expected = Refused {
            spans: 2,
            reason: "stale".into(),
        };
        assert_eq!(refusals.take(), expected);
        assert_eq!(refusals.take(), Refused::default());
    }
}
