//! Threads for handlers that block.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::panics::guard;
use crate::{Failure, Outcome};

/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(10);

type Call = Box<dyn FnOnce() + Send>;

/// So many threads at most, started when they are needed.
#[derive(Debug)]
pub(crate) struct BlockingPool {
    limit: usize,
    places: Arc<Semaphore>,
    line: Mutex<Line>,
    bell: Condvar,
}

#[derive(Default)]
struct Line {
    calls: VecDeque<Call>,
    threads: usize,
    idle: usize,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} threads, {} idle", self.threads, self.idle)
    }
}

impl BlockingPool {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            places: Arc::new(Semaphore::new(limit)),
            line: Mutex::default(),
            bell: Condvar::new(),
        })
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a thread, first come first served. It is free again when the permit is dropped.
    /// Cancel-safe.
    pub(crate) async fn reserve(&self) -> Option<OwnedSemaphorePermit> {
        // Nobody closes the semaphore.
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Runs a call on a thread of the pool. The call goes on when the future is dropped.
    pub(crate) async fn run(
        self: &Arc<Self>,
        call: impl FnOnce() -> Outcome + Send + 'static,
    ) -> Outcome {
        let (answer, answered) = oneshot::channel();
        let call = Box::new(move || {
            let outcome = guard(call).and_then(|outcome| outcome);
            // Nobody listens any more when the worker has been dropped.
            drop(answer.send(outcome));
        });
        if let Err(error) = self.submit(call) {
            return Err(Failure::class(
                "worker",
                format!("no thread could be started for a blocking handler: {error}"),
            ));
        }
        answered
            .await
            .unwrap_or_else(|_| Err(Failure::class("worker", "a blocking handler got lost")))
    }

    fn submit(self: &Arc<Self>, call: Call) -> std::io::Result<()> {
        let mut line = self.line();
        line.calls.push_back(call);
        if line.calls.len() > line.idle && line.threads < self.limit {
            let pool = Arc::clone(self);
            let started = std::thread::Builder::new()
                .name("tidemill-blocking".into())
                .spawn(move || pool.work());
            match started {
                Ok(_) => line.threads += 1,
                Err(error) if line.threads == 0 => {
                    line.calls.pop_back();
                    return Err(error);
                }
                // The threads that there are will come to it.
                Err(_) => {}
            }
        }
        self.bell.notify_one();
        Ok(())
    }

    fn work(&self) {
        let mut line = self.line();
        loop {
            if let Some(call) = line.calls.pop_front() {
                drop(line);
                call();
                line = self.line();
                continue;
            }
            line.idle += 1;
            let (woken, timeout) = self
                .bell
                .wait_timeout(line, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            line = woken;
            line.idle -= 1;
            if timeout.timed_out() && line.calls.is_empty() {
                line.threads -= 1;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::BlockingPool;

    #[tokio::test]
    async fn a_pool_runs_more_calls_than_it_has_threads_and_survives_panics() {
        let pool = BlockingPool::new(2);
        let runs: Vec<_> = (0..20)
            .map(|n| {
                let pool = Arc::clone(&pool);
                async move {
                    pool.run(move || {
                        if n % 5 == 0 {
                            panic!("boom {n}")
                        } else {
                            Ok(None)
                        }
                    })
                    .await
                }
            })
            .collect();
        let outcomes = futures::future::join_all(runs).await;
        assert_eq!(
            outcomes.iter().filter(|outcome| outcome.is_err()).count(),
            4
        );
        assert!(pool.line().threads <= 2);
    }
}
