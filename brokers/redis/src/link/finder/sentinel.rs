//! Asks Sentinels where the master is.

use redis::Value;

use super::Finder;
use crate::link::ask::{self, Answer};
use crate::link::fault::Fault;
use crate::link::greeting::Mode;
use crate::link::master::Master;
use crate::link::value;
use crate::options::Address;

/// Joins the first master that a Sentinel names and that says itself that it is one. A Sentinel that
/// was cut off may still name the old one.
pub(super) async fn connect(
    finder: &Finder,
    sentinels: &[Address],
    name: &str,
) -> Result<Master, Fault> {
    let mut question = redis::cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
    let options = &finder.options;
    let credentials = &options.sentinel_credentials;
    let mut answers = ask::all(sentinels, options, credentials, &question);
    let mut tried = Vec::new();
    let mut fault = Fault::unavailable("no Sentinel answered");
    while let Some(answer) = answers.join_next().await {
        let Ok(answer) = answer else { continue };
        match answer.and_then(|answer| read(&answer, name)) {
            Ok(address) if tried.contains(&address) => {}
            Ok(address) => {
                match finder.join(&address).await {
                    Ok(master) => return Ok(master),
                    Err(refused) => fault = refused,
                }
                tried.push(address);
            }
            // What a master says weighs more than the silence of a Sentinel.
            Err(refused) if tried.is_empty() => fault = refused,
            Err(_) => {}
        }
    }
    Err(fault)
}

fn read(answer: &Answer, name: &str) -> Result<Address, Fault> {
    let asked = &answer.asked;
    if answer.greeting.mode != Mode::Sentinel {
        return Err(Fault::invalid(format!(
            "redis at {asked} is not a Sentinel; write redis://, or the addresses of the Sentinels"
        )));
    }
    let named = match &answer.value {
        Value::Array(parts) => match &parts[..] {
            [host, port] => value::text(host).zip(value::text(port)),
            _ => None,
        },
        _ => None,
    };
    named
        .and_then(|(host, port)| Some(Address::new(host, port.parse().ok()?)))
        .ok_or_else(|| {
            Fault::invalid(format!(
                "the Sentinel at {asked} knows no master named {name}"
            ))
        })
}
