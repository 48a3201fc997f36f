//! What RabbitMQ refuses, in words.

use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::{Error as AmqpError, ErrorKind as AmqpKind};
use tidemill_shared::{Error, ErrorKind, Result};
use tokio::time::{Instant, timeout_at};

/// An error of a call, from what lapin says. Whatever is not understood may pass.
pub(crate) fn fault(operation: &'static str, error: &AmqpError) -> Error {
    let (kind, message) = match error.kind() {
        AmqpKind::ProtocolError(refusal) => {
            let text = refusal.get_message().as_str();
            match refusal.kind() {
                AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)
                    if text.contains("consumer_timeout")
                        || text.contains("delivery acknowledgement") =>
                {
                    (
                        ErrorKind::Unavailable,
                        format!(
                            "RabbitMQ has taken back what a task was running, because that took longer than its consumer_timeout ({text}); set consumer_timeout in rabbitmq.conf to two minutes or more, as runs are handed to the ledger after one"
                        ),
                    )
                }
                AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => (
                    ErrorKind::Invalid,
                    format!(
                        "RabbitMQ has a queue or an exchange of this name with other settings ({text}); drain it, delete it with `rabbitmqctl delete_queue NAME`, and start again, or use another namespace"
                    ),
                ),
                AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => (
                    ErrorKind::Invalid,
                    format!(
                        "RabbitMQ does not permit this to the user ({text}); it needs configure, write and read on tidemill/.*, and write on amq.default"
                    ),
                ),
                AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => (
                    ErrorKind::Invalid,
                    format!("RabbitMQ does not allow it ({text}); is the vhost right?"),
                ),
                AMQPErrorKind::Soft(_) | AMQPErrorKind::Hard(_) => (
                    ErrorKind::Unavailable,
                    format!("RabbitMQ has answered: {text}"),
                ),
            }
        }
        AmqpKind::MissingHeartbeatError => (
            ErrorKind::Unavailable,
            "RabbitMQ has not been heard of for two heartbeats".to_owned(),
        ),
        _ => (
            ErrorKind::Unavailable,
            format!("RabbitMQ cannot be reached: {error}"),
        ),
    };
    Error::new(kind, operation, message)
}

/// No answer in time.
pub(crate) fn timeout(operation: &'static str) -> Error {
    Error::new(
        ErrorKind::Timeout,
        operation,
        "RabbitMQ did not answer in time",
    )
}

/// Waits for an answer of RabbitMQ until then. A node that is going or coming may owe one for ever.
pub(crate) async fn within<T>(
    deadline: Instant,
    operation: &'static str,
    answer: impl Future<Output = Result<T>>,
) -> Result<T> {
    match timeout_at(deadline, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(timeout(operation)),
    }
}

/// Whether an error says that what was named is not there.
pub(crate) fn is_missing(error: &AmqpError) -> bool {
    let AmqpKind::ProtocolError(refusal) = error.kind() else {
        return false;
    };
    matches!(refusal.kind(), AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND))
}
