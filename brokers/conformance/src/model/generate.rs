//! How operations are drawn.

mod choices;
mod stories;

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::{select, subsequence};
use tidemill_shared::schedule::{Misfire, Overlap};
use tidemill_shared::{KeyFate, State};

use choices::{any_task, brief, cause, long, often, passing, reason, recent, retention};
use stories::story;

use super::operation::{
    Alteration, Claim, Ending, Filter, Instant, Item, KEYS, Operation, Planned, QUEUES, Rule,
    Ruling, SCHEDULES, TASKS, WORKERS,
};

/// How many operations a sequence has at most.
const LONGEST: usize = 40;

/// Half of the sequences start with a leader and its schedules, so that fires are not refused; some
/// steps are short stories, because they would hardly ever come about by chance.
pub(super) fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let leader = Operation::Lead {
        holder: 0,
        ttl: Duration::from_secs(20 * 86_400),
    };
    let start = (Just(leader), put(0), put(1)).prop_map(|(lead, a, b)| vec![lead, a, b]);
    let start = option::of(start).prop_map(Option::unwrap_or_default);
    let step = prop_oneof![
        12 => operation().prop_map(|operation| vec![operation]),
        1 => story(),
    ];
    (start, vec(step, 1..=LONGEST)).prop_map(|(start, steps)| {
        let steps = steps.into_iter().flatten();
        start.into_iter().chain(steps).collect()
    })
}

fn put(schedule: u8) -> impl Strategy<Value = Operation> {
    rule().prop_map(move |rule| Operation::PutSchedule {
        source: 0,
        schedule: Rule { schedule, ..rule },
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        8 => work(),
        3 => upkeep(),
        2 => operating(),
        3 => planning(),
        1 => remembering(),
    ]
}

fn work() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => vec(item(), 1..=4).prop_map(Operation::Enqueue),
        3 => lease(),
        3 => vec(ending(), 1..=3).prop_map(Operation::Settle),
        1 => (vec(recent(), 1..=3), brief()).prop_map(|(leases, ttl)| Operation::Renew { leases, ttl }),
    ]
}

fn upkeep() -> impl Strategy<Value = Operation> {
    prop_oneof![
        6 => passing().prop_map(Operation::Advance),
        4 => Just(Operation::Sweep),
        1 => Just(Operation::Reopen),
    ]
}

fn operating() -> impl Strategy<Value = Operation> {
    let queue = || 0..QUEUES;
    prop_oneof![
        8 => (any_task(), alteration()).prop_map(|(task, change)| Operation::Change(task, change)),
        3 => (filter(), alteration(), 1..=3_usize).prop_map(|(filter, alteration, budget)| {
            Operation::ChangeMany { filter, alteration, budget }
        }),
        3 => (filter(), 1..=3_usize).prop_map(|(filter, page)| Operation::List { filter, page }),
        1 => recent().prop_map(Operation::Report),
        1 => (queue(), option::of(0..2_u8)).prop_map(|(queue, why)| Operation::Pause(queue, why)),
        2 => queue().prop_map(Operation::Resume),
        1 => (queue(), option::of(0..5_u64)).prop_map(|(queue, limit)| Operation::Limit(queue, limit)),
        1 => (queue(), any::<bool>()).prop_map(|(queue, force)| Operation::RemoveQueue { queue, force }),
    ]
}

fn planning() -> impl Strategy<Value = Operation> {
    let schedule = || 0..SCHEDULES;
    prop_oneof![
        1 => (0..2_u8, rules()).prop_map(|(source, schedules)| Operation::Apply { source, schedules }),
        2 => (0..2_u8, rule()).prop_map(|(source, schedule)| Operation::PutSchedule { source, schedule }),
        1 => schedule().prop_map(Operation::DeleteSchedule),
        1 => (schedule(), option::of(0..2_u8)).prop_map(|(id, why)| Operation::PauseSchedule(id, why)),
        2 => schedule().prop_map(Operation::ResumeSchedule),
        3 => (0..WORKERS, long()).prop_map(|(holder, ttl)| Operation::Lead { holder, ttl }),
        1 => (0..WORKERS).prop_map(Operation::Resign),
        6 => (option::weighted(0.95, 0..2_u8), vec(instant(), 1..=4))
            .prop_map(|(term, fires)| Operation::Fire { term, fires }),
    ]
}

fn remembering() -> impl Strategy<Value = Operation> {
    let step = || often(0, 1);
    prop_oneof![
        4 => (recent(), step()).prop_map(|(lease, step)| Operation::ClaimStep(lease, step)),
        1 => (recent(), step(), long())
            .prop_map(|(lease, step, keep)| Operation::CommitStep(lease, step, keep)),
        1 => (recent(), step()).prop_map(|(lease, step)| Operation::AbandonStep(lease, step)),
        1 => (any_task(), 1..=3_u8).prop_map(|(task, lines)| Operation::Log(task, lines)),
        1 => (0..TASKS, long()).prop_map(|(task, window)| Operation::MarkCompleted(task, window)),
        1 => (0..TASKS).prop_map(Operation::ForgetCompleted),
    ]
}

fn lease() -> impl Strategy<Value = Operation> {
    let queues = subsequence((0..QUEUES).collect::<Vec<_>>(), 1..=usize::from(QUEUES));
    let queues = (queues.prop_shuffle(), vec(1..=4_usize, usize::from(QUEUES)));
    (0..WORKERS, queues, 1..=5_usize, brief()).prop_map(|(worker, (queues, limits), max, ttl)| {
        Operation::Lease {
            worker,
            queues: queues.into_iter().zip(limits).collect(),
            max,
            ttl,
        }
    })
}

fn item() -> impl Strategy<Value = Item> {
    let delay = prop_oneof![
        1 => Just(None),
        6 => Just(Some(Duration::ZERO)),
        4 => passing().prop_map(Some),
    ];
    let place = (0..QUEUES, often(0, 1), select(vec![2_i64, 5, 5, 5, 9]));
    (
        0..TASKS,
        place,
        delay,
        retention(),
        1..=3_u32,
        option::of(claim()),
    )
        .prop_map(
            |(task, (queue, kind, priority), delay, retention, crash_limit, claim)| Item {
                task,
                queue,
                kind,
                priority,
                delay,
                retention,
                crash_limit,
                claim,
            },
        )
}

fn the_claim() -> impl Strategy<Value = Claim> {
    claim().prop_map(|claim| Claim { key: 0, ..claim })
}

fn claim() -> impl Strategy<Value = Claim> {
    let fate = || select(vec![KeyFate::Free, KeyFate::Keep]);
    (often(0, KEYS - 1), long(), fate(), fate()).prop_map(|(key, ttl, on_success, on_failure)| {
        Claim {
            key,
            ttl,
            on_success,
            on_failure,
        }
    })
}

fn ending() -> impl Strategy<Value = Ending> {
    let ruling = prop_oneof![
        4 => any::<bool>().prop_map(Ruling::Ack),
        3 => passing().prop_map(Ruling::Retry),
        2 => reason().prop_map(Ruling::Bury),
        2 => (option::of(passing()), cause()).prop_map(|(at, cause)| Ruling::Release(at, cause)),
    ];
    (recent(), any::<bool>(), ruling).prop_map(|(lease, started, ruling)| Ending {
        lease,
        started,
        ruling,
    })
}

fn replay() -> impl Strategy<Value = Alteration> {
    let replay = (
        option::of(0..QUEUES),
        any::<bool>(),
        any::<bool>(),
        option::of(passing()),
    );
    replay.prop_map(|(to_queue, reset, edit, delay)| Alteration::Replay {
        to_queue,
        reset,
        edit,
        delay,
    })
}

fn alteration() -> impl Strategy<Value = Alteration> {
    prop_oneof![
        2 => Just(Alteration::Cancel),
        1 => Just(Alteration::Delete),
        1 => Just(Alteration::Purge),
        2 => Just(Alteration::RunNow),
        2 => passing().prop_map(Alteration::Reschedule),
        1 => Just(Alteration::Bury),
        2 => (passing(), reason(), 0..3_u8)
            .prop_map(|(ago, reason, failures)| Alteration::Rebury(ago, reason, failures)),
        3 => replay(),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    let states = subsequence(State::ALL.to_vec(), 0..=3);
    let names = (
        option::weighted(0.3, 0..QUEUES),
        option::weighted(0.2, 0..2_u8),
        option::weighted(0.2, 0..KEYS),
        option::weighted(0.2, 0..SCHEDULES),
    );
    let times = (option::weighted(0.2, long()), option::weighted(0.2, long()));
    let ends = (
        proptest::bool::weighted(0.1),
        option::weighted(0.1, reason()),
    );
    (states, names, times, ends).prop_map(
        |(states, (queue, kind, key, schedule), (since, until), (error, reason))| Filter {
            states,
            queue,
            kind,
            key,
            schedule,
            since,
            until,
            error,
            reason,
        },
    )
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    vec(rule(), 0..=2)
}

fn rule() -> impl Strategy<Value = Rule> {
    let overlap = select(vec![
        Overlap::Allow,
        Overlap::Skip,
        Overlap::QueueOne,
        Overlap::CancelPrevious,
    ]);
    let misfire = select(vec![Misfire::Skip, Misfire::FireOnce, Misfire::FireAll]);
    (
        0..SCHEDULES,
        overlap,
        misfire,
        0..QUEUES,
        retention(),
        0..3_u8,
    )
        .prop_map(
            |(schedule, overlap, misfire, queue, retention, version)| Rule {
                schedule,
                overlap,
                misfire,
                queue,
                retention,
                version,
            },
        )
}

fn instant() -> impl Strategy<Value = Instant> {
    let plan = prop_oneof![
        8 => Just(Planned::Task),
        1 => (1..50_u64).prop_map(Planned::Missed),
        1 => Just(Planned::Skipped),
    ];
    let odd = || proptest::bool::weighted(0.08);
    (often(0, SCHEDULES - 1), -2..8_i8, odd(), odd(), plan).prop_map(
        |(schedule, offset, manual, outdated, plan)| Instant {
            schedule,
            offset,
            manual,
            outdated,
            plan,
        },
    )
}
