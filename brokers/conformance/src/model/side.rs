//! One of the two stores, and its answers as text.

mod planning;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use tidemill_shared::ledger::{Ledger, Term};
use tidemill_shared::{
    Broker, Change, Clock, Connection, Cursor, Demand, Inspect, Lease, ManualClock, Payload,
    QueueDemand, Result, Settlement, Swept, TaskFilter, TaskId, Timestamp, Verdict,
};

use super::operation::{Ending, Operation, Ruling, TASKS};
use super::universe::{bytes, change, envelope, holder, named, wanted};
use crate::scene::{id, queue};
use crate::{Fixture, verdicts};

/// Budgets that nothing here uses up.
const PLENTY: usize = 1_000;

/// One store, with what its workers and producers hold.
pub(super) struct Side {
    fixture: Box<dyn Fixture>,
    pub(super) broker: Arc<dyn Broker>,
    pub(super) ledger: Arc<dyn Ledger>,
    clock: Arc<ManualClock>,
    leases: Vec<Lease>,
    terms: Vec<Term>,
    /// The tasks of fires so far, in the order in which they were planned.
    fired: Vec<TaskId>,
}

impl Side {
    pub(super) fn new(fixture: Box<dyn Fixture>) -> Self {
        let Connection { broker, ledger, .. } = fixture.connection();
        Self {
            broker,
            ledger,
            clock: fixture.clock(),
            fixture,
            leases: Vec::new(),
            terms: Vec::new(),
            fired: Vec::new(),
        }
    }

    pub(super) fn inspect(&self) -> &dyn Inspect {
        self.broker.inspect().expect("the brokers can be inspected")
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Does one thing, and says in lines what came of it.
    pub(super) async fn answer(&mut self, operation: &Operation) -> Vec<String> {
        let now = self.now();
        let answer = match operation {
            Operation::Enqueue(items) => {
                let batch = items.iter().map(|item| envelope(item, now)).collect();
                text(self.broker.enqueue(batch).await)
            }
            Operation::Lease {
                worker,
                queues,
                max,
                ttl,
            } => {
                return self.lease(*worker, queues, *max, *ttl).await;
            }
            Operation::Renew { leases, ttl } => {
                let held = leases.iter().filter_map(|back| self.held(*back));
                let tokens: Vec<_> = held.map(|lease| lease.token.clone()).collect();
                text(self.broker.renew(&tokens, *ttl).await)
            }
            Operation::Settle(endings) => {
                let endings = endings.iter().filter_map(|ending| self.settlement(ending));
                text(self.broker.settle(endings.collect()).await)
            }
            Operation::Sweep => return vec![text(self.sweep().await)],
            Operation::Advance(by) => {
                self.clock.advance(*by);
                String::new()
            }
            Operation::Reopen => {
                if let Some(connection) = self.fixture.reopen().await {
                    self.broker = connection.broker;
                    self.ledger = connection.ledger;
                }
                String::new()
            }
            Operation::Change(task, alteration) => match self.named_task(*task) {
                Some(task) => {
                    let change = change(alteration, now);
                    text(self.inspect().change(&task, &change).await)
                }
                None => String::new(),
            },
            Operation::ChangeMany {
                filter,
                alteration,
                budget,
            } => {
                let change = change(alteration, now);
                self.change_many(&wanted(filter, now), &change, *budget)
                    .await
            }
            Operation::List { filter, page } => {
                return self.list(&wanted(filter, now), *page).await;
            }
            Operation::Report(back) => match self.held(*back) {
                Some(lease) => {
                    let progress = Payload::bytes(now.to_string().into_bytes());
                    text(self.inspect().report(&lease.token, &progress).await)
                }
                None => String::new(),
            },
            Operation::Pause(name, why) => {
                let why = why.map(|why| named('r', why));
                let name = queue(&named('q', *name));
                text(self.inspect().pause(&name, why.as_deref()).await)
            }
            Operation::Resume(name) => {
                text(self.inspect().resume(&queue(&named('q', *name))).await)
            }
            Operation::Limit(name, limit) => {
                let name = queue(&named('q', *name));
                text(self.inspect().set_limit(&name, *limit).await)
            }
            Operation::RemoveQueue { queue: name, force } => {
                let name = queue(&named('q', *name));
                text(self.inspect().remove_queue(&name, *force, PLENTY).await)
            }
            planning => self.plan(planning).await,
        };
        vec![answer]
    }

    async fn lease(
        &mut self,
        worker: u8,
        queues: &[(u8, usize)],
        max: usize,
        ttl: Duration,
    ) -> Vec<String> {
        let demand = Demand {
            worker: holder(worker),
            queues: queues
                .iter()
                .map(|(name, max)| QueueDemand {
                    queue: queue(&named('q', *name)),
                    max: *max,
                })
                .collect(),
            max,
            ttl,
            wait: Duration::ZERO,
        };
        let leases = match self.broker.lease(&demand).await {
            Ok(leases) => leases,
            Err(error) => return vec![text::<()>(Err(error))],
        };
        let lines = leases.iter().map(|lease| {
            let mut shown = lease.clone();
            shown.token.locator = 0;
            format!("{shown:?} {}", bytes(&shown.envelope.payload))
        });
        let lines = lines.collect();
        self.leases.extend(leases);
        lines
    }

    fn held(&self, back: u8) -> Option<&Lease> {
        self.leases.iter().rev().nth(usize::from(back))
    }

    /// A task by its number: one of the universe, or of the latest fires.
    fn named_task(&self, number: u8) -> Option<TaskId> {
        match number.checked_sub(TASKS) {
            None => Some(id(&named('t', number))),
            Some(back) => self.fired.iter().rev().nth(usize::from(back)).cloned(),
        }
    }

    fn settlement(&self, ending: &Ending) -> Option<Settlement> {
        let now = self.now();
        let token = self.held(ending.lease)?.token.clone();
        let verdict = match &ending.ruling {
            Ruling::Ack(false) => verdicts::ack(),
            Ruling::Ack(true) => verdicts::ack_with(token.task.as_str()),
            Ruling::Retry(after) => verdicts::retry(now + *after, "retried"),
            Ruling::Bury(reason) => verdicts::bury_for(*reason, "buried"),
            Ruling::Release(after, cause) => Verdict::Release {
                at: after.map(|after| now + after),
                cause: *cause,
            },
        };
        Some(Settlement {
            token,
            started_at: ending.started.then_some(now),
            verdict,
        })
    }

    async fn sweep(&self) -> Result<Swept> {
        let mut swept = self.broker.sweep(PLENTY).await?;
        // Leases that end at the same instant are taken back in any order.
        swept.reclaimed.sort_by(|a, b| a.task.cmp(&b.task));
        Ok(swept)
    }

    async fn change_many(&self, filter: &TaskFilter, change: &Change, budget: usize) -> String {
        let (mut changed, mut refused) = (0, 0);
        let mut cursor = None;
        loop {
            let bulk = self.inspect().change_many(filter, change, cursor, budget);
            match bulk.await {
                Ok(bulk) => {
                    changed += bulk.changed;
                    refused += bulk.refused;
                    cursor = bulk.next;
                }
                Err(error) => return text::<()>(Err(error)),
            }
            if cursor.is_none() {
                return format!("{changed} changed, {refused} refused");
            }
        }
    }

    /// All that matches, page by page.
    pub(super) async fn list(&self, filter: &TaskFilter, page: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let mut cursor: Option<Cursor> = None;
        loop {
            match self.inspect().list(filter, cursor, page).await {
                Ok(page) => {
                    lines.extend(page.items.iter().map(super::glance::task));
                    cursor = page.next;
                }
                Err(error) => return vec![text::<()>(Err(error))],
            }
            if cursor.is_none() {
                return lines;
            }
        }
    }
}

/// An answer, or the kind of its error: what an error says is left to the broker.
fn text<T: Debug>(answer: Result<T>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => format!("error {}", error.kind().as_str()),
    }
}
