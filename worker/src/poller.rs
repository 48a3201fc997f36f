//! Asks the broker for as many tasks as there are free slots, and starts them.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tidemill_shared::{Demand, Error, ErrorKind, Lease, QueueDemand, Result};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::RunContext;
use crate::backoff::Backoff;
use crate::engine::Engine;
use crate::quota::{Plan, Quotas};
use crate::runner;

/// How long a call waits at the broker for the first task.
const WAIT: Duration = Duration::from_secs(5);

/// How much longer than it asked to wait a call may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a call that is under way at the end may take to bring what it has leased. One that only
/// waits brings nothing.
const LINGER: Duration = Duration::from_millis(500);

/// The most calls at once for the same queues. They take turns only while there is a backlog.
const TURNS: usize = 4;

/// The most that a turn asks for: beyond that, a larger batch saves nothing.
const TURN: usize = 256;

/// The fewest slots that are worth two turns.
const WORTH_TWO: usize = 32;

/// The fewest that a turn asks a queue for, if there are many queues with a backlog.
const SHARE: usize = 32;

/// How often [`Poller::drain`] puts up with an error.
const DRAIN_TRIES: usize = 8;

/// The agent that leases. Slots are reserved for a call while it is under way, so that never more
/// comes than can start. One call asks for every queue that has room; a queue that was full then and
/// has room now gets a call of its own, with the slots that its own runs have freed.
///
/// While there is a backlog, calls for a part of the slots each take turns: what one has brought is
/// run while the broker answers another.
pub(crate) struct Poller {
    engine: Arc<Engine>,
    quotas: Quotas,
    calls: FuturesUnordered<BoxFuture<'static, Answer>>,
    reserved: usize,
    /// By queue: what is asked for it in calls under way.
    asked: Vec<usize>,
    backoff: Backoff,
    /// After an error: when the next call may start.
    not_before: Option<Instant>,
}

struct Answer {
    plan: Plan,
    /// When the call was sent. What it brings may lie here for a while before anybody looks.
    sent: Instant,
    leases: Result<Vec<Lease>>,
}

impl Poller {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        let setup = engine.setup();
        let weights: Vec<_> = setup.queues.iter().map(|queue| queue.weight).collect();
        Self {
            quotas: Quotas::new(setup.order, &weights),
            calls: FuturesUnordered::new(),
            reserved: 0,
            asked: vec![0; weights.len()],
            backoff: Backoff::new(engine.draw()),
            not_before: None,
            engine,
        }
    }

    /// Leases and starts tasks until the worker drains.
    pub(crate) async fn serve(mut self) {
        let engine = Arc::clone(&self.engine);
        loop {
            self.ask(WAIT);
            let not_before = self.not_before;
            let uncovered =
                not_before.is_none() && (self.calls.is_empty() || self.asked.contains(&0));
            tokio::select! {
                biased;
                () = engine.draining().cancelled() => break,
                Some(answer) = self.calls.next(), if !self.calls.is_empty() => {
                    match self.receive(answer) {
                        Ok((count, max)) if count == max => settle_down(&engine).await,
                        Ok(_) => {}
                        Err(error) => self.hold_back(&error),
                    }
                }
                () = wait_until(not_before) => self.not_before = None,
                () = engine.slots().freed(), if uncovered => {}
            }
        }
        // What is leased now goes back at once, as the worker drains.
        let last = async {
            while let Some(answer) = self.calls.next().await {
                if let Err(error) = self.receive(answer) {
                    tracing::debug!(%error, "a last call to lease failed");
                }
            }
        };
        // A call that is still waiting has leased nothing.
        drop(timeout(LINGER, last).await);
    }

    /// Runs all that is due, until nothing is left and everything is settled.
    pub(crate) async fn drain(mut self) -> Result<usize> {
        let engine = Arc::clone(&self.engine);
        let mut runs = 0;
        let mut tries = 0;
        // A round is what is asked between two moments without a call. Nothing is left when nothing ran
        // as a round began, and it asked for every queue, and nothing came. So once a call brings
        // nothing, the others are heard before anything else is asked: or else one would always be
        // under way.
        let (mut quiet, mut dry) = (false, false);
        loop {
            let begins = self.calls.is_empty();
            if begins {
                if self.not_before.is_some() {
                    wait_until(self.not_before.take()).await;
                }
                (quiet, dry) = (engine.holdings().is_empty(), false);
            }
            if !dry {
                self.ask(Duration::ZERO);
            }
            if begins {
                // A run that has been settled may have its slot still, so that its queue has no room.
                quiet &= !self.asked.contains(&0);
            }
            let Some(answer) = self.calls.next().await else {
                engine.slots().freed().await;
                continue;
            };
            match self.receive(answer) {
                Ok((0, _)) => {
                    dry = true;
                    if !self.calls.is_empty() {
                        continue;
                    }
                    if quiet {
                        return Ok(runs);
                    }
                    let held = !engine.holdings().is_empty();
                    tokio::select! {
                        () = engine.slots().freed() => {}
                        () = engine.holdings().empty(), if held => {}
                        // A run may wait for a task that it has enqueued itself.
                        () = sleep(Duration::from_millis(10)) => {}
                    }
                }
                Ok((count, max)) => {
                    runs += count;
                    tries = 0;
                    (quiet, dry) = (false, false);
                    if count == max {
                        settle_down(&engine).await;
                    }
                }
                Err(error) => {
                    quiet = false;
                    tries += 1;
                    if tries == DRAIN_TRIES {
                        return Err(error);
                    }
                    self.hold_back(&error);
                }
            }
        }
    }

    /// Starts no call for a while. Those under way are received all the same.
    fn hold_back(&mut self, error: &Error) {
        let delay = self.backoff.next_delay();
        self.engine.trouble("poller", error, delay);
        self.not_before = Some(Instant::now() + delay);
    }

    /// Starts calls for what is free, if anything is.
    fn ask(&mut self, wait: Duration) {
        while let Some(plan) = self.plan() {
            self.reserved += plan.max;
            for (queue, most) in &plan.entries {
                if let Some(asked) = self.asked.get_mut(*queue) {
                    *asked += most;
                }
            }
            self.calls.push(call(Arc::clone(&self.engine), plan, wait));
        }
    }

    /// What the next call asks for, if there is to be one.
    fn plan(&self) -> Option<Plan> {
        let slots = self.engine.slots();
        let free = slots.total().saturating_sub(slots.busy() + self.reserved);
        if free == 0 || self.not_before.is_some() {
            return None;
        }
        let takes_turns = self.engine.has_backlog() && slots.total() >= WORTH_TWO;
        let turn = TURN.min(slots.total() / 2);
        // A further call is worth its cost only if it asks for a good part of a turn.
        let under_way = self.calls.len();
        let is_further = takes_turns && (1..TURNS).contains(&under_way) && free >= turn / 2;
        let rooms: Vec<_> = self
            .asked
            .iter()
            .enumerate()
            .map(|(queue, asked)| match asked {
                0 => slots.room(queue),
                _ if is_further => slots.room(queue).saturating_sub(*asked),
                _ => 0,
            })
            .collect();
        let most = self.engine.broker().capabilities().max_batch.max(1);
        let most = if takes_turns { most.min(turn) } else { most };
        let plan = self
            .quotas
            .plan(free.min(most), &rooms, takes_turns.then_some(SHARE));
        (plan.max > 0).then_some(plan)
    }

    /// Starts what a call has brought. Answers how many of how many that was.
    fn receive(&mut self, answer: Answer) -> Result<(usize, usize)> {
        let Answer { plan, sent, leases } = answer;
        self.reserved -= plan.max;
        for (queue, most) in &plan.entries {
            if let Some(asked) = self.asked.get_mut(*queue) {
                *asked -= most;
            }
        }
        let leases = leases?;
        self.backoff.reset();
        let count = leases.len();
        self.engine.set_backlog(count == plan.max);
        let received = self.dispatch(leases, sent);
        self.quotas.charge(&plan, &received);
        Ok((count, plan.max))
    }

    /// Starts runs. Answers how many came from each queue.
    ///
    /// The answer may have waited for this process to be woken: a lease that is over by now is put
    /// back, and one that is not counts from when it was asked for, so that it is renewed in time.
    fn dispatch(&self, leases: Vec<Lease>, sent: Instant) -> Vec<usize> {
        let engine = &self.engine;
        let mut received = vec![0; engine.slots().queues()];
        if leases.is_empty() {
            return received;
        }
        let now = engine.clock().now();
        let mut runs = Vec::with_capacity(leases.len());
        let mut slots = Vec::with_capacity(leases.len());
        let mut late = Vec::with_capacity(leases.len());
        for lease in leases {
            let slot = engine.slots().take(&lease.token.queue);
            if let Some(received) = slot.line().and_then(|line| received.get_mut(line)) {
                *received += 1;
            }
            slots.push(slot);
            let registration = engine.setup().registry.get(&lease.envelope.kind).cloned();
            late.push(lease.expires_at <= now);
            let hold = engine.next_hold();
            runs.push(RunContext::new(
                Arc::clone(engine),
                hold,
                lease,
                registration,
                sent,
            ));
        }
        engine.holdings().add(&runs);
        for ((run, slot), late) in runs.into_iter().zip(slots).zip(late) {
            if late {
                engine.runs().spawn(runner::put_back(run, slot));
            } else {
                engine.runs().spawn(runner::execute(run, slot));
            }
        }
        received
    }
}

/// Lets go of the thread as long as that makes slots free. There is a backlog: quick tasks then end
/// before the next call, which can ask for more at once.
async fn settle_down(engine: &Engine) {
    let mut busy = engine.slots().busy();
    while busy > 0 {
        yield_now().await;
        let now = engine.slots().busy();
        if now >= busy {
            return;
        }
        busy = now;
    }
}

/// Waits until then, or without end.
async fn wait_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// One call to the broker.
fn call(engine: Arc<Engine>, plan: Plan, wait: Duration) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        // Of those that have a backlog, a few are enough; others may have more while these are waited for.
        let (asked, wait) = match plan.enough {
            Some(enough) => (enough, Duration::ZERO),
            None => (plan.entries.len(), wait),
        };
        let queues = plan.entries.iter().take(asked).filter_map(|(queue, max)| {
            Some(QueueDemand {
                queue: engine.slots().queue(*queue)?.clone(),
                max: *max,
            })
        });
        let demand = Demand {
            worker: engine.worker().clone(),
            queues: queues.collect(),
            max: plan.max,
            ttl: engine.settings().lease,
            wait,
        };
        let sent = Instant::now();
        let leases = match timeout(wait + PATIENCE, engine.broker().lease(&demand)).await {
            Ok(leases) => leases,
            Err(_) => Err(Error::new(
                ErrorKind::Timeout,
                "lease",
                "the broker did not answer in time",
            )),
        };
        Answer { plan, sent, leases }
    })
}
