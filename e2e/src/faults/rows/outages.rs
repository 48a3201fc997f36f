//! Servers that die.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use crate::faults::redis::{EVERY_SECOND, Redis};
use crate::faults::scene::{Scene, Trial};
use crate::faults::{Bounds, Finding};
use crate::{Result, pause};

/// How soon work has to go on once the server is back.
const BACK: Duration = Duration::from_secs(5);

/// F11: kill -9 and restart, again and again. The page cache outlives the process.
pub(super) async fn killed(trial: &Trial) -> Result<Finding> {
    let mut redis = Redis::start(&trial.folder, "redis", &EVERY_SECOND).await?;
    let scene = Scene::start(trial, &redis.url(), 2).await?;
    let mut random = StdRng::seed_from_u64(trial.seed);
    let (start, mut kills) = (Instant::now(), 0);
    let mut back = scene.now();
    while start.elapsed() < trial.length {
        pause(Duration::from_millis(random.random_range(100..1_500))).await;
        redis.kill()?;
        pause(Duration::from_millis(random.random_range(0..500))).await;
        redis.restart().await?;
        back = scene.now();
        kills += 1;
        scene.at_work(back, 5).await?;
    }
    let bounds = Bounds {
        extra_runs_of_a_task: kills,
        recovery: Some((back, BACK)),
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    finding.note = format!("{kills} kills");
    Ok(finding)
}
