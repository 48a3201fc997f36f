//! Which traces are recorded.

use opentelemetry::trace::{SpanKind, TraceId};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample};
use tidemill_shared::TraceContext;

/// Decides before anything of a span is put together, so that what is not recorded costs nothing.
#[derive(Clone, Debug)]
pub(super) struct Sampling {
    /// For what begins a trace.
    root: Sampler,
    heed: Heed,
}

/// Whether the decision of whoever began a trace counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heed {
    /// It does, also for what links to the trace.
    Parent,
    /// Each span is decided about by its trace's id alone.
    Nobody,
}

impl Sampling {
    pub(super) const fn new(root: Sampler, heed: Heed) -> Self {
        Self { root, heed }
    }

    pub(super) const fn everything() -> Self {
        Self::new(Sampler::AlwaysOn, Heed::Parent)
    }

    /// A share of what begins here, from 0 to 1.
    pub(super) fn of_share(share: f64) -> Option<Self> {
        let is_share = (0.0..=1.0).contains(&share);
        is_share.then(|| Self::new(Sampler::TraceIdRatioBased(share), Heed::Parent))
    }

    /// Whether a span in this trace is recorded that comes from there.
    pub(super) fn takes(&self, upstream: Option<&TraceContext>, trace_id: [u8; 16]) -> bool {
        if let (Heed::Parent, Some(upstream)) = (self.heed, upstream) {
            return upstream.sampled;
        }
        match self.root {
            Sampler::AlwaysOn => true,
            Sampler::AlwaysOff => false,
            _ => {
                let trace_id = TraceId::from_bytes(trace_id);
                let kind = SpanKind::Internal;
                let answer = self.root.should_sample(None, trace_id, "", &kind, &[], &[]);
                answer.decision == SamplingDecision::RecordAndSample
            }
        }
    }
}
