//! Asking several servers one question.

use std::sync::Arc;

use redis::{Cmd, Value};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::greeting::Mode;
use super::refusal::Refusal;
use super::wire::{Wire, broken, unreachable_at};
use crate::options::{Address, Credentials, RedisOptions};

/// Who was asked, and what it said.
pub(super) struct Answer {
    pub(super) asked: Address,
    pub(super) value: Value,
}

/// Asks all of them at once, if they are of this kind; the answers come as they arrive.
pub(super) fn all(
    addresses: &[Address],
    options: &Arc<RedisOptions>,
    credentials: &Credentials,
    mode: Mode,
    question: &Cmd,
) -> JoinSet<Result<Answer, Fault>> {
    let mut asked = JoinSet::new();
    for address in addresses {
        let (address, options) = (address.clone(), options.clone());
        let (credentials, question) = (credentials.clone(), question.clone());
        asked.spawn(async move { one(address, &options, &credentials, mode, &question).await });
    }
    asked
}

async fn one(
    asked: Address,
    options: &RedisOptions,
    credentials: &Credentials,
    mode: Mode,
    question: &Cmd,
) -> Result<Answer, Fault> {
    let wire = Wire::connect(&asked, options, credentials, 0, CancellationToken::new()).await?;
    wire.greeting().expect(mode, &asked)?;
    let reply = tokio::time::timeout(options.connect_timeout, wire.send(question))
        .await
        .map_err(|_| unreachable_at(&asked, "no answer came in time"))?;
    match reply {
        Ok(Value::ServerError(error)) => {
            Err(Refusal::read(&error, &asked).into_fault(&error, &asked))
        }
        Ok(value) => Ok(Answer { asked, value }),
        Err(error) => Err(broken(&asked, &error)),
    }
}
