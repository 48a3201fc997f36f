//! A task as a message of AMQP, and back.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use tidemill_shared::{Envelope, TRACEPARENT, TRACESTATE};

/// How often RabbitMQ has taken the message back from somebody.
const DELIVERIES: &str = "x-delivery-count";
/// Delivery mode 2.
const PERSISTENT: u8 = 2;

/// What stands beside the envelope, for those who look with RabbitMQ's own tools and for tracing. Nothing
/// of it counts: the envelope is the body.
pub(crate) fn properties(envelope: &Envelope) -> BasicProperties {
    let mut headers = FieldTable::default();
    let mut put = |name: &str, value: &str| {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    };
    put("tidemill-queue", envelope.queue.as_str());
    for name in [TRACEPARENT, TRACESTATE] {
        if let Some(value) = envelope.headers.get(name) {
            put(name, value);
        }
    }
    let seconds = envelope.enqueued_at.as_micros().div_euclid(1_000_000);
    let short = |text: &str| ShortString::try_new(text).unwrap_or_default();
    BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into())
        .with_message_id(short(envelope.id.as_str()))
        .with_type(short(envelope.kind.as_str()))
        .with_timestamp(u64::try_from(seconds).unwrap_or_default())
        .with_headers(headers)
}

/// How many times the message was out and came back. Classic queues only say whether it was.
pub(crate) fn returns(properties: &BasicProperties, redelivered: bool) -> u32 {
    let headers = properties.headers().as_ref();
    let count = headers.and_then(|headers| headers.inner().get(DELIVERIES));
    match count {
        Some(AMQPValue::LongLongInt(count)) => u32::try_from(*count).unwrap_or(u32::MAX),
        Some(AMQPValue::LongInt(count)) => u32::try_from(*count).unwrap_or(u32::MAX),
        _ => u32::from(redelivered),
    }
}
