//! What RabbitMQ itself has set aside: delivered too often, or by a policy of its operators.

use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use lapin::types::AMQPValue;
use tidemill_shared::{BuryReason, FailureRecord, Result, decode_envelope};

use super::RabbitStore;
use crate::fault::{fault, is_missing};

impl RabbitStore {
    /// Makes dead letters of it, at most so many.
    pub(super) async fn take_in_set_aside(&self, budget: usize) -> Result<()> {
        // Before there is a line, nothing can have been set aside, and nobody has declared where.
        if !self.inner.lines.knows_any() {
            return Ok(());
        }
        let channel = self.inner.lines.channel("sweep").await?;
        let line = self.inner.topology.set_aside();
        for _ in 0..budget {
            let got = channel.basic_get(line.clone(), BasicGetOptions::default());
            let message = match got.await {
                Ok(Some(message)) => message.delivery,
                Ok(None) => break,
                // Nobody has declared it yet.
                Err(error) if is_missing(&error) => break,
                Err(error) => return Err(fault("sweep", &error)),
            };
            let tag = message.delivery_tag;
            self.bury_message(message).await?;
            let acknowledged = channel.basic_ack(tag, BasicAckOptions::default()).await;
            acknowledged.map_err(|error| fault("sweep", &error))?;
        }
        Ok(())
    }

    async fn bury_message(&self, message: Delivery) -> Result<()> {
        let headers = message.properties.headers().as_ref();
        let reason = headers.and_then(|headers| headers.inner().get("x-first-death-reason"));
        let why = match reason {
            Some(AMQPValue::LongString(text)) => text.to_string(),
            _ => "no reason given".to_owned(),
        };
        let reason = match &*why {
            "delivery_limit" => BuryReason::CrashLoop,
            _ => BuryReason::Operator,
        };
        let failure = FailureRecord::new("set_aside", format!("RabbitMQ has set it aside: {why}"));
        match decode_envelope(&message.data) {
            Ok(envelope) => self.bury(envelope, reason, failure).await,
            Err(error) => self.bury_bytes(message.data, &error).await,
        }
    }
}
