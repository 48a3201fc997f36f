//! From Tidemill's words to those of OpenTelemetry's SDK.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind as Kind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tidemill_shared::{SpanKind, SpanRecord, SpanValue, Timestamp, TraceContext};

use crate::redact;

/// Where a span was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// In this process.
    Here,
    /// As like as not in another one.
    Elsewhere,
}

pub(super) fn span(record: SpanRecord, scope: &InstrumentationScope) -> SpanData {
    let attributes = record.attributes.into_iter().map(|(name, value)| {
        let value = match value {
            SpanValue::Text(text) => Value::from(text),
            SpanValue::Word(word) => Value::from(word),
            SpanValue::Number(number) => Value::from(number),
        };
        KeyValue::new(name, value)
    });
    let mut links = SpanLinks::default();
    links.links = record
        .links
        .iter()
        .map(|link| Link::new(to_span_context(link, Side::Elsewhere), Vec::new(), 0))
        .collect();
    let parent = record.parent.as_ref();
    SpanData {
        span_context: to_span_context(&record.context, Side::Here),
        parent_span_id: parent.map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.span_id)),
        // A run is the part of a chain that goes on in another process.
        parent_span_is_remote: parent.is_some() && record.kind == SpanKind::Consumer,
        span_kind: match record.kind {
            SpanKind::Producer => Kind::Producer,
            SpanKind::Consumer => Kind::Consumer,
            SpanKind::Client => Kind::Client,
        },
        name: record.name.into(),
        start_time: time(record.started_at),
        end_time: time(record.ended_at),
        attributes: attributes.collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links,
        status: match record.failure {
            Some(failure) => Status::error(redact::text(&failure).into_owned()),
            None => Status::Unset,
        },
        instrumentation_scope: scope.clone(),
    }
}

pub(super) fn to_span_context(context: &TraceContext, side: Side) -> SpanContext {
    let flags = match context.sampled {
        true => TraceFlags::SAMPLED,
        false => TraceFlags::NOT_SAMPLED,
    };
    let state = match context.state.as_str() {
        "" => TraceState::NONE,
        // One that cannot be read is dropped, as the recommendation says.
        text => TraceState::from_str(text).unwrap_or_default(),
    };
    SpanContext::new(
        TraceId::from_bytes(context.trace_id),
        SpanId::from_bytes(context.span_id),
        flags,
        side == Side::Elsewhere,
        state,
    )
}

pub(super) fn from_span_context(context: &SpanContext) -> Option<TraceContext> {
    context.is_valid().then(|| TraceContext {
        trace_id: context.trace_id().to_bytes(),
        span_id: context.span_id().to_bytes(),
        sampled: context.is_sampled(),
        state: context.trace_state().header(),
    })
}

fn time(at: Timestamp) -> SystemTime {
    let micros = u64::try_from(at.as_micros()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}
