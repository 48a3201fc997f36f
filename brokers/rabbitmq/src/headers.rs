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
///
/// RabbitMQ reads all of it for each message. Type, time, content type and one header, which the body says too, took a
/// quarter of what it spends to take a message into a classic queue.
pub(crate) fn properties(envelope: &Envelope) -> BasicProperties {
    let mut headers = FieldTable::default();
    for name in [TRACEPARENT, TRACESTATE] {
        if let Some(value) = envelope.headers.get(name) {
            headers.insert(name.into(), AMQPValue::LongString(value.as_str().into()));
        }
    }
    let id = ShortString::try_new(envelope.id.as_str()).unwrap_or_default();
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_message_id(id);
    if headers.inner().is_empty() {
        return properties;
    }
    properties.with_headers(headers)
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
