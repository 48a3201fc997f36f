//! Arrivals at planned instants that wait for no answer, so that a store which falls behind cannot
//! hide it.

use std::ops::Range;
use std::time::Duration;

use tidemill::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::Result;
use crate::durations::Durations;
use crate::scenario::now;

/// The most arrivals that may be under way: beyond it the program itself would be the bottleneck.
const MOST_UNDER_WAY: usize = 50_000;
/// How many groups of arrivals may wait for this program.
const GROUPS: usize = 1_024;
/// The time between the start and the first arrival.
const LEAD: Duration = Duration::from_millis(200);

/// When tasks arrive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    first: Timestamp,
    rate: u32,
    tasks: usize,
}

impl Pace {
    /// So many tasks at this rate a second, from now on.
    pub(crate) fn new(tasks: usize, rate: u32) -> Self {
        Self {
            first: now() + LEAD,
            rate: rate.max(1),
            tasks,
        }
    }

    /// The instant of an arrival. Never the sum of rounded gaps.
    pub(crate) fn planned(&self, number: usize) -> Timestamp {
        let micros = number as u64 * 1_000_000 / u64::from(self.rate);
        self.first + Duration::from_micros(micros)
    }

    /// Lets each arrive at its instant; answers how long all of them took, and each call from its
    /// planned instant to its answer.
    pub(crate) async fn keep<F>(
        self,
        arrive: impl Fn(usize, Timestamp) -> F,
    ) -> Result<(Duration, Durations)>
    where
        F: Future<Output = Result> + Send + 'static,
    {
        let (sender, mut groups) = mpsc::channel(GROUPS);
        // A thread of its own: the runtime's timer knows whole milliseconds alone.
        let clock = std::thread::Builder::new()
            .name("loadtest-pace".into())
            .spawn(move || self.call_out(&sender))?;
        let mut under_way: JoinSet<Result<Duration>> = JoinSet::new();
        let mut calls = Durations::new()?;
        while let Some(numbers) = groups.recv().await {
            for number in numbers {
                let planned = self.planned(number);
                let arrival = arrive(number, planned);
                under_way.spawn(async move {
                    arrival.await?;
                    Ok(now().since(planned))
                });
            }
            while let Some(answered) = under_way.try_join_next() {
                calls.add(answered??);
            }
            if under_way.len() >= MOST_UNDER_WAY {
                return Err(format!(
                    "{MOST_UNDER_WAY} enqueues are under way: the store does not keep up with {} tasks a second",
                    self.rate
                )
                .into());
            }
        }
        while let Some(answered) = under_way.join_next().await {
            calls.add(answered??);
        }
        if clock.join().is_err() {
            return Err("the thread that keeps the pace has ended".into());
        }
        Ok((now().since(self.first), calls))
    }

    /// Sends whatever is due, in groups, until all is sent or nobody listens.
    fn call_out(self, sender: &mpsc::Sender<Range<usize>>) {
        let mut next = 0;
        while next < self.tasks {
            let early = self.planned(next).since(now());
            if !early.is_zero() {
                std::thread::park_timeout(early);
                continue;
            }
            let upto = self.due(next);
            if sender.blocking_send(next..upto).is_err() {
                return;
            }
            next = upto;
        }
    }

    /// The number of the first arrival behind `next` that is not due.
    fn due(self, next: usize) -> usize {
        let elapsed = now().since(self.first).as_micros();
        let due = elapsed * u128::from(self.rate) / 1_000_000;
        let due = usize::try_from(due).unwrap_or(usize::MAX).saturating_add(1);
        due.clamp(next + 1, self.tasks)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::Pace;
    use crate::scenario::now;

    #[tokio::test]
    async fn every_arrival_comes_once_and_none_before_its_instant() {
        let came = Arc::new(Mutex::new(Vec::new()));
        let pace = Pace::new(300, 3_000);
        let kept = pace.keep(|number, planned| {
            let came = Arc::clone(&came);
            async move {
                assert!(now() >= planned);
                came.lock().unwrap().push(number);
                Ok(())
            }
        });
        kept.await.unwrap();
        let mut came = came.lock().unwrap().clone();
        came.sort_unstable();
        assert_eq!(came, (0..300).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_stall_of_the_store_is_in_the_figures_of_all_that_came_meanwhile() {
        let stalled = Arc::new(tokio::sync::Mutex::new(()));
        let pace = Pace::new(100, 1_000);
        let kept = pace.keep(|number, _| {
            let stalled = Arc::clone(&stalled);
            async move {
                let held = stalled.lock().await;
                if number == 0 {
                    tokio::time::sleep(Duration::from_millis(80)).await;
                }
                drop(held);
                Ok(())
            }
        });
        let (_, calls) = kept.await.unwrap();
        // Half of them came within the first 50 ms, and waited for the rest of the 80.
        assert!(
            calls.json()["p50"].as_f64().unwrap() > 20.0,
            "{}",
            calls.shown()
        );
    }
}
