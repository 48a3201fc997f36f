//! Short stories that would hardly ever come about by chance.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Strategy, prop_oneof};
use tidemill_shared::BuryReason;

use super::{ending, instant, item, replay, rules, the_claim};
use crate::model::operation::{Alteration, Ending, Item, Operation, Ruling, TASKS};

/// A task that is taken over, cancelled while it runs, or replayed when its key has a new holder; a
/// schedule that is changed after it was planned; a leader that goes on after its time.
pub(super) fn story() -> impl Strategy<Value = Vec<Operation>> {
    let take = || Operation::Lease {
        worker: 0,
        queues: vec![(0, 1)],
        max: 1,
        ttl: Duration::from_secs(10),
    };
    let claim = |back| Operation::ClaimStep(back, 0);
    let late = (ending(), ending()).prop_map(move |(old, new)| {
        let settle = |ending, lease| Operation::Settle(vec![Ending { lease, ..ending }]);
        let advance = Operation::Advance(Duration::from_secs(60));
        let (before, after) = (take(), take());
        vec![
            before,
            claim(0),
            advance,
            Operation::Sweep,
            after,
            claim(0),
            claim(1),
            settle(old, 1),
            settle(new, 0),
        ]
    });
    let cancelled = (0..TASKS, ending()).prop_map(move |(task, ending)| {
        let ttl = Duration::from_secs(60);
        let cancel = Operation::Change(task, Alteration::Cancel);
        let end = Operation::Settle(vec![Ending { lease: 0, ..ending }]);
        vec![
            take(),
            cancel,
            Operation::Renew {
                leases: vec![0, 1],
                ttl,
            },
            end,
        ]
    });
    let succeeded = (item(), item(), vec(the_claim(), 2), ending(), replay()).prop_map(
        move |(first, second, mut claims, ending, replay)| {
            let item = |task, item, claim| {
                Operation::Enqueue(vec![Item {
                    task,
                    queue: 0,
                    kind: 0,
                    claim,
                    ..item
                }])
            };
            let bury = Ruling::Bury(BuryReason::AttemptsExhausted);
            let end = Operation::Settle(vec![Ending {
                lease: 0,
                ruling: bury,
                ..ending
            }]);
            let first = item(0, first, claims.pop());
            let second = item(1, second, claims.pop());
            vec![first, take(), end, second, Operation::Change(0, replay)]
        },
    );
    let replanned = (vec(instant(), 2..=4), rules()).prop_map(|(mut fires, schedules)| {
        fires.iter_mut().for_each(|fire| fire.schedule = 0);
        let term = Some(0);
        let source = 0;
        vec![
            Operation::Fire { term, fires },
            Operation::Apply { source, schedules },
        ]
    });
    let deposed = vec(instant(), 1..=2).prop_map(|fires| {
        let lead = |holder| {
            let ttl = Duration::from_secs(10);
            Operation::Lead { holder, ttl }
        };
        let fire = |term, fires| Operation::Fire {
            term: Some(term),
            fires,
        };
        let lapse = Operation::Advance(Duration::from_secs(20 * 86_400));
        vec![
            lead(0),
            lapse,
            lead(1),
            fire(1, fires.clone()),
            fire(0, fires),
        ]
    });
    prop_oneof![
        2 => late,
        2 => cancelled,
        2 => succeeded,
        2 => replanned,
        1 => deposed,
    ]
}
