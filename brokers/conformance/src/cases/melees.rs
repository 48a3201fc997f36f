//! Everything at once: workers that succeed, fail, give back, die and come too late, while others
//! sweep and time passes.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidemill_shared::{
    Broker, Clock, Lease, ManualClock, ReleaseCause, Settled, Settlement, State, TaskFilter,
};
use tokio::task::JoinSet;

use crate::scene::{PATIENCE, QUEUE, Scene, TTL, demand, millis, queue, seconds, worker};
use crate::verdicts::{ack, release, retry, snooze};

/// How many tasks have to get through.
const TASKS: usize = 150;

/// Small pseudo-random numbers that are the same in every run (the generator of Numerical Recipes).
struct Dice(u32);

impl Dice {
    fn throw(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 16) % sides
    }
}

/// Clause 3. Clause 4. Behaviour 49.
pub(crate) async fn nothing_is_lost_or_done_twice_in_a_melee(scene: &Scene) {
    melee(scene, vec![Arc::clone(&scene.broker); 4]).await;
}

/// Clause 3. Clause 4. Behaviour 49.
pub(crate) async fn nothing_is_lost_or_done_twice_between_two_processes(scene: &Scene) {
    let other = scene.another_process().await.broker;
    let own = Arc::clone(&scene.broker);
    melee(
        scene,
        vec![Arc::clone(&own), Arc::clone(&other), own, other],
    )
    .await;
}

async fn melee(scene: &Scene, brokers: Vec<Arc<dyn Broker>>) {
    let batch = (0..TASKS).map(|n| {
        let mut task = scene.kept(&format!("t{n}"));
        task.retry.crash_limit = u32::MAX;
        task
    });
    scene.enqueue(batch.collect()).await;
    let mut workers = JoinSet::new();
    for (seed, broker) in (1..).zip(brokers) {
        workers.spawn(work(broker, Arc::clone(&scene.clock), seed));
    }
    let succeeded = tokio::time::timeout(PATIENCE * 2, workers.join_all()).await;
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    for task in succeeded
        .expect("the tasks get through")
        .into_iter()
        .flatten()
    {
        *times.entry(task).or_default() += 1;
    }
    assert_eq!(times.len(), TASKS, "none is lost");
    assert!(
        times.values().all(|n| *n == 1),
        "none succeeds twice: {times:?}"
    );
    let stats = scene.stats(QUEUE).await;
    let done = u64::try_from(TASKS).unwrap_or(u64::MAX);
    assert_eq!((stats.completed, stats.succeeded_total), (done, done));
    let left = [
        stats.scheduled,
        stats.pending,
        stats.active,
        stats.retry,
        stats.dead,
    ];
    assert_eq!(left, [0; 5]);
    let open = TaskFilter {
        states: vec![
            State::Scheduled,
            State::Pending,
            State::Active,
            State::Retry,
        ],
        ..TaskFilter::default()
    };
    assert_eq!(scene.listed(&open).await, [""; 0]);
}

/// Works until everything has ended; answers which tasks it was told to have completed.
async fn work(broker: Arc<dyn Broker>, clock: Arc<ManualClock>, seed: u32) -> Vec<String> {
    let mut dice = Dice(seed);
    let mut demand = demand(&[(QUEUE, 8)], 8);
    demand.worker = worker(&format!("worker-{seed}"));
    let mut succeeded = Vec::new();
    let mut late = Vec::new();
    loop {
        let leases = broker.lease(&demand).await.expect("lease answers");
        let mut ready = Vec::new();
        for lease in leases {
            // Some are forgotten, as by a worker that dies; some come back too late.
            match dice.throw(8) {
                0 => {}
                1 => late.push(lease),
                _ => ready.push(lease),
            }
        }
        if dice.throw(4) == 0 {
            ready.append(&mut late);
        }
        let batch: Vec<_> = ready
            .iter()
            .map(|lease| settlement(lease, &clock, &mut dice))
            .collect();
        let acks: Vec<_> = batch.iter().map(|s| s.verdict == ack()).collect();
        let answers = broker.settle(batch).await.expect("settle answers");
        for ((lease, is_ack), answer) in ready.iter().zip(acks).zip(answers) {
            if is_ack && answer == Settled::Done(State::Completed) {
                succeeded.push(lease.token.task.to_string());
            }
        }
        if dice.throw(3) == 0 {
            clock.advance(TTL / 4);
            broker.sweep(20).await.expect("sweep answers");
        }
        let stats = broker.stats(&[queue(QUEUE)]).await;
        let stats = stats.expect("stats answer").remove(0);
        if stats.scheduled + stats.pending + stats.active + stats.retry == 0 {
            return succeeded;
        }
        tokio::task::yield_now().await;
    }
}

fn settlement(lease: &Lease, clock: &ManualClock, dice: &mut Dice) -> Settlement {
    let now = clock.now();
    let verdict = match dice.throw(6) {
        0 => retry(now + millis(u64::from(dice.throw(5_000))), "boom"),
        1 => release(ReleaseCause::Shutdown),
        2 => snooze(now + seconds(1)),
        _ => ack(),
    };
    Settlement {
        token: lease.token.clone(),
        started_at: Some(now),
        verdict,
    }
}
