//! The scheduler: due instants of schedules become tasks.

mod backfill;
mod catch_up;
mod entry;
mod event;
mod intern;
mod keeper;
mod late;
mod limits;
mod loader;
mod manual;
mod nap;
mod plan;
mod planner;
mod preview;
mod share;
mod tally;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tidemill_shared::ledger::{PlannedFire, Recorded, Shard, Term};
use tidemill_shared::{Connection, Error, ErrorKind, Result, WorkerId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use backfill::{Backfill, BackfilledFire};
pub use event::SchedulerEvent;
pub use manual::run_now;
pub use preview::preview;

use keeper::Keeper;
use planner::Planner;

use crate::spans::FireSpans;

/// Turns due instants of schedules into tasks.
///
/// Any number of schedulers may run on one store: one leads and the others stand by, or they share the
/// schedules evenly when they are divided into [shards](Self::shards); and a fire is one task even when two believe that they lead, because its identity follows from schedule and
/// instant. The leader puts fires into the broker ahead of their time, as delayed tasks, so that its
/// death delays nothing within the horizon; a change of a schedule takes back what was put ahead.
///
/// ```no_run
/// # async fn run(connection: tidemill_shared::Connection) -> tidemill_shared::Result<()> {
/// use std::time::Duration;
/// use tidemill_producer::Scheduler;
/// use tokio_util::sync::CancellationToken;
///
/// let stop = CancellationToken::new();
/// Scheduler::new(&connection)
///     .horizon(Duration::from_secs(60))
///     .on_event(|event| println!("{event:?}"))
///     .run(stop)
///     .await
/// # }
/// ```
#[must_use = "a scheduler does nothing until it runs"]
pub struct Scheduler {
    connection: Connection,
    settings: Settings,
    observer: Observer,
}

/// The longest that a call of the store may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a scheduler is told.
#[derive(Clone, Debug)]
struct Settings {
    horizon: Duration,
    lease: Duration,
    shards: u32,
    identity: WorkerId,
    host: String,
}

/// Who is told what a scheduler does.
#[derive(Clone, Default)]
struct Observer(Option<Arc<Listener>>);

type Listener = dyn Fn(&SchedulerEvent) + Send + Sync;

impl Observer {
    fn tell(&self, event: &SchedulerEvent) {
        event.log();
        let Some(observer) = &self.0 else { return };
        // Whatever the observer leaves half done is its own; the scheduler shares nothing with it.
        if catch_unwind(AssertUnwindSafe(|| observer(event))).is_err() {
            tracing::error!(?event, "the observer of the scheduler panicked");
        }
    }
}

impl Scheduler {
    /// A scheduler with the defaults.
    pub fn new(connection: &Connection) -> Self {
        Self {
            connection: connection.clone(),
            settings: Settings {
                horizon: Duration::from_secs(60),
                lease: Duration::from_secs(10),
                shards: Shard::WHOLE.of(),
                identity: WorkerId::random(),
                host: host(),
            },
            observer: Observer::default(),
        }
    }

    /// How far ahead of their time fires are put into the broker: 60 s unless given, at least 1 s
    /// and at most 1 h. Nothing within it needs a live producer. Where there are more than some hundreds of schedules,
    /// fast ones may be up to an eighth further ahead, because several fires of one schedule are recorded
    /// for little more than one.
    pub const fn horizon(mut self, horizon: Duration) -> Self {
        self.settings.horizon = horizon;
        self
    }

    /// How long the lead lasts unless it is renewed, which is tried three times as often: 10 s
    /// unless given, at least 1 s and at most 10 min. When the leader dies, another takes over
    /// within this time.
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease;
        self
    }

    /// Into how many shards the schedules are divided: 1 unless given, at most 64. The living
    /// schedulers share them evenly. All on one namespace have to be given the same number: one with
    /// another number tells so and waits until those that lead have stopped.
    pub const fn shards(mut self, shards: u32) -> Self {
        self.settings.shards = shards;
        self
    }

    /// Who this is: a random identity unless given. Never a hostname, because two processes may
    /// share that.
    pub fn identity(mut self, identity: WorkerId) -> Self {
        self.settings.identity = identity;
        self
    }

    /// The name of the host that is shown to people: this machine's unless given.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.settings.host = host.into();
        self
    }

    /// Who is told what happens, besides the log. The observer must not block. A panic of it is
    /// logged and ends nothing.
    pub fn on_event(mut self, observer: impl Fn(&SchedulerEvent) + Send + Sync + 'static) -> Self {
        self.observer = Observer(Some(Arc::new(observer)));
        self
    }

    /// Runs until `stop` is cancelled, then gives the lead up at once. Errors of the store are told
    /// as events and tried again with growing pauses of up to 5 s; the only error that is returned
    /// is a setting out of range. Dropping the future ends it as a crash would: another scheduler
    /// takes over when the lease has run out.
    pub async fn run(self, stop: CancellationToken) -> Result<()> {
        self.settings.check()?;
        let shards = Shard::all(self.settings.shards)?;
        self.observer.tell(&SchedulerEvent::Started {
            shards: self.settings.shards,
        });
        let doubt = Notify::new();
        let (connection, settings, observer) = (&self.connection, &self.settings, &self.observer);
        let keeper = Keeper::new(connection, settings, observer, &doubt, shards);
        let plan = keeper.seats().map(|seat| {
            let planner = Planner::new(connection, settings, observer, &doubt, seat);
            planner.run(&stop)
        });
        tokio::join!(keeper.run(&stop), join_all(plan));
        keeper.retire().await;
        Ok(())
    }
}

impl Settings {
    fn check(&self) -> Result<()> {
        let within = |what: &str, value: Duration, most: u64| {
            let (least, most) = (Duration::from_secs(1), Duration::from_secs(most));
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(Error::invalid(
                "scheduler",
                format!("the {what} is {value:?}; expected {least:?} to {most:?}"),
            ))
        };
        within("horizon", self.horizon, 3_600)?;
        within("lease", self.lease, 600)
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// This machine's name.
fn host() -> String {
    nix::unistd::gethostname().map_or_else(
        |_| "unknown".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// Ends a call of the store that hangs.
async fn patiently<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    within(PATIENCE, call).await
}

/// Records fires, and in a trace that they were. `cron` is asked for the expression of the fire at a
/// place.
async fn record_fires<'a>(
    connection: &Connection,
    term: Option<&Term>,
    mut fires: Vec<PlannedFire>,
    cron: impl Fn(usize) -> Option<&'a str>,
) -> Result<Recorded> {
    let spans = FireSpans::begin(connection, &mut fires, cron);
    let recorded = patiently(connection.ledger.record_fires(term, fires)).await;
    spans.end(&recorded);
    recorded
}

/// Ends a call of the store that takes too long; what it was to do may still happen.
async fn within<T>(limit: Duration, call: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(limit, call).await {
        Ok(done) => done,
        Err(_) => Err(Error::new(
            ErrorKind::Timeout,
            "scheduler",
            format!("the store has not answered for {limit:?}"),
        )),
    }
}
