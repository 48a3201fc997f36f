//! Worker processes that are killed, one after the other, while tasks arrive at a fixed rate.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tidemill::Connection;
use tokio::time::interval;

use crate::Result;
use crate::report::Report;
use crate::scenario::Settings;
use crate::scenario::load::Deed;
use crate::scenario::open::beside;
use crate::watch::Peril;

pub(super) async fn run(settings: &Settings, connection: &Connection) -> Result<Report> {
    let mut dice = StdRng::seed_from_u64(settings.seed);
    let mut kills = 0;
    let deed = |number| Deed::short(settings.seed, number);
    let opened = beside(settings, connection, deed, Peril::Kills, async |crew| {
        let mut ticks = interval(settings.kill_every);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            crew.replace(dice.random_range(0..settings.workers)).await?;
            kills += 1;
        }
    });
    let opened = opened.await?;
    let title = "worker processes are killed while tasks arrive at a fixed rate";
    let mut report = opened.report(settings, title);
    report
        .fact("seed", settings.seed)
        .fact("lease", tidemill::format_duration(settings.lease))
        .fact("kills", kills)
        .fact("ended_and_repeated", opened.starts.repeated as u64);
    if !opened.starts.again.is_empty() {
        report.spread("again_after_kill", &opened.starts.again);
    }
    if kills == 0 {
        report.complain("no worker was killed: let tasks arrive for longer".to_owned());
    }
    Ok(report)
}
