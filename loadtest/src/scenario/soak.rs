//! A mixed load for a long time: nothing is lost, and nothing grows.

mod growth;

use std::time::Duration;

use serde_json::{Map, Value};
use tidemill::Connection;
use tokio::time::{Instant, interval};

use self::growth::Series;
use crate::Result;
use crate::crew::Crew;
use crate::meter::{Store, process};
use crate::report::{Report, rounded};
use crate::scenario::Settings;
use crate::scenario::load::Deed;
use crate::scenario::open::beside;
use crate::watch::Peril;

/// How many samples are taken at least, if they need not come faster than this.
const SAMPLES: u32 = 200;
const FASTEST: Duration = Duration::from_millis(500);

pub(super) async fn run(settings: &Settings, connection: &Connection) -> Result<Report> {
    let mut samples = Samples::default();
    let deed = |number| Deed::mixed(settings.seed, number);
    let opened = beside(settings, connection, deed, Peril::None, async |crew| {
        samples.take(settings, crew).await
    });
    let opened = opened.await?;
    let title = "a mixed load for a long time, and whether anything grows";
    let mut report = opened.report(settings, title);
    report
        .fact("seed", settings.seed)
        .fact("over", tidemill::format_duration(settings.over));
    samples.write(&mut report);
    Ok(report)
}

/// What may not grow, one series for each thing.
#[derive(Debug, Default)]
struct Samples(Vec<Series>);

impl Samples {
    /// Takes samples until it is dropped.
    async fn take(&mut self, settings: &Settings, crew: &Crew<'_>) -> Result {
        let own = std::process::id();
        let mut store = settings.store.clone();
        let mut ticks = interval((settings.over / SAMPLES).max(FASTEST));
        let start = Instant::now();
        loop {
            ticks.tick().await;
            let at = start.elapsed().as_secs_f64() / 3_600.0;
            let workers = crew.processes();
            for (number, worker) in workers.iter().filter(|worker| **worker != own).enumerate() {
                self.process(at, &format!("worker {}", number + 1), *worker);
            }
            self.process(at, "this process", own);
            if let Some(bytes) = store.bytes().await? {
                self.add("store", "bytes", at, bytes);
            }
            if let Store::Redis(_) = store
                && let Some(clients) = store.clients().await?
            {
                self.add("store", "connections", at, clients);
            }
        }
    }

    fn process(&mut self, at: f64, who: &str, process: u32) {
        if let Some(bytes) = process::rss(process) {
            self.add(who, "bytes", at, bytes);
        }
        if let Some((descriptors, sockets)) = process::descriptors(process) {
            self.add(who, "descriptors", at, descriptors);
            self.add(who, "connections", at, sockets);
        }
    }

    fn add(&mut self, who: &str, unit: &'static str, at: f64, value: u64) {
        let known = |series: &&mut Series| series.who == who && series.unit == unit;
        if let Some(series) = self.0.iter_mut().find(known) {
            series.add(at, value);
        } else {
            let mut series = Series::new(who, unit);
            series.add(at, value);
            self.0.push(series);
        }
    }

    /// The slopes, and a complaint when anything is not flat.
    fn write(&self, report: &mut Report) {
        let mut slopes = Map::new();
        for series in &self.0 {
            let Some(growth) = series.growth() else {
                report.complain("the soak was too short for a slope; let it go on".to_owned());
                return;
            };
            let name = format!("{} {}", series.who, series.unit);
            report.row(&name, growth.shown(series.unit));
            slopes.insert(name.replace(' ', "_"), rounded(growth.per_hour).into());
            if !growth.is_flat(series.unit) {
                report.complain(format!(
                    "{name} are not flat: {}",
                    growth.shown(series.unit)
                ));
            }
        }
        report.aside("slopes_per_hour", Value::Object(slopes));
    }
}
