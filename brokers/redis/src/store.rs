//! The store: one link, one namespace, one clock.

mod broker;
mod enqueue;
mod inspect;
mod lease;
mod ledger;
mod opening;
mod record;
mod settle;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redis::Value;
use tidemill_shared::{Clock, Connection, Namespace, Result};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::args::Args;
use crate::link::{Invocation, Link, Script};
use crate::script_set::SCRIPTS;
use crate::waiting::Waiting;

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
    /// What `born` was when it was last read; 0 before that.
    known_birth: AtomicU64,
    findings: Vec<String>,
}

impl RedisStore {
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
    /// there. That it is another than before is said aloud, also when another process has made it.
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
            let mut command = question("HSETNX");
            command.arg(self.inner.clock.now().as_micros());
            self.inner.link.command("open", &command).await?;
            self.number_anew().await?;
            answer = self.inner.link.command("open", &question("HGET")).await?;
        }
        let born = crate::reply::number("open", answer)?.unsigned_abs();
        let known = self.inner.known_birth.swap(born, Ordering::Relaxed);
        if known != 0 && known != born {
            tracing::error!(
                namespace = %self.inner.namespace,
                "redis has lost the data of this namespace; schedules of files are applied again, tasks are gone"
            );
        }
        Ok(born)
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
