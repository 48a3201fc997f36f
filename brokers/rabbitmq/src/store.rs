//! The store: RabbitMQ, and the ledger beside it.

mod adoption;
mod broker;
mod emptiness;
mod enqueue;
mod inspect;
mod lease;
mod ledger;
mod queue_settings;
mod set_aside;
mod settle;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tidemill_shared::ledger::{Book, Ledger, Precondition};
use tidemill_shared::{Clock, Connection, Error, Namespace, NoteName, QueueName, Result};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::lines::Lines;
use crate::link::Link;
use crate::options::RabbitOptions;
use crate::publisher::Publisher;
use crate::topology::{Band, Bands, Topology};
use emptiness::Emptiness;
use queue_settings::QueueSettings;

/// The longest namespace: together with the longest queue it has to fit into a name of AMQP.
const LONGEST_NAMESPACE: usize = 100;

/// How often it is looked for what was sent to nobody.
const TICK: Duration = Duration::from_secs(1);

/// A broker in RabbitMQ, with a ledger beside it. Cheap to clone; all clones share their connections.
///
/// A task that is due, whose id the library made, and that has neither key nor schedule is published to a
/// queue of RabbitMQ, and the ledger hears nothing of it unless its run ends otherwise than well. All others
/// are kept by the ledger, and leased from it. A task whose run fails, is put back, or was cut off is
/// adopted by the ledger, with its history. `docs/rabbitmq.md` says what that means for those who operate it.
#[derive(Clone)]
pub struct RabbitStore {
    inner: Arc<Inner>,
}

struct Inner {
    namespace: Namespace,
    ledger: Connection,
    topology: Topology,
    publisher: Publisher,
    lines: Lines,
    settings: QueueSettings,
    emptiness: Emptiness,
    tasks: TaskTracker,
    ended: CancellationToken,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.ended.cancel();
        self.tasks.close();
    }
}

impl RabbitStore {
    /// Connects, within the `timeout` of the options. `ledger` keeps the same namespace.
    pub async fn open(
        options: RabbitOptions,
        namespace: Namespace,
        ledger: Connection,
    ) -> Result<Self> {
        let store = Self::new(options, namespace, ledger)?;
        store.connect().await?;
        store.keep_tidy();
        Ok(store)
    }

    /// The same, however long RabbitMQ takes to be there; warns at growing intervals. What only a person can
    /// mend, such as wrong credentials, still fails at once.
    pub async fn open_patiently(
        options: RabbitOptions,
        namespace: Namespace,
        ledger: Connection,
    ) -> Result<Self> {
        let store = Self::new(options, namespace, ledger)?;
        for attempt in 1_u64.. {
            match store.connect().await {
                Ok(()) => break,
                Err(error) if error.is_transient() => {
                    if attempt.is_power_of_two() {
                        tracing::warn!(%error, "RabbitMQ is not there yet; waiting for it");
                    }
                }
                Err(error) => return Err(error),
            }
        }
        store.keep_tidy();
        Ok(store)
    }

    fn new(options: RabbitOptions, namespace: Namespace, ledger: Connection) -> Result<Self> {
        let length = namespace.as_str().len();
        if length > LONGEST_NAMESPACE {
            return Err(Error::invalid(
                "connect",
                format!(
                    "the namespace has {length} characters; with RabbitMQ it may have {LONGEST_NAMESPACE}"
                ),
            ));
        }
        let options = Arc::new(options);
        let topology = Topology::new(&namespace, options.queue_type);
        let (tasks, ended) = (TaskTracker::new(), CancellationToken::new());
        let link = |purpose| Link::new(Arc::clone(&options), purpose, tasks.clone(), ended.clone());
        let publisher = Publisher::new(link("publish"), topology.clone());
        let clock = Arc::clone(&ledger.clock);
        let lines = Lines::new(
            link("consume"),
            topology.clone(),
            clock,
            tasks.clone(),
            ended.clone(),
        );
        Ok(Self {
            inner: Arc::new(Inner {
                namespace,
                ledger,
                topology,
                publisher,
                lines,
                settings: QueueSettings::default(),
                emptiness: Emptiness::default(),
                tasks,
                ended,
            }),
        })
    }

    async fn connect(&self) -> Result<()> {
        let link = self.inner.publisher.link();
        let deadline = Instant::now() + link.patience();
        link.live("connect", deadline).await.map(drop)
    }

    /// The ledger beside RabbitMQ.
    fn ledger(&self) -> &dyn Ledger {
        &*self.inner.ledger.ledger
    }

    /// This store as producers and workers take it: broker, ledger and clock.
    #[must_use]
    pub fn connection(&self) -> Connection {
        let store = Arc::new(self.clone());
        let clock = Arc::clone(&self.inner.ledger.clock);
        Connection::new(Arc::clone(&store) as _, store, clock)
    }

    fn clock(&self) -> &dyn Clock {
        &*self.inner.ledger.clock
    }

    /// Puts back what was sent for a worker that asks no more, also when nobody sweeps.
    fn keep_tidy(&self) {
        let (inner, ended) = (Arc::downgrade(&self.inner), self.inner.ended.clone());
        self.inner.tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = ended.cancelled() => break,
                    () = tokio::time::sleep(TICK) => {}
                }
                let Some(inner) = inner.upgrade() else { break };
                inner.lines.close_rested();
                if let Err(error) = inner.lines.look_after_silent().await {
                    tracing::debug!(%error, "it could not be looked why nothing comes");
                }
                if let Err(error) = (Self { inner }).put_back_idle().await {
                    tracing::debug!(%error, "what nobody asks for could not be put back");
                }
            }
        });
    }

    /// Writes down that there is a line, where every process finds it: RabbitMQ does not tell.
    async fn enter_line(&self, queue: &QueueName, band: Band) -> Result<()> {
        let name = NoteName::new(queue.as_str())?;
        let ledger = self.ledger();
        loop {
            let (known, is_fresh) = self.inner.settings.lines(queue);
            if is_fresh && known.with(band) == known {
                return Ok(());
            }
            let note = ledger.note(Book::Queues, &name).await?;
            let (bands, only_if) = match &note {
                Some(note) => (Bands::read(&note.text), Precondition::Version(note.version)),
                None => (Bands::default(), Precondition::Absent),
            };
            if bands.with(band) == bands {
                self.inner.settings.note_lines(queue, bands);
                continue;
            }
            let text = bands.with(band).write();
            let written = ledger.put_note(Book::Queues, &name, &text, only_if, None);
            // Somebody else may have written meanwhile: then what that wrote counts.
            if written.await?.is_some() {
                self.inner.settings.note_lines(queue, bands.with(band));
            }
        }
    }

    /// Learns which lines of a queue there are; what it knows may be two seconds old.
    async fn learn_lines(&self, queue: &QueueName) -> Result<()> {
        let (mut bands, is_fresh) = self.inner.settings.lines(queue);
        if !is_fresh {
            let name = NoteName::new(queue.as_str())?;
            let note = self.ledger().note(Book::Queues, &name).await?;
            bands = note.map(|note| Bands::read(&note.text)).unwrap_or_default();
            self.inner.settings.note_lines(queue, bands);
        }
        for band in bands.iter() {
            self.inner
                .lines
                .know(&self.inner.topology.line(queue, band));
        }
        Ok(())
    }
}

impl fmt::Debug for RabbitStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitStore")
            .field("namespace", &self.inner.namespace)
            .finish_non_exhaustive()
    }
}
