//! The broker: the seven methods of the contract.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tidemill_shared::{
    Admission, Broker, Capabilities, Demand, Envelope, Inspect, Lease, LeaseToken, QueueName,
    QueueStats, Renewal, Result, Settled, Settlement, Swept, Vitals,
};
use tokio::sync::Notify;

use crate::enqueue::MAX_PAYLOAD;
use crate::store::{MemoryStore, Space};

#[async_trait]
impl Broker for MemoryStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            system: "tidemill.memory",
            keys: true,
            priorities: true,
            renew: true,
            inspect: true,
            exact_delay: true,
            multi_process: false,
            exact_settle: true,
            persistent: false,
            max_payload: MAX_PAYLOAD,
            max_batch: 1_000,
            max_calls: 2,
        }
    }

    async fn enqueue(&self, batch: Vec<Envelope>) -> Result<Vec<Admission>> {
        self.step(|state, now| state.enqueue(batch, now))
    }

    async fn lease(&self, demand: &Demand) -> Result<Vec<Lease>> {
        let deadline = self.clock().now() + demand.wait;
        let mut place: Option<Place> = None;
        loop {
            let look_again_at = {
                let mut state = self.space().lock();
                let now = self.clock().now();
                let leases = state.lease(demand, now);
                if !leases.is_empty() || demand.max == 0 {
                    return Ok(leases);
                }
                if state.is_something_due(now) {
                    // One look promotes a bounded number. What is asked for may be among the rest.
                    None
                } else if now >= deadline {
                    return Ok(leases);
                } else {
                    match &place {
                        Some(place) => state.waiters.rest(place.ticket),
                        None => place = Some(Place::take(self.space(), &mut state, demand)),
                    }
                    Some(state.next_due().map_or(deadline, |due| due.min(deadline)))
                }
            };
            match (&place, look_again_at) {
                (Some(place), Some(at)) => {
                    tokio::select! {
                        () = place.notify.notified() => {}
                        () = self.clock().sleep_until(at) => {}
                    }
                }
                _ => tokio::task::yield_now().await,
            }
        }
    }

    async fn renew(&self, tokens: &[LeaseToken], ttl: Duration) -> Result<Vec<Renewal>> {
        let renewed = self.step(|state, now| {
            let tokens = tokens.iter();
            tokens.map(|token| state.renew(token, ttl, now)).collect()
        });
        Ok(renewed)
    }

    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>> {
        let settled = self.step(|state, now| {
            let batch = batch.into_iter();
            batch.map(|one| state.settle(one, now)).collect()
        });
        Ok(settled)
    }

    async fn sweep(&self, budget: usize) -> Result<Swept> {
        Ok(self.step(|state, now| state.sweep(now, budget)))
    }

    async fn stats(&self, queues: &[QueueName]) -> Result<Vec<QueueStats>> {
        Ok(self.step(|state, _| state.stats(queues)))
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        Some(self)
    }

    fn vitals(&self) -> Vitals {
        let mut vitals = Vitals::default();
        vitals.missed_fires = self.space().lock().missed;
        vitals
    }
}

/// A place among the waiting calls of `lease`. Whoever leaves, also by being dropped, wakes the next
/// for what is left.
struct Place {
    space: Arc<Space>,
    ticket: u64,
    notify: Arc<Notify>,
}

impl Place {
    fn take(space: &Arc<Space>, state: &mut crate::state::State, demand: &Demand) -> Self {
        let wanted = demand.queues.iter().filter(|wanted| wanted.max > 0);
        let queues = wanted.map(|wanted| wanted.queue.clone()).collect();
        let (ticket, notify) = state.waiters.enter(queues);
        Self {
            space: Arc::clone(space),
            ticket,
            notify,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.space.lock();
        for queue in state.waiters.leave(self.ticket) {
            if state.queues.get(&queue).is_some_and(|queue| queue.yields()) {
                state.waiters.wake_one(&queue);
            }
        }
    }
}
