//! Asks Sentinels where the master is.

use std::time::Duration;

use super::Finder;
use crate::link::ask::{self, Answer};
use crate::link::deadline::Deadline;
use crate::link::fault::Fault;
use crate::link::greeting::Mode;
use crate::link::master::Master;
use crate::link::value;
use crate::options::Address;

/// After the first answer, the others have as long to agree or to disagree.
const GRACE: Duration = Duration::from_millis(500);

/// What the Sentinels said.
struct Poll {
    /// The addresses that were named, and by how many; most votes first.
    votes: Vec<(Address, usize)>,
    /// Why the last one that did not name any did not.
    fault: Fault,
}

/// Joins the master that most Sentinels name, if it says itself that it is one; a Sentinel that was cut
/// off may still name the old one.
pub(super) async fn connect(
    finder: &Finder,
    sentinels: &[Address],
    name: &str,
) -> Result<Master, Fault> {
    let Poll { votes, mut fault } = poll(finder, sentinels, name).await;
    for (address, _) in votes {
        match finder.join(&address).await {
            Ok(master) => return Ok(master),
            Err(refused) => fault = refused,
        }
    }
    Err(fault)
}

/// The address that more than half of the Sentinels name, if it is another.
pub(super) async fn another(
    finder: &Finder,
    sentinels: &[Address],
    name: &str,
    address: &Address,
) -> Option<Address> {
    let (named, votes) = poll(finder, sentinels, name)
        .await
        .votes
        .into_iter()
        .next()?;
    (named != *address && votes * 2 > sentinels.len()).then_some(named)
}

/// Asks all of them, until most agree, all have answered, or the grace is over.
async fn poll(finder: &Finder, sentinels: &[Address], name: &str) -> Poll {
    let mut question = redis::cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
    let options = &finder.options;
    let credentials = &options.sentinel_credentials;
    let mut answers = ask::all(sentinels, options, credentials, Mode::Sentinel, &question);
    let mut poll = Poll {
        votes: Vec::new(),
        fault: Fault::unavailable("no Sentinel answered"),
    };
    let mut grace = Deadline::after(options.connect_timeout * 3);
    while let Some(Some(answer)) = grace.limit(answers.join_next()).await {
        let Ok(answer) = answer else { continue };
        match answer.and_then(|answer| read(&answer, name)) {
            Ok(address) => {
                if poll.votes.is_empty() {
                    grace = Deadline::after(GRACE);
                }
                if poll.count(address) * 2 > sentinels.len() {
                    break;
                }
            }
            Err(fault) => poll.fault = fault,
        }
    }
    poll.votes
        .sort_by_key(|(_, votes)| std::cmp::Reverse(*votes));
    poll
}

impl Poll {
    /// Adds a vote, and tells how many it has now.
    fn count(&mut self, address: Address) -> usize {
        if let Some((_, votes)) = self.votes.iter_mut().find(|(named, _)| *named == address) {
            *votes += 1;
            return *votes;
        }
        self.votes.push((address, 1));
        1
    }
}

fn read(answer: &Answer, name: &str) -> Result<Address, Fault> {
    let asked = &answer.asked;
    value::array(&answer.value)
        .and_then(|parts| match parts {
            [host, port] => Some(Address::new(
                value::text(host)?,
                value::text(port)?.parse().ok()?,
            )),
            _ => None,
        })
        .ok_or_else(|| {
            Fault::invalid(format!(
                "the Sentinel at {asked} knows no master named {name}"
            ))
        })
}
