//! Asks nodes of a Cluster who owns our slot.

use redis::Value;

use super::Finder;
use crate::link::ask;
use crate::link::fault::Fault;
use crate::link::greeting::Mode;
use crate::link::master::Master;
use crate::link::value;
use crate::options::{Address, Topology};

/// The most nodes that are remembered.
const REMEMBERED: usize = 32;

/// Joins the first owner that a node names and that says itself that it is a master.
pub(super) async fn connect(finder: &mut Finder) -> Result<Master, Fault> {
    let mut nodes = match &finder.options.topology {
        Topology::Cluster { seeds } => seeds.clone(),
        Topology::Single(_) | Topology::Sentinel { .. } => Vec::new(),
    };
    nodes.extend(
        finder
            .known
            .iter()
            .filter(|node| !nodes.contains(node))
            .cloned()
            .collect::<Vec<_>>(),
    );
    let mut question = redis::cmd("CLUSTER");
    question.arg("SLOTS");
    let options = &finder.options;
    let mut answers = ask::all(
        &nodes,
        options,
        &options.credentials,
        Mode::Cluster,
        &question,
    );
    let mut tried = Vec::new();
    let mut fault = Fault::unavailable("no node of the Cluster answered");
    while let Some(answer) = answers.join_next().await {
        let Ok(answer) = answer else { continue };
        let owner = match answer {
            Ok(answer) => {
                finder.known = nodes_of(&answer.value, &answer.asked);
                owner(&answer.value, finder.slot, &answer.asked)
            }
            Err(refused) => {
                if tried.is_empty() {
                    fault = refused;
                }
                continue;
            }
        };
        match owner {
            Some(address) if tried.contains(&address) => {}
            Some(address) => {
                match finder.join(&address).await {
                    Ok(master) => return Ok(master),
                    Err(refused) => fault = refused,
                }
                tried.push(address);
            }
            None if tried.is_empty() => {
                fault = Fault::unavailable(format!(
                    "no node of the Cluster owns slot {} yet",
                    finder.slot
                ));
            }
            None => {}
        }
    }
    Err(fault)
}

/// `[[first, last, [host, port, …], replica, …], …]`
fn ranges(slots: &Value) -> impl Iterator<Item = (i64, i64, &[Value])> {
    value::array(slots)
        .unwrap_or_default()
        .iter()
        .filter_map(|range| {
            let [first, last, nodes @ ..] = value::array(range)? else {
                return None;
            };
            Some((value::integer(first)?, value::integer(last)?, nodes))
        })
}

fn owner(slots: &Value, slot: u16, asked: &Address) -> Option<Address> {
    let slot = i64::from(slot);
    ranges(slots)
        .find(|(first, last, _)| (*first..=*last).contains(&slot))
        .and_then(|(_, _, nodes)| node(nodes.first()?, asked))
}

fn nodes_of(slots: &Value, asked: &Address) -> Vec<Address> {
    let mut known = Vec::new();
    for (_, _, nodes) in ranges(slots) {
        for address in nodes.iter().filter_map(|found| node(found, asked)) {
            if known.len() < REMEMBERED && !known.contains(&address) {
                known.push(address);
            }
        }
    }
    known
}

/// A node without a host is reached by the host that was asked (the specification of CLUSTER SLOTS).
fn node(found: &Value, asked: &Address) -> Option<Address> {
    let [host, port, ..] = value::array(found)? else {
        return None;
    };
    let host = match value::text(host) {
        Some("?") => return None,
        Some(host) if !host.is_empty() => host,
        _ => &asked.host,
    };
    let port = u16::try_from(value::integer(port)?).ok()?;
    (port != 0).then(|| Address::new(host, port))
}
