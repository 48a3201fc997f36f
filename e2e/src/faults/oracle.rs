//! Reads the ledgers and the store, and says whether what was promised was kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use tidemill::{Connection, State, TaskId, Timestamp};
use tokio::time::Instant;

use super::ledger::{Deed, Ledger, Line, id_of};
use super::scene::PATIENCE;
use crate::{Ids, Place, Result, ensure, until};

/// How long a task may be neither done nor to be seen where tasks that wait cannot be looked up.
const UNSEEN: Duration = Duration::from_secs(20);

/// What a row allows.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// How many runs a task may have beyond those that it needs: one for each fault that hits it.
    pub extra_runs_of_a_task: usize,
    /// How many acknowledged tasks may be lost: none, but where a mode promises nothing.
    pub lost: usize,
    /// When the last fault was over, and how soon work has to go on.
    pub recovery: Option<(Timestamp, Duration)>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            extra_runs_of_a_task: 1,
            lost: 0,
            recovery: None,
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// Enqueues that were acknowledged.
    pub acknowledged: usize,
    /// Enqueues that were refused.
    pub refused: usize,
    /// Acknowledged tasks that neither ended nor are there.
    pub lost: usize,
    /// Runs beyond those that the tasks needed.
    pub extra_runs: usize,
    /// Effects beyond one for each task.
    pub extra_effects: usize,
    /// Dead letters.
    pub buried: usize,
    /// From the end of the last fault until a task that was enqueued after it had ended.
    pub recovery: Option<Duration>,
    /// What else there is to say.
    pub note: String,
}

/// What the ledger says of one task.
struct Story<'a>(&'a [Line]);

impl Story<'_> {
    fn count(&self, deed: Deed) -> usize {
        self.0.iter().filter(|line| line.deed == deed).count()
    }

    fn has(&self, deed: Deed) -> bool {
        self.count(deed) > 0
    }

    /// A task that fails once needs two runs, one that is held so many times one more than that.
    fn extra_runs(&self) -> usize {
        let id = self.0.first().map_or("", |line| &line.task);
        let mut parts = id.split(['-', '~']);
        let unsuccessful = match (parts.next(), parts.next()) {
            (Some("failing"), _) => 1,
            (Some("held"), Some(attempts)) => attempts.parse().unwrap_or(0),
            _ => 0,
        };
        self.count(Deed::Started).saturating_sub(1 + unsuccessful)
    }
}

/// When tasks ended that were acknowledged after this instant.
pub(super) fn ended_after(tasks: &BTreeMap<String, Vec<Line>>, after: Timestamp) -> Vec<Timestamp> {
    let end = |lines: &Vec<Line>| {
        let acknowledged = lines.iter().find(|line| line.deed == Deed::Acknowledged)?;
        let ended = lines.iter().find(|line| line.deed == Deed::Ended)?;
        (acknowledged.at > after).then_some(ended.at.max(acknowledged.at))
    };
    tasks.values().filter_map(end).collect()
}

/// Waits until all is done, and judges.
pub(super) async fn judge(folder: &Path, place: &Place, bounds: &Bounds) -> Result<Finding> {
    let store = &place.connect().await?;
    let (lost, buried) = drained(folder, store, place.ids()).await?;
    let tasks = Ledger::read(folder)?;
    let mut finding = Finding {
        lost: lost.len(),
        buried: buried.len(),
        ..Finding::default()
    };
    for (id, lines) in &tasks {
        let story = Story(lines);
        finding.acknowledged += usize::from(story.has(Deed::Acknowledged));
        finding.refused += usize::from(story.has(Deed::Refused));
        finding.extra_runs += story.extra_runs();
        finding.extra_effects += story.count(Deed::Effect).saturating_sub(1);
        ensure(story.extra_runs() <= bounds.extra_runs_of_a_task, || {
            format!("{id} has {} runs too many", story.extra_runs())
        })?;
        // A refused task may never run: nobody was told that it would.
        ensure(
            !(story.has(Deed::Refused) && story.has(Deed::Started)),
            || format!("{id} was refused, and has run"),
        )?;
    }
    ensure(finding.lost <= bounds.lost, || {
        format!("{} acknowledged tasks are lost: {lost:?}", finding.lost)
    })?;
    ensure(finding.extra_effects == 0, || {
        format!("{} effects too many", finding.extra_effects)
    })?;
    quiet(store).await?;
    if let Some((from, within)) = bounds.recovery {
        let first = ended_after(&tasks, from).into_iter().min();
        let first = first.ok_or("nothing has ended since the last fault")?;
        let recovery = first.since(from);
        finding.recovery = Some(recovery);
        ensure(recovery <= within, || {
            format!("work went on after {recovery:?}; expected at most {within:?}")
        })?;
    }
    Ok(finding)
}

/// Waits until every acknowledged task has ended or is gone; answers which are gone, and which are
/// dead letters.
async fn drained(
    folder: &Path,
    store: &Connection,
    ids: Ids,
) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let mut left = BTreeMap::new();
    let unseen = Instant::now() + UNSEEN;
    let outcome = until("the backlog to be done", PATIENCE, async || {
        left.clear();
        let (mut lost, mut buried) = (BTreeSet::new(), BTreeSet::new());
        let mut open = BTreeSet::new();
        for (id, lines) in Ledger::read(folder)? {
            let story = Story(&lines);
            if story.has(Deed::Acknowledged) && !story.has(Deed::Ended) {
                open.insert(id);
            }
        }
        for id in open {
            let inspect = store.broker.inspect().ok_or("no operator's view")?;
            let Some(task) = inspect.get(&TaskId::new(id_of(&id))?).await? else {
                lost.insert(id);
                continue;
            };
            match task.state {
                State::Dead => {
                    buried.insert(id);
                }
                state => {
                    left.insert(id, state);
                }
            }
        }
        // What ended between the two looks is not lost.
        if !lost.is_empty() {
            let tasks = Ledger::read(folder)?;
            lost.retain(|id| {
                let lines = tasks.get(id).map_or(&[][..], Vec::as_slice);
                !Story(lines).has(Deed::Ended)
            });
        }
        // RabbitMQ cannot be asked for a task: it may be on its way.
        let is_sure = lost.is_empty() || ids == Ids::Caller || Instant::now() >= unseen;
        Ok((left.is_empty() && is_sure).then_some((lost, buried)))
    })
    .await;
    outcome.map_err(|error| format!("{error}; {} are left: {left:?}", left.len()).into())
}

/// Waits until the store says that nothing is left to do: its counters have to be right, too.
async fn quiet(store: &Connection) -> Result {
    let mut busy = Vec::new();
    let outcome = until("the store to be quiet", PATIENCE, async || {
        busy = store.broker.stats(&[]).await?;
        busy.retain(|queue| queue.pending + queue.active + queue.retry > 0);
        Ok(busy.is_empty().then_some(()))
    })
    .await;
    outcome.map_err(|error| format!("{error}: {busy:?}").into())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Bounds, Finding, judge};
    use crate::Result;
    use crate::faults::ledger::{Deed, Ledger};

    async fn judged(deeds: &[(Deed, u32, &str)]) -> Result<Finding> {
        let folder = tempfile::tempdir()?;
        write(folder.path(), deeds)?;
        judge(folder.path(), &"memory:".into(), &Bounds::default()).await
    }

    fn write(folder: &Path, deeds: &[(Deed, u32, &str)]) -> Result {
        let ledger = Ledger::open(folder)?;
        for (deed, attempt, token) in deeds {
            ledger.note(*deed, "fast-1", *attempt, token)?;
        }
        Ok(())
    }

    const RUN: [(Deed, u32, &str); 3] = [
        (Deed::Started, 1, "t"),
        (Deed::Effect, 1, "t"),
        (Deed::Ended, 1, "t"),
    ];

    #[tokio::test]
    async fn a_task_that_has_run_is_counted() -> Result {
        let finding = judged(&[&[(Deed::Acknowledged, 0, "")], &RUN[..]].concat()).await?;
        assert_eq!((finding.acknowledged, finding.extra_runs), (1, 0));
        Ok(())
    }

    #[tokio::test]
    async fn an_acknowledged_task_that_is_nowhere_is_lost() {
        let error = judged(&[(Deed::Acknowledged, 0, "")]).await.unwrap_err();
        assert!(error.to_string().contains("lost"), "{error}");
    }

    #[tokio::test]
    async fn a_second_token_is_a_second_effect() {
        let again = [(Deed::Started, 2, "u"), (Deed::Effect, 2, "u")];
        let error = judged(&[&RUN[..], &again].concat()).await.unwrap_err();
        assert!(error.to_string().contains("effects"), "{error}");
    }

    #[tokio::test]
    async fn more_runs_than_faults_are_too_many() {
        let again = [(Deed::Started, 2, "t"), (Deed::Started, 3, "t")];
        let error = judged(&[&RUN[..], &again].concat()).await.unwrap_err();
        assert!(error.to_string().contains("runs too many"), "{error}");
    }

    #[tokio::test]
    async fn a_refused_task_must_not_run() {
        let refused = [(Deed::Refused, 0, "")];
        let error = judged(&[&refused[..], &RUN].concat()).await.unwrap_err();
        assert!(error.to_string().contains("refused"), "{error}");
    }
}
