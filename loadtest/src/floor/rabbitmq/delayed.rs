//! Messages that are due later, by what RabbitMQ itself has for that.

use std::time::Duration;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use tidemill::Timestamp;

use super::wire::{QUEUE, Wire};
use super::{WINDOW, bodies};
use crate::Result;
use crate::durations::Durations;
use crate::floor::{Found, Settings};
use crate::meter::{Meter, Store};
use crate::scenario::now;

/// The queue in which they wait.
const WAITING: &str = "loadtest-floor-waiting";

/// Each message has a time to live, and goes to the queue of the consumer when that is over; at least once, where queues
/// can do that. The times are in the order of the messages, or one would hold up those behind it.
pub(in crate::floor) async fn delayed(
    settings: &Settings,
    url: &str,
    store: &Store,
) -> Result<Found> {
    let wire = Wire::open(url).await?;
    wire.declare(WAITING, to_the_consumer(wire.is_quorum()))
        .await?;
    let outlet = wire.outlet().await?;
    let mut inlet = wire.inlet(settings.concurrency).await?;
    let bodies = bodies(settings)?;
    let tasks = u32::try_from(settings.tasks)?;
    // As for `run`.
    let lead = Duration::from_secs(2) + Duration::from_micros(20) * tasks;
    let first = now() + lead;
    let due = |number: usize| {
        let share = number as f64 / f64::from(tasks.max(1));
        first + settings.duration.mul_f64(share)
    };
    let numbered: Vec<_> = bodies.iter().enumerate().collect();
    for part in numbered.chunks(WINDOW) {
        let messages = part
            .iter()
            .map(|(number, body)| (*body, waiting(*number, due(*number))));
        outlet.publish_to(WAITING, messages).await?;
    }
    if now() > first {
        return Err(
            "RabbitMQ took the messages in too slowly: the first one is due already".into(),
        );
    }
    let meter = Meter::start(store.clone(), &[std::process::id()]).await?;
    let (mut late, mut last, mut left) = (Durations::new()?, first, settings.tasks);
    while left > 0 {
        let gulp = inlet.gulp().await?;
        last = now();
        for delivery in &gulp {
            let number = delivery.properties.message_id().as_ref();
            let number = number
                .ok_or("a message without a number")?
                .as_str()
                .parse()?;
            if due(number) > last {
                return Err("a message came before it was due".into());
            }
            late.add(last.since(due(number)));
        }
        inlet.acknowledge(&gulp).await?;
        left = left.saturating_sub(gulp.len());
    }
    inlet.heard().await?;
    wire.delete(WAITING).await?;
    wire.end(0).await?;
    Ok(Found {
        spread: Some(("lateness", late)),
        ..Found::new(meter, last.since(first))
    })
}

/// The settings of a queue whose messages go to the consumer's when their time is over.
fn to_the_consumer(is_quorum: bool) -> FieldTable {
    let mut settings = FieldTable::default();
    let mut put = |name: &str, value: &str| {
        settings.insert(name.into(), AMQPValue::LongString(value.into()));
    };
    put("x-dead-letter-exchange", "");
    put("x-dead-letter-routing-key", QUEUE);
    if is_quorum {
        put("x-dead-letter-strategy", "at-least-once");
        put("x-overflow", "reject-publish");
    }
    settings
}

/// Persistent, with its number, and with whole milliseconds to live from now on, so that it is not early.
fn waiting(number: usize, due: Timestamp) -> BasicProperties {
    let millis = due.since(now()).as_micros().div_ceil(1_000);
    let short = |text: String| ShortString::try_new(text).unwrap_or_default();
    BasicProperties::default()
        .with_delivery_mode(2)
        .with_message_id(short(number.to_string()))
        .with_expiration(short(millis.to_string()))
}
