//! Several producers on one store.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tidemill::ledger::{FireOutcome, Ledger, Role, ScheduleRecord};
use tidemill::{ScheduleId, Timestamp};

use crate::{Event, Journal, Place, Process, Result, Store, actor, ensure, pause, tidemill, until};

/// Two producers fire schedules of one second; whichever leads is killed at random moments.
#[derive(Clone, Debug)]
pub struct Producers {
    /// The seed of the moments.
    pub seed: u64,
    /// How long it goes on.
    pub length: Duration,
    /// How many schedules there are.
    pub schedules: u32,
}

/// What was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// How many instants were fired and run, over all schedules.
    pub instants: usize,
    /// How many leaders were killed.
    pub kills: u32,
    /// The latest start behind its instant.
    pub latest: Duration,
}

impl Producers {
    /// Runs it; an error when an instant has no run or two, or a repeated apply changes something.
    pub async fn run(&self, folder: &Path) -> Result<Seen> {
        let stage = Stage::new(self.schedules, 1, folder).await?;
        let mut moments = StdRng::seed_from_u64(self.seed);
        let mut producers = vec![stage.producer(0)?, stage.producer(1)?];
        let worker = stage.worker()?;
        until("the first run", Duration::from_secs(20), async || {
            Ok(Journal::read(&stage.journal)?.pop())
        })
        .await?;
        stage.apply_ten_times().await?;

        let (from, mut kills) = (stage.store.now(), 0);
        while stage.store.now().since(from) < self.length {
            pause(Duration::from_millis(moments.random_range(500..4_000))).await;
            let leader = until("a leader", Duration::from_secs(20), async || {
                let present = stage
                    .store
                    .connection
                    .ledger
                    .present(Role::Producer)
                    .await?;
                let leads = |process: &Process| {
                    present
                        .iter()
                        .any(|one| one.leader && one.pid == process.id())
                };
                Ok(producers.iter().position(leads))
            })
            .await?;
            producers.swap_remove(leader).kill()?;
            kills += 1;
            producers.push(stage.producer(1 + kills)?);
        }
        let (instants, latest) = stage.judge(stage.store.now()).await?;
        drop(worker);
        Ok(Seen {
            instants,
            kills,
            latest,
        })
    }
}

/// The files and the store of one run.
pub(super) struct Stage {
    folder: PathBuf,
    place: Place,
    store: Store,
    journal: PathBuf,
    schedules: Vec<ScheduleId>,
}

impl Stage {
    pub(super) async fn new(schedules: u32, shards: u32, folder: &Path) -> Result<Self> {
        let place = Place::fresh(folder);
        let schedules = (0..schedules)
            .map(|number| ScheduleId::new(format!("tick-{number}")))
            .collect::<Result<Vec<_>, _>>()?;
        // Fires are put ahead for less than a leader's death lasts at worst, so that each takeover
        // matters.
        let mut text = format!("[producer]\nhorizon = \"4s\"\nlease = \"1s\"\nshards = {shards}\n");
        for id in &schedules {
            write!(
                text,
                "\n[[schedule]]\nid = \"{id}\"\nevery = \"1s\"\nkind = \"mark\"\npayload = {{}}\n"
            )?;
        }
        std::fs::write(folder.join("tidemill.toml"), text)?;
        Ok(Self {
            folder: folder.to_owned(),
            store: Store::open(&place).await?,
            place,
            journal: folder.join("runs"),
            schedules,
        })
    }

    fn tidemill(&self) -> Result<Command> {
        let mut command = tidemill(&self.place)?;
        command
            .arg("--config")
            .arg(self.folder.join("tidemill.toml"));
        Ok(command)
    }

    pub(super) fn producer(&self, number: u32) -> Result<Process> {
        let mut command = self.tidemill()?;
        command.arg("producer");
        Process::spawn(&format!("producer-{number}"), &mut command, &self.folder)
    }

    pub(super) fn worker(&self) -> Result<Process> {
        let mut command = actor("worker", &self.place)?;
        command.arg("--journal").arg(&self.journal);
        Process::spawn("worker", &mut command, &self.folder)
    }

    pub(super) fn ledger(&self) -> &dyn Ledger {
        &*self.store.connection.ledger
    }

    pub(super) fn now(&self) -> Timestamp {
        self.store.now()
    }

    /// Waits until an instant that is still to come has run, of each schedule.
    pub(super) async fn second_of_fires(&self) -> Result {
        let second = self.now().as_micros() / 1_000_000 + 1;
        self.ran(Timestamp::from_micros(second * 1_000_000)).await
    }

    async fn apply_ten_times(&self) -> Result {
        let before = self.definitions().await?;
        for _ in 0..10 {
            let file = self.folder.join("tidemill.toml");
            let output = self
                .tidemill()?
                .args(["schedule", "apply"])
                .arg(file)
                .output()?;
            ensure(output.status.success(), || {
                format!(
                    "schedule apply: {}",
                    String::from_utf8_lossy(&output.stderr)
                )
            })?;
        }
        let revisions = |records: &[ScheduleRecord]| -> Vec<_> {
            records
                .iter()
                .map(|record| (record.schedule.id.clone(), record.revision))
                .collect()
        };
        let (before, after) = (revisions(&before), revisions(&self.definitions().await?));
        ensure(before == after, || {
            format!("applying again made {after:?} of {before:?}")
        })
    }

    async fn definitions(&self) -> Result<Vec<ScheduleRecord>> {
        let ledger = &self.store.connection.ledger;
        Ok(ledger.schedules(None, 1_000).await?.items)
    }

    /// Waits until everything due up to here has run, then counts.
    pub(super) async fn judge(&self, to: Timestamp) -> Result<(usize, Duration)> {
        let second = Duration::from_secs(1);
        let last = Timestamp::from_micros(to.as_micros() / 1_000_000 * 1_000_000);
        self.ran(last).await?;
        let runs = self.runs()?;
        let mut latest = Duration::ZERO;
        for ((id, instant), starts) in &runs {
            let [start] = starts.as_slice() else {
                return Err(format!("{id} at {instant} ran {} times", starts.len()).into());
            };
            latest = latest.max(start.since(*instant));
        }
        let mut instants = 0;
        for id in &self.schedules {
            let mut found = runs
                .keys()
                .filter(|(of, _)| of == id)
                .map(|(_, instant)| *instant);
            let mut expected = found.next().ok_or_else(|| format!("{id} never ran"))?;
            for instant in found {
                expected = expected + second;
                ensure(instant == expected, || {
                    format!("{id} missed its instant {expected}")
                })?;
                instants += 1;
            }
            self.none_was_given_up(id).await?;
        }
        Ok((instants, latest))
    }

    /// Waits until an instant has run, of each schedule.
    async fn ran(&self, instant: Timestamp) -> Result {
        until("an instant to run", Duration::from_secs(20), async || {
            let runs = self.runs()?;
            let mut all = self.schedules.iter();
            let all = all.all(|id| runs.contains_key(&(id.clone(), instant)));
            Ok(all.then_some(()))
        })
        .await
    }

    /// The starts of each instant of each schedule, read from the ids of the tasks.
    fn runs(&self) -> Result<BTreeMap<(ScheduleId, Timestamp), Vec<Timestamp>>> {
        let mut runs: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for entry in Journal::read(&self.journal)? {
            if entry.event == Event::Started {
                let (id, instant) = entry
                    .task
                    .as_str()
                    .split_once('.')
                    .ok_or("a foreign task")?;
                let key = (
                    ScheduleId::new(id)?,
                    Timestamp::from_micros(instant.parse()?),
                );
                runs.entry(key).or_default().push(entry.at);
            }
        }
        Ok(runs)
    }

    async fn none_was_given_up(&self, id: &ScheduleId) -> Result {
        let fires = self.store.connection.ledger.fires(id, None, 1_000).await?;
        match fires
            .items
            .iter()
            .find(|fire| fire.outcome != FireOutcome::Enqueued)
        {
            None => Ok(()),
            Some(fire) => Err(format!(
                "{id} at {} was {}: {}",
                fire.scheduled_at,
                fire.outcome.as_str(),
                fire.reason.as_deref().unwrap_or("no reason given"),
            )
            .into()),
        }
    }
}
