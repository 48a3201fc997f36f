//! The store: one link, one namespace, one clock.

mod broker;
mod enqueue;
mod inspect;
mod lease;
mod ledger;
mod record;
mod settle;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::Value;
use tidemill_shared::{Clock, Connection, Namespace, Result};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::RedisOptions;
use crate::args::Args;
use crate::checks;
use crate::link::{Invocation, Link, Script};
use crate::script_set::SCRIPTS;
use crate::server_clock::ServerClock;
use crate::waiting::Waiting;

/// How often opening the store puts up with a connection that breaks.
const OPENINGS: usize = 3;

/// A broker and a ledger in Redis: one server, a replica set behind Sentinel, or a Cluster. Cheap to
/// clone; all clones share their connections.
///
/// All keys of a namespace start with `tidemill:{NAMESPACE}:` and so live in one slot of a Cluster, which
/// makes every transition, also one that touches schedules, queues and keys at once, one atomic step.
/// `docs/redis.md` lists the keys, and what acknowledged means at each setting of durability.
#[derive(Clone)]
pub struct RedisStore {
    inner: Arc<Inner>,
}

struct Inner {
    link: Arc<Link>,
    namespace: Namespace,
    prefix: String,
    keys: [Vec<u8>; 2],
    tasks_key: String,
    clock: Arc<dyn Clock>,
    waiting: Waiting,
    /// What goes on beside the calls: waiting for wake-ups, and putting back what nobody received.
    tasks: TaskTracker,
    ended: CancellationToken,
    has_seen_data: AtomicBool,
    findings: Vec<String>,
}

impl RedisStore {
    /// Connects and examines the server. Time is the server's own, unless a clock is given.
    ///
    /// Fails with [`ErrorKind::Invalid`](tidemill_shared::ErrorKind::Invalid) and the remedy when the
    /// server cannot be used as it is set up, and with
    /// [`ErrorKind::Unavailable`](tidemill_shared::ErrorKind::Unavailable) when it cannot be reached.
    pub async fn open(
        options: RedisOptions,
        namespace: Namespace,
        clock: Option<Arc<dyn Clock>>,
    ) -> Result<Self> {
        let prefix = format!("tidemill:{{{namespace}}}:");
        let keys = ["meta", "guard"].map(|name| format!("{prefix}{name}").into_bytes());
        let link = Arc::new(Link::open(options, &format!("{prefix}meta")).await?);
        let findings = checks::examine(&link).await?;
        let clock = match clock {
            Some(clock) => clock,
            None => Arc::new(ServerClock::open(&link).await?),
        };
        let inner = Inner {
            link,
            namespace,
            keys,
            tasks_key: format!("{prefix}tasks"),
            clock,
            waiting: Waiting::default(),
            tasks: TaskTracker::new(),
            ended: CancellationToken::new(),
            has_seen_data: AtomicBool::new(false),
            findings,
            prefix,
        };
        let store = Self {
            inner: Arc::new(inner),
        };
        // A connection that breaks meanwhile is no reason to give up; what is done here can be repeated.
        for _ in 0..OPENINGS {
            match store.prepare().await {
                Err(error) if error.is_transient() => {
                    tracing::info!(%error, "opening the store again");
                }
                prepared => return prepared.map(|()| store),
            }
        }
        store.prepare().await.map(|()| store)
    }

    async fn prepare(&self) -> Result<()> {
        self.born().await?;
        self.load_scripts_of_enqueue().await
    }

    /// A script that the server does not know is run behind its transaction, which would change the order
    /// of a batch that several scripts take in.
    async fn load_scripts_of_enqueue(&self) -> Result<()> {
        let scripts = &*SCRIPTS;
        for script in [
            &scripts.enqueue_plain,
            &scripts.enqueue_later,
            &scripts.enqueue,
        ] {
            self.inner.link.command("open", &script.load()).await?;
        }
        Ok(())
    }

    /// This store as producers and workers take it: broker, ledger and clock.
    #[must_use]
    pub fn connection(&self) -> Connection {
        let store = Arc::new(self.clone());
        let clock = Arc::clone(&self.inner.clock);
        Connection::new(Arc::clone(&store) as _, store, clock)
    }

    pub(crate) fn waiting(&self) -> &Waiting {
        &self.inner.waiting
    }

    pub(crate) fn link(&self) -> &Link {
        &self.inner.link
    }

    /// Lets something go on beside the calls, until it is done or the store has ended.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let ended = self.inner.ended.clone();
        self.inner.tasks.spawn(async move {
            tokio::select! {
                () = work => {}
                () = ended.cancelled() => {}
            }
        });
    }

    fn args(&self) -> Args {
        Args::at(self.inner.clock.now())
    }

    /// Runs a script that changes nothing that an answer promises.
    async fn look(
        &self,
        operation: &'static str,
        script: &'static Script,
        args: &Args,
    ) -> Result<Value> {
        let invocation = self.invocation(script, args);
        self.inner.link.invoke(operation, &invocation).await
    }

    /// Runs a script whose effect an answer promises: durably, at the level that the options say.
    async fn change(
        &self,
        operation: &'static str,
        script: &'static Script,
        args: Args,
    ) -> Result<Value> {
        let invocation = self.invocation(script, &args);
        self.inner.link.invoke_durably(operation, invocation).await
    }

    /// The call of a script on this namespace.
    fn invocation(&self, script: &'static Script, args: &Args) -> Invocation<'static> {
        let keys = [&self.inner.keys[0][..], &self.inner.keys[1][..]];
        args.call(script, &keys)
    }

    /// The name of a key.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.inner.prefix)
    }

    /// When the namespace was made, which tells one life of its data from the next. Made now, if it is not
    /// there; and said aloud, if it was.
    async fn born(&self) -> Result<u64> {
        let question = |name: &str| {
            let mut command = redis::cmd(name);
            command.arg(self.key("meta")).arg("born");
            command
        };
        // Asked first: a full server refuses every write, also one that changes nothing; workers must come
        // up there, and sweep, to make room.
        let mut answer = self.inner.link.command("open", &question("HGET")).await?;
        if answer == Value::Nil {
            if self.inner.has_seen_data.load(Ordering::Relaxed) {
                tracing::error!(
                    namespace = %self.inner.namespace,
                    "redis has lost the data of this namespace; schedules of files are applied again, tasks are gone"
                );
            }
            let mut command = question("HSETNX");
            command.arg(self.inner.clock.now().as_micros());
            self.inner.link.command("open", &command).await?;
            self.number_anew().await?;
            answer = self.inner.link.command("open", &question("HGET")).await?;
        }
        self.inner.has_seen_data.store(true, Ordering::Relaxed);
        Ok(crate::reply::number("open", answer)?.unsigned_abs())
    }

    /// Lets the numbers of admissions go on beyond all that were ever given, should `meta` alone have been
    /// deleted: fewer than a thousand a second were.
    async fn number_anew(&self) -> Result<()> {
        let mut command = redis::cmd("EXISTS");
        command.arg(self.key("states")).arg(self.key("tasks"));
        let answer = self.inner.link.command("open", &command).await?;
        if crate::reply::number("open", answer)? == 0 {
            return Ok(());
        }
        let mut command = redis::cmd("HINCRBY");
        command.arg(self.key("meta")).arg("seq");
        command.arg(self.inner.clock.now().as_micros().max(0) / 1_000);
        self.inner.link.command("open", &command).await.map(drop)
    }

    /// Wakes somebody else who waits for these queues.
    pub(crate) async fn wake(&self, queues: &[tidemill_shared::QueueName]) -> Result<()> {
        let mut args = self.args();
        for queue in queues {
            args.push(queue.as_str());
        }
        self.look("wake", &SCRIPTS.wake, &args).await.map(drop)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.ended.cancel();
        self.tasks.close();
        self.link.shut();
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("namespace", &self.inner.namespace)
            .finish_non_exhaustive()
    }
}
