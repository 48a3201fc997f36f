//! Whatever happens, the indices say what the tasks say.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tidemill_shared::ledger::{Schedules, Steps};
use tidemill_shared::schedule::{Misfire, Overlap};
use tidemill_shared::{
    Broker, BuryReason, Change, Inspect, Lease, Priority, ReleaseCause, Replay, Settlement,
    State as TaskState, TaskFilter, Verdict,
};

use super::scene::{LEASE, Scene, demand, failure, queue, seconds, tick};
use crate::row::{Passage, TaskRow};
use crate::state::State;

#[track_caller]
fn check(state: &State) {
    let rows = || state.tasks.iter().map(|(seq, row)| (*seq, row));
    let in_state = |wanted: TaskState| rows().filter(move |(_, row)| row.state() == wanted);
    let due: BTreeSet<_> = rows()
        .filter(|(_, row)| matches!(row.state(), TaskState::Scheduled | TaskState::Retry))
        .filter(|(_, row)| row.passage != Passage::Held)
        .map(|(seq, row)| (row.record.due_at, seq))
        .collect();
    assert_eq!(state.due, due, "due");
    let leases: BTreeSet<_> = in_state(TaskState::Active)
        .map(|(seq, row)| (row.lease_expires_at, seq))
        .collect();
    assert_eq!(state.leases, leases, "leases");
    let expiring: BTreeSet<_> = rows()
        .filter_map(|(seq, row)| Some((row.record.expires_at()?, seq)))
        .collect();
    assert_eq!(state.expiring, expiring, "expiring");
    assert_eq!(state.ids.len(), state.tasks.len(), "ids");
    for (name, queue) in &state.queues {
        let own = |(_, row): &(u64, &TaskRow)| row.envelope().queue == *name;
        let tasks: BTreeSet<_> = rows().filter(own).map(|(seq, _)| seq).collect();
        assert_eq!(queue.tasks, tasks, "tasks of {name}");
        let ready: BTreeSet<_> = in_state(TaskState::Pending)
            .filter(own)
            .map(|(seq, row)| row.rank(seq))
            .collect();
        assert_eq!(queue.ready, ready, "line of {name}");
        let stats = queue.stats(name.clone());
        let counts = [
            stats.scheduled,
            stats.pending,
            stats.active,
            stats.retry,
            stats.completed,
            stats.dead,
            stats.cancelled,
        ];
        let recount = TaskState::ALL.map(|s| in_state(s).filter(own).count() as u64);
        assert_eq!(counts, recount, "counts of {name}");
        let oldest = in_state(TaskState::Pending).filter(own);
        let oldest = oldest.map(|(_, row)| row.ready_at).min();
        assert_eq!(stats.oldest_pending_at, oldest, "oldest of {name}");
        for hold in queue.keys.values() {
            let is_kept = state.kept_keys.iter().any(|kept| kept.0 == hold.expires_at);
            assert!(
                state.tasks.contains_key(&hold.seq) || is_kept,
                "a leaked key"
            );
        }
    }
    let running = rows().filter(|(_, row)| row.origin().is_some() && row.is_running());
    let indexed = state.siblings.values().map(|s| s.running().count());
    assert_eq!(indexed.sum::<usize>(), running.count(), "siblings");
    // What is held waits for somebody.
    for (_, row) in rows().filter(|(_, row)| row.passage == Passage::Held) {
        let schedule = &row.origin().unwrap().schedule;
        assert!(state.siblings[schedule].is_running(), "held for ever");
    }
}

fn verdict(scene: &Scene, rng: &mut StdRng) -> Verdict {
    let at = scene.now() + seconds(rng.random_range(0..20));
    match rng.random_range(0..6) {
        0 => Verdict::Ack { result: None },
        1 => Verdict::Retry {
            at,
            failure: failure(),
        },
        2 => Verdict::Bury {
            reason: BuryReason::Rejected,
            failure: failure(),
        },
        3 => Verdict::Release {
            at: Some(at),
            cause: ReleaseCause::Snooze,
        },
        4 => Verdict::Release {
            at: None,
            cause: ReleaseCause::UnknownKind,
        },
        _ => Verdict::Ack { result: None },
    }
}

fn change(scene: &Scene, rng: &mut StdRng) -> Change {
    let at = scene.now() + seconds(rng.random_range(0..20));
    match rng.random_range(0..6) {
        0 => Change::Cancel,
        1 => Change::Delete,
        2 => Change::RunNow,
        3 => Change::Reschedule(at),
        4 => Change::Bury,
        _ => Change::Replay(Replay {
            to_queue: rng.random_bool(0.5).then(|| queue("b")),
            reset_attempts: rng.random_bool(0.5),
            edit: None,
            at: rng.random_bool(0.5).then_some(at),
        }),
    }
}

async fn act(scene: &Scene, rng: &mut StdRng, leases: &mut Vec<Lease>) {
    let id = format!("t{}", rng.random_range(0..40));
    match rng.random_range(0..12) {
        0..3 => {
            let key = format!("k{}", rng.random_range(0..6));
            let mut envelope = if rng.random_bool(0.5) {
                scene.keyed(&id, &key, seconds(rng.random_range(1..60)))
            } else {
                scene.envelope(&id)
            };
            envelope.queue = queue(["a", "b"][rng.random_range(0..2)]);
            envelope.priority = Priority::new(rng.random_range(0..10)).unwrap();
            envelope.due_at = scene.now() + seconds(rng.random_range(0..10));
            envelope.retention = seconds(rng.random_range(0..30));
            drop(scene.enqueue(envelope).await);
        }
        3 => drop(scene.plan(seconds(rng.random_range(0..10))).await),
        4..6 => {
            let wanted = demand(&["b", "default", "a"], 4, Duration::ZERO);
            leases.extend(scene.store.lease(&wanted).await.unwrap());
        }
        6..8 if !leases.is_empty() => {
            let lease = leases.swap_remove(rng.random_range(0..leases.len()));
            scene.store.claim_step(&lease.token, "step").await.unwrap();
            let settlement = Settlement {
                token: lease.token,
                started_at: rng.random_bool(0.8).then(|| scene.now()),
                verdict: verdict(scene, rng),
            };
            scene.store.settle(vec![settlement]).await.unwrap();
        }
        8 => {
            let change = change(scene, rng);
            scene.change(&id, change).await;
        }
        9 => {
            let filter = TaskFilter {
                schedule: rng.random_bool(0.3).then(tick),
                ..TaskFilter::default()
            };
            let change = change(scene, rng);
            let bulk = scene.store.change_many(&filter, &change, None, 3).await;
            assert!(bulk.unwrap().changed <= 3);
        }
        10 => {
            let overlaps = [Overlap::Skip, Overlap::QueueOne, Overlap::CancelPrevious];
            let schedule = scene.schedule(overlaps[rng.random_range(0..3)], Misfire::FireAll);
            scene.store.put_schedule("test", schedule).await.unwrap();
        }
        _ => {
            scene.clock.advance(seconds(rng.random_range(0..8)));
            let swept = scene.store.sweep(rng.random_range(0..8)).await.unwrap();
            assert!(swept.promoted <= 8 && swept.reclaimed.len() <= 8 && swept.pruned <= 8);
        }
    }
}

#[tokio::test]
async fn the_indices_agree_with_the_tasks_after_any_row_of_steps() {
    for seed in 0..60_u64 {
        let mut rng = StdRng::seed_from_u64(seed);
        println!("seed {seed}");
        let scene = Scene::new();
        let schedule = scene.schedule(Overlap::QueueOne, Misfire::FireAll);
        scene.store.put_schedule("test", schedule).await.unwrap();
        let mut leases = Vec::new();
        for _ in 0..400 {
            act(&scene, &mut rng, &mut leases).await;
            check(&scene.store.space().lock());
        }
        // Nothing is stuck: with time and sweeps, all that is active comes back and what is due runs.
        scene.clock.advance(seconds(1_000) + LEASE);
        while scene.store.sweep(100).await.unwrap().more {}
        let state = scene.store.space().lock();
        check(&state);
        assert!(state.leases.is_empty() && state.due.is_empty());
    }
}
