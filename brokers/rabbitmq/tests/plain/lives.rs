//! Random sequences of calls on tasks that travel through RabbitMQ, against a model of their lives.
//!
//! The model test of the suite compares whole stores, and its tasks have ids of the suite's own: those are the
//! ledger's. Here the library makes the ids, so that each task begins in RabbitMQ and goes to the ledger when its run
//! does not simply end well. Which of two ready tasks comes first is left out: the ledger's go before RabbitMQ's.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tidemill_shared::{
    BuryReason, FailureRecord, Lease, ReleaseCause, Renewal, Settled, State, TaskId, Timestamp,
    Verdict,
};

use crate::plain_scene::{Scene, TTL};

/// How many sequences there are, and how many calls each has.
const SEQUENCES: u64 = 16;
const CALLS: usize = 60;

/// How many crashes make a dead letter.
const CRASH_LIMIT: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Now {
    Ready,
    Waiting(Timestamp),
    Leased { until: Timestamp },
    Dead,
    Completed,
}

#[derive(Clone, Debug)]
struct Life {
    now: Now,
    failures: u32,
    crashes: u32,
}

struct Model {
    scene: Scene,
    dice: StdRng,
    tasks: BTreeMap<TaskId, Life>,
    /// Leases that were handed out, the latest last, those that have ended among them.
    leases: Vec<Lease>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_calls_are_answered_as_the_lives_of_tasks_demand() {
    let first: u64 = rand::rng().random_range(0..1_000_000);
    for seed in first..first + SEQUENCES {
        println!("seed {seed}");
        let mut model = Model {
            scene: Scene::new().await,
            dice: StdRng::seed_from_u64(seed),
            tasks: BTreeMap::new(),
            leases: Vec::new(),
        };
        for _ in 0..CALLS {
            model.step().await;
        }
        model.count().await;
        model.end().await;
    }
}

impl Model {
    async fn step(&mut self) {
        match self.dice.random_range(0..20) {
            0..5 => self.enqueue().await,
            5..9 => {
                let most = self.dice.random_range(1..=5);
                self.lease(most).await;
            }
            9..15 => self.settle().await,
            15 => self.renew().await,
            16..18 => {
                let seconds = self.dice.random_range(1..8);
                self.scene.advance(Duration::from_secs(seconds));
            }
            18 => self.sweep().await,
            _ => self.count().await,
        }
    }

    async fn enqueue(&mut self) {
        for _ in 0..self.dice.random_range(1..=3) {
            let enqueued = self
                .scene
                .enqueue(|task| task.retry.crash_limit = CRASH_LIMIT);
            let life = Life {
                now: Now::Ready,
                failures: 0,
                crashes: 0,
            };
            self.tasks.insert(enqueued.await, life);
        }
    }

    fn ready(&self) -> usize {
        let now = self.scene.now();
        let is_ready = |life: &&Life| match life.now {
            Now::Ready => true,
            Now::Waiting(at) => at <= now,
            Now::Leased { .. } | Now::Dead | Now::Completed => false,
        };
        self.tasks.values().filter(is_ready).count()
    }

    async fn lease(&mut self, most: usize) {
        let (ready, now) = (self.ready(), self.scene.now());
        let leases = self.scene.lease(most).await;
        assert_eq!(leases.len(), most.min(ready), "{:?}", self.tasks);
        for lease in leases {
            let life = self.tasks.get_mut(&lease.token.task).unwrap();
            let is_ready = match life.now {
                Now::Ready => true,
                Now::Waiting(at) => at <= now,
                Now::Leased { .. } | Now::Dead | Now::Completed => false,
            };
            assert!(is_ready, "{lease:?} of {life:?}");
            let found = (lease.attempt, lease.failures, lease.crashes);
            let attempt = 1 + life.failures + life.crashes;
            assert_eq!(found, (attempt, life.failures, life.crashes), "{life:?}");
            life.now = Now::Leased { until: now + TTL };
            self.leases.push(lease);
        }
    }

    /// One of the latest leases, and whether it is the one that its task has now.
    fn recent(&mut self) -> Option<(Lease, bool)> {
        let back = self.dice.random_range(0..4);
        let lease = self.leases.iter().rev().nth(back)?.clone();
        let mut latest = self.leases.iter().rev();
        let latest = latest.find(|one| one.token.task == lease.token.task)?;
        let is_leased = matches!(self.tasks[&lease.token.task].now, Now::Leased { .. });
        let is_latest = latest.token == lease.token;
        Some((lease, is_leased && is_latest))
    }

    async fn settle(&mut self) {
        let Some((lease, is_held)) = self.recent() else {
            return;
        };
        let later = self.scene.now() + Duration::from_secs(self.dice.random_range(0..20));
        let failure = FailureRecord::new("error", "boom");
        let cause = ReleaseCause::Shutdown;
        let dice = self.dice.random_range(0..8);
        let (verdict, now, state) = match dice {
            0..3 => (
                Verdict::Ack { result: None },
                Now::Completed,
                State::Completed,
            ),
            3..5 => (
                Verdict::Retry { at: later, failure },
                Now::Waiting(later),
                State::Retry,
            ),
            5 => (
                Verdict::Bury {
                    reason: BuryReason::Rejected,
                    failure,
                },
                Now::Dead,
                State::Dead,
            ),
            _ => (
                Verdict::Release { at: None, cause },
                Now::Ready,
                State::Pending,
            ),
        };
        let settled = self.scene.settle(&lease, verdict).await;
        if !is_held {
            assert_eq!(settled, Settled::Stale, "{lease:?}");
            return;
        }
        // A retry that is due already may be told as ready.
        let is_due =
            now == Now::Waiting(self.scene.now()) && settled == Settled::Done(State::Pending);
        assert!(
            settled == Settled::Done(state) || is_due,
            "{settled:?} of {lease:?}"
        );
        let life = self.tasks.get_mut(&lease.token.task).unwrap();
        life.now = now;
        life.failures += u32::from((3..5).contains(&dice));
    }

    async fn renew(&mut self) {
        let Some((lease, is_held)) = self.recent() else {
            return;
        };
        let renewed = self.scene.renew(&lease).await;
        if is_held {
            let until = self.scene.now() + TTL;
            assert_eq!(renewed, Renewal::Held(until));
            let life = self.tasks.get_mut(&lease.token.task).unwrap();
            life.now = Now::Leased { until };
        } else {
            assert_eq!(renewed, Renewal::Lost, "{lease:?}");
        }
    }

    async fn sweep(&mut self) {
        let now = self.scene.now();
        let swept = self.scene.sweep().await;
        let reclaimed = swept.reclaimed.into_iter().map(|one| one.task);
        let reclaimed: BTreeSet<_> = reclaimed.collect();
        let mut lapsed = BTreeSet::new();
        for (id, life) in &mut self.tasks {
            if matches!(life.now, Now::Leased { until } if until <= now) {
                lapsed.insert(id.clone());
                life.crashes += 1;
                life.now = if life.crashes < CRASH_LIMIT {
                    Now::Ready
                } else {
                    Now::Dead
                };
            }
        }
        assert_eq!(reclaimed, lapsed);
    }

    /// What can be counted.
    async fn count(&self) {
        let found = self.scene.stats().await;
        let is = |wanted: &dyn Fn(Now) -> bool| {
            let all = self.tasks.values().filter(|life| wanted(life.now));
            u64::try_from(all.count()).unwrap()
        };
        let waiting = is(&|now| matches!(now, Now::Ready | Now::Waiting(_)));
        let active = is(&|now| matches!(now, Now::Leased { .. }));
        assert_eq!(found.pending + found.scheduled + found.retry, waiting);
        assert_eq!(
            (found.active, found.dead),
            (active, is(&|now| now == Now::Dead))
        );
    }

    /// Lets all that waits run to its end.
    async fn end(&mut self) {
        self.scene.advance(TTL * 10);
        self.sweep().await;
        while self.ready() > 0 {
            let begun = self.leases.len();
            self.lease(5).await;
            for lease in self.leases.split_off(begun) {
                let ack = Verdict::Ack { result: None };
                let settled = self.scene.settle(&lease, ack).await;
                assert_eq!(settled, Settled::Done(State::Completed));
                self.tasks.get_mut(&lease.token.task).unwrap().now = Now::Completed;
            }
        }
        self.count().await;
        assert_eq!(self.scene.pending().await, 0);
        for (id, life) in &self.tasks {
            assert!(
                matches!(life.now, Now::Dead | Now::Completed),
                "{id}: {life:?}"
            );
        }
    }
}
