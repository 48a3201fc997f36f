//! The store: one link, one namespace, one clock.

mod broker;
mod enqueue;
mod inspect;
mod lease;
mod ledger;
mod opening;
mod record;
mod settle;
mod upkeep;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::try_join_all;
use redis::Value;
use tidemill_shared::{Clock, Connection, ErrorKind, MissedFires, Namespace, Result};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::args::Args;
use crate::link::{Invocation, Link, Script};
use crate::script_set::SCRIPTS;
use crate::waiting::Waiting;
use upkeep::Upkeep;

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
    states_key: String,
    clock: Arc<dyn Clock>,
    waiting: Waiting,
    /// What goes on beside the calls: waiting for wake-ups, and putting back what nobody received.
    tasks: TaskTracker,
    ended: CancellationToken,
    /// What `born` was when it was last read; 0 before that.
    known_birth: AtomicU64,
    /// The last number of an admission that is known.
    last_seq: AtomicU64,
    upkeep: Upkeep,
    /// Fires that were late when a call of this process promoted them.
    missed: Mutex<MissedFires>,
    findings: Vec<String>,
}

impl RedisStore {
    /// A script that the server does not know is run behind its transaction, which would change the order
    /// of a batch that several scripts take in.
    async fn load_scripts_of_enqueue(&self) -> Result<()> {
        let scripts = &*SCRIPTS;
        let scripts = [
            &scripts.enqueue_plain,
            &scripts.enqueue_later,
            &scripts.enqueue,
            &scripts.amend,
        ];
        let loads = scripts.map(Script::load);
        let loads = loads
            .iter()
            .map(|load| self.inner.link.command("open", load));
        try_join_all(loads).await.map(drop)
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
        self.noted(self.inner.link.invoke(operation, &invocation).await)
    }

    /// Runs a script whose effect an answer promises: durably, at the level that the options say.
    async fn change(
        &self,
        operation: &'static str,
        script: &'static Script,
        args: Args,
    ) -> Result<Value> {
        let invocation = self.invocation(script, &args);
        self.noted(self.inner.link.invoke_durably(operation, invocation).await)
    }

    /// Lets the next sweep look everywhere, if a call has met what Tidemill does not write.
    pub(super) fn noted<T>(&self, answer: Result<T>) -> Result<T> {
        if let Err(error) = &answer
            && error.kind() == ErrorKind::Corrupt
        {
            self.inner.upkeep.suspect();
        }
        answer
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
    /// there. That it is another than before is said aloud, also when another process has made it.
    async fn born(&self) -> Result<u64> {
        // Asked first: a full server refuses every write, also one that changes nothing; workers must come
        // up there, and sweep, to make room.
        let mut origin = self.origin().await?;
        if origin.0.is_none() {
            let mut command = redis::cmd("HSETNX");
            command.arg(self.key("meta")).arg("born");
            command.arg(self.inner.clock.now().as_micros());
            self.inner.link.command("open", &command).await?;
            self.number_anew().await?;
            origin = self.origin().await?;
        }
        let (born, last_seq) = (origin.0.unwrap_or_default(), origin.1.unwrap_or_default());
        let known = self.inner.known_birth.swap(born, Ordering::Relaxed);
        if known != born {
            self.inner.last_seq.store(last_seq, Ordering::Relaxed);
        }
        if known != 0 && known != born {
            self.tell_loss().await?;
        }
        Ok(born)
    }

    /// Says what is lost, as far as it shows: a store that is empty has lost everything, and one that is not may
    /// have been filled again since.
    async fn tell_loss(&self) -> Result<()> {
        let mut command = redis::cmd("HLEN");
        command.arg(&self.inner.tasks_key);
        let answer = self.inner.link.command("open", &command).await?;
        let namespace = &self.inner.namespace;
        match crate::reply::number("open", answer)? {
            0 => tracing::error!(
                %namespace,
                "redis has lost the data of this namespace; schedules of files are applied again, tasks are gone"
            ),
            tasks => tracing::error!(
                %namespace,
                tasks,
                "redis has lost the data of this namespace, or its key meta alone was deleted; so many tasks are \
                 there by now, and schedules of files are applied again"
            ),
        }
        Ok(())
    }

    /// When the namespace was made, and the last number of an admission, as far as they are there.
    async fn origin(&self) -> Result<(Option<u64>, Option<u64>)> {
        let mut command = redis::cmd("HMGET");
        command.arg(self.key("meta")).arg("born").arg("seq");
        let answer = self.inner.link.command("open", &command).await?;
        let mut answer = crate::reply::Reply::list("open", answer)?;
        Ok((answer.maybe_number()?, answer.maybe_number()?))
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
