//! Plans while this producer leads.

use std::time::Duration;

use tidemill_shared::ledger::{FireOutcome, PlannedFire, Recorded, Term};
use tidemill_shared::schedule::Misfire;
use tidemill_shared::{Connection, Error, QueueName, Result, ScheduleId, TaskId, Timestamp};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::catch_up::TOO_LATE;
use super::keeper::Seat;
use super::limits::Allowance;
use super::loader::{Loader, Progress};
use super::nap::{Alarm, Backoff, nap};
use super::plan::{Fate, Plan, Step};
use super::{Observer, SchedulerEvent, Settings, patiently, record_fires};

/// How many fires are recorded at once.
const BATCH: usize = 256;
/// How often a leader asks whether the definitions have changed.
const CHECK: Duration = Duration::from_millis(500);
/// After how long schedules that were left alone are looked at again.
const SECOND_LOOK: Duration = Duration::from_secs(60);

/// Puts the fires of one shard into the broker.
pub(super) struct Planner<'a> {
    connection: &'a Connection,
    settings: &'a Settings,
    observer: &'a Observer,
    doubt: &'a Notify,
    seat: &'a Seat,
    term: watch::Receiver<Option<Term>>,
}

/// The state of a term, and of those that follow on it while nothing comes between them.
struct Reign {
    epoch: u64,
    /// How many batches the store had over the shard when it was last heard of.
    batches: u64,
    plan: Plan,
    loader: Loader,
    /// When the definitions are asked about again.
    check_at: Alarm,
    /// Before when nothing is read, because reading has failed.
    read_at: Alarm,
    /// Schedules that were left alone, and when they get another look.
    left_alone: Vec<ScheduleId>,
    look_again_at: Option<Timestamp>,
    backoff: Backoff,
    refusals: Backoff,
}

impl<'a> Planner<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        settings: &'a Settings,
        observer: &'a Observer,
        doubt: &'a Notify,
        seat: &'a Seat,
    ) -> Self {
        Self {
            connection,
            settings,
            observer,
            doubt,
            seat,
            term: seat.terms(),
        }
    }

    /// Runs until `stop` is cancelled.
    pub(super) async fn run(mut self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                led = self.term.wait_for(Option::is_some) => {
                    if led.is_err() {
                        return;
                    }
                }
                () = stop.cancelled() => return,
            }
            tokio::select! {
                ended = self.reign() => {
                    if let Err(error) = ended {
                        self.pause_after("plan", &error, &mut Backoff::default()).await;
                    }
                }
                () = stop.cancelled() => return,
            }
        }
    }

    fn present_term(&self) -> Option<Term> {
        self.term.borrow().clone()
    }

    /// Plans until the term is over. Cancel-safe: what was on its way into the store may or may not
    /// be recorded, and is planned again by the next term either way.
    async fn reign(&self) -> Result<()> {
        let Some(term) = self.present_term() else {
            return Ok(());
        };
        let mut reign = Reign {
            epoch: term.epoch,
            batches: term.batches,
            plan: Plan::new()?,
            loader: Loader::new(self.seat.shard),
            check_at: Alarm::past(),
            read_at: Alarm::past(),
            left_alone: Vec::new(),
            look_again_at: None,
            backoff: Backoff::default(),
            refusals: Backoff::default(),
        };
        while self.term_of(&mut reign).is_some() {
            self.keep_in_line(&mut reign).await;
            let now = self.connection.clock.now();
            let steps = reign.plan.next_steps(now, self.settings.horizon, BATCH);
            if !steps.is_empty() {
                self.record(&mut reign, &steps).await;
            } else if reign.plan.is_idle() && !reign.is_reading(now) {
                nap(&*self.connection.clock, self.leisure(&reign, now)).await;
            } else {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// How long there is nothing to do: until the next read, or until an instant comes within the
    /// horizon.
    fn leisure(&self, reign: &Reign, now: Timestamp) -> Duration {
        let next = reign.plan.earliest().map(|at| at - self.settings.horizon);
        let read_at = if reign.read_at.has_come(now) {
            reign.check_at.at()
        } else {
            reign.read_at.at()
        };
        let wake = next.map_or(read_at, |next| next.min(read_at));
        wake.since(now).clamp(Duration::from_millis(1), CHECK)
    }

    /// Reads what has changed, a page at a time. When that fails, what is known stays as it is, and
    /// planning goes on with it until the next try.
    async fn keep_in_line(&self, reign: &mut Reign) {
        if !reign.read_at.has_come(self.connection.clock.now()) {
            return;
        }
        let Err(error) = self.read(reign).await else {
            return;
        };
        if !error.is_transient() {
            // The same page may fail for ever; changes in those before it must not wait for it.
            reign.loader.start_over();
            reign.check_at = Alarm::past();
        }
        let retry_in = reign.backoff.next();
        reign.read_at = Alarm::after(retry_in, self.connection.clock.now());
        self.tell_failed("read the schedules", &error, retry_in);
    }

    async fn read(&self, reign: &mut Reign) -> Result<()> {
        let ledger = &*self.connection.ledger;
        let now = self.connection.clock.now();
        let mut broken = |schedule, error: Error| {
            let error = error.to_string();
            self.observer
                .tell(&SchedulerEvent::Stuck { schedule, error });
        };
        if reign.check_at.has_come(now) {
            if reign.look_again_at.is_some_and(|at| at <= now) {
                reign.look_again_at = None;
                for schedule in reign.left_alone.drain(..) {
                    reign.loader.doubt(schedule);
                }
            }
            let check = reign.loader.check(ledger, &mut reign.plan, &mut broken);
            patiently(check).await?;
            reign.check_at = Alarm::after(CHECK, now);
        }
        let read = reign.loader.read_page(ledger, &mut reign.plan, &mut broken);
        let progress = patiently(read).await?;
        for schedule in reign.plan.taken_back() {
            self.observer.tell(&SchedulerEvent::TakenBack { schedule });
        }
        match progress {
            Progress::Reading => return Ok(()),
            Progress::UpToDate => {}
            Progress::Done => {
                let schedules = reign.plan.len();
                self.observer.tell(&SchedulerEvent::Loaded { schedules });
            }
        }
        reign.backoff.reset();
        Ok(())
    }

    /// Records steps. A batch that the store will never take has a bad one in it, which must not
    /// harm the others: they go one by one, and only what fails for good by itself is left alone.
    async fn record(&self, reign: &mut Reign, steps: &[Step]) {
        let Err(error) = self.insist(reign, steps).await else {
            return;
        };
        if let [step] = steps {
            return self.leave_alone(reign, step, &error);
        }
        for step in steps {
            let single = std::slice::from_ref(step);
            if let Err(error) = self.insist(reign, single).await {
                self.leave_alone(reign, step, &error);
            }
        }
    }

    /// Records steps, again and again until the store has answered, or it fails for good, or the term
    /// is over.
    async fn insist(&self, reign: &mut Reign, steps: &[Step]) -> Result<()> {
        let mut backoff = Backoff::default();
        while let Some(term) = self.term_of(reign) {
            match self.try_record(reign, &term, steps).await {
                Err(error) if error.is_transient() => {
                    self.pause_after("record fires", &error, &mut backoff).await;
                }
                done => return done,
            }
        }
        Ok(())
    }

    /// The present term, if it is the one of this reign or follows on it: a lead that lapsed comes back
    /// with another epoch, and where that is the next one, and no batch has been recorded since,
    /// nobody else has led and the store has lost nothing, so that the plan still holds.
    fn term_of(&self, reign: &mut Reign) -> Option<Term> {
        let term = self.present_term()?;
        if term.epoch == reign.epoch + 1 && term.batches == reign.batches {
            reign.epoch = term.epoch;
        }
        (term.epoch == reign.epoch).then_some(term)
    }

    /// Names a schedule that cannot be fired, and leaves it alone for a while.
    fn leave_alone(&self, reign: &mut Reign, step: &Step, error: &Error) {
        let now = self.connection.clock.now();
        if let Some(fire) = reign.plan.fire(step, now) {
            reign.left_alone.push(fire.schedule.clone());
            self.observer.tell(&SchedulerEvent::Stuck {
                schedule: fire.schedule,
                error: error.to_string(),
            });
        }
        reign.plan.stall(step);
        reign.look_again_at = Some(now + SECOND_LOOK);
    }

    async fn try_record(&self, reign: &mut Reign, term: &Term, steps: &[Step]) -> Result<()> {
        let ledger = &*self.connection.ledger;
        let allowance = patiently(Allowance::ask(ledger, &reign.plan, steps)).await?;
        let now = self.connection.clock.now();
        let (steps, fires): (Vec<&Step>, Vec<PlannedFire>) = allowance
            .steps
            .iter()
            .filter_map(|step| Some((*step, reign.plan.fire(step, now)?)))
            .unzip();
        let told: Vec<_> = fires.iter().map(Told::new).collect();
        let recorded = match fires.is_empty() {
            true => Recorded::nothing(),
            false => {
                let cron = |place: usize| reign.plan.cron_of(steps.get(place)?);
                let term = self.seat.tally.complete(term);
                record_fires(self.connection, Some(&term), fires, cron).await?
            }
        };
        if let Some(batches) = recorded.batches {
            reign.batches = batches;
            self.seat.tally.note(term.epoch, batches);
        }
        let mut refused = false;
        for ((step, told), answer) in steps.into_iter().zip(told).zip(recorded.outcomes) {
            if answer == FireOutcome::Refused {
                refused = true;
                reign.plan.stall(step);
                reign.loader.doubt(told.schedule.clone());
            }
            let (next, policy) = (reign.plan.next_of(step), reign.plan.misfire_of(step));
            if let Some(event) = told.event(step, answer, next, policy) {
                self.observer.tell(&event);
            }
        }
        for schedule in allowance.settle(&mut reign.plan) {
            self.observer.tell(&SchedulerEvent::Spent { schedule });
        }
        if refused {
            // Either the schedule has changed or somebody else leads: look at both.
            self.doubt.notify_one();
            reign.check_at = Alarm::past();
            nap(&*self.connection.clock, reign.refusals.next().min(CHECK)).await;
        } else {
            reign.refusals.reset();
        }
        Ok(())
    }

    async fn pause_after(&self, operation: &'static str, error: &Error, backoff: &mut Backoff) {
        let retry_in = backoff.next();
        self.tell_failed(operation, error, retry_in);
        nap(&*self.connection.clock, retry_in).await;
    }

    fn tell_failed(&self, operation: &'static str, error: &Error, retry_in: Duration) {
        self.observer.tell(&SchedulerEvent::Failed {
            operation,
            error: error.to_string(),
            retry_in,
        });
    }
}

impl Reign {
    /// Whether there is a page to be read at once.
    fn is_reading(&self, now: Timestamp) -> bool {
        self.loader.is_reading() && self.read_at.has_come(now)
    }
}

/// What an event about a fire needs, after the fire has gone to the store.
struct Told {
    schedule: ScheduleId,
    task: Option<(TaskId, QueueName, Timestamp)>,
}

impl Told {
    fn new(fire: &PlannedFire) -> Self {
        let task = fire.task.as_ref().ok();
        Self {
            schedule: fire.schedule.clone(),
            task: task.map(|envelope| {
                let (id, queue) = (envelope.id.clone(), envelope.queue.clone());
                (id, queue, envelope.due_at)
            }),
        }
    }

    fn event(
        self,
        step: &Step,
        answer: FireOutcome,
        next: Option<Timestamp>,
        policy: Misfire,
    ) -> Option<SchedulerEvent> {
        let (schedule, scheduled_at) = (self.schedule, step.scheduled_at);
        match (answer, step.fate, self.task) {
            (FireOutcome::Refused, ..) => Some(SchedulerEvent::Refused {
                schedule,
                scheduled_at,
            }),
            (FireOutcome::Duplicate, ..) => Some(SchedulerEvent::Duplicate {
                schedule,
                scheduled_at,
            }),
            (FireOutcome::Skipped, ..) => Some(SchedulerEvent::Skipped {
                schedule,
                scheduled_at,
            }),
            (FireOutcome::Missed, fate, _) => Some(SchedulerEvent::Missed {
                schedule,
                scheduled_at,
                count: step.count,
                policy,
                reason: match fate {
                    Fate::Missed(reason) => reason,
                    Fate::Run => TOO_LATE,
                },
            }),
            (FireOutcome::Enqueued, _, Some((task, queue, due_at))) => {
                Some(SchedulerEvent::Planned {
                    schedule,
                    scheduled_at,
                    due_at,
                    task,
                    queue,
                    next,
                })
            }
            (FireOutcome::Enqueued, _, None) => None,
        }
    }
}
