//! Networks that delay, cut and swallow.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use crate::faults::proxy::{Proxy, Weather};
use crate::faults::redis::{EVERY_SECOND, Redis};
use crate::faults::scene::{Scene, Trial};
use crate::faults::{Bounds, Finding};
use crate::{Result, ensure, pause, until};

/// How soon work has to go on after clear weather has come.
const BACK: Duration = Duration::from_secs(8);

/// F15: one weather after the other between everybody and Redis.
pub(super) async fn weather(trial: &Trial) -> Result<Finding> {
    let redis = Redis::start(&trial.folder, "redis", &EVERY_SECOND).await?;
    let proxy = Proxy::to(redis.port(), trial.seed).await?;
    let url = format!("{}?timeout=1s&connect_timeout=2s", proxy.url());
    let scene = Scene::start(trial, &url, 2).await?;
    let clients: usize = redis.info("connected_clients")?.parse()?;
    let length = trial.length / 2;
    let (late, spread) = (Duration::from_millis(300), Duration::from_millis(100));
    let skies = [
        Weather::Late(late, spread),
        Weather::Silent,
        Weather::Reset,
        Weather::Narrow(1_000),
        Weather::Sliced(7),
        Weather::Clear,
        Weather::Reset,
        Weather::Clear,
        Weather::Silent,
    ];
    for sky in skies {
        proxy.set(sky);
        // The toggle is quick, the others last.
        let is_toggle = matches!(sky, Weather::Clear);
        pause(if is_toggle { length / 3 } else { length }).await;
    }
    proxy.set(Weather::Clear);
    let clear = scene.now();
    scene.at_work(clear, 10).await?;
    let few = Duration::from_secs(10);
    until("the connections to be as few as before", few, async || {
        let now: usize = redis.info("connected_clients")?.parse()?;
        Ok((now <= clients + 2).then_some(()))
    })
    .await?;
    let bounds = Bounds {
        extra_runs_of_a_task: 3,
        recovery: Some((clear, BACK)),
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    finding.note = "late, silent, reset, narrow, sliced, toggled".to_owned();
    Ok(finding)
}

/// F16: replies are lost after what they answer was done.
pub(super) async fn lost_replies(trial: &Trial) -> Result<Finding> {
    let redis = Redis::start(&trial.folder, "redis", &[]).await?;
    let proxy = Proxy::to(redis.port(), trial.seed).await?;
    // Its record tells a second enqueue with the same id that the first one was taken.
    let feeder = ["--retention", "1h", "--rate", "200"];
    let scene = Scene::start_with(trial, &proxy.url(), 2, &feeder).await?;
    let mut random = StdRng::seed_from_u64(trial.seed);
    let (start, mut cuts) = (Instant::now(), 0);
    while start.elapsed() < trial.length {
        proxy.set(Weather::Cut(random.random_range(1..40)));
        pause(Duration::from_millis(20)).await;
        proxy.set(Weather::Clear);
        cuts += 1;
        scene.at_work(scene.now(), 3).await?;
    }
    let clear = scene.now();
    scene.at_work(clear, 10).await?;
    let bounds = Bounds {
        extra_runs_of_a_task: 0,
        recovery: Some((clear, BACK)),
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    finding.note = format!("{cuts} cuts");
    Ok(finding)
}

/// F25: all connections are closed, again and again; then Redis closes idle ones after a second.
pub(super) async fn closed_connections(trial: &Trial) -> Result<Finding> {
    let redis = Redis::start(&trial.folder, "redis", &[]).await?;
    let scene = Scene::start(trial, &redis.url(), 2).await?;
    let clients: usize = redis.info("connected_clients")?.parse()?;
    let (start, mut closed) = (Instant::now(), 0);
    while start.elapsed() < trial.length {
        closed += redis.ask::<u32>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])?;
        scene.at_work(scene.now(), 5).await?;
        pause(Duration::from_millis(500)).await;
    }
    redis.ask::<()>(&["CONFIG", "SET", "timeout", "1"])?;
    pause(Duration::from_secs(2)).await;
    redis.ask::<()>(&["CONFIG", "SET", "timeout", "0"])?;
    let end = scene.now();
    scene.at_work(end, 10).await?;
    let now: usize = redis.info("connected_clients")?.parse()?;
    ensure(now <= clients + 2, || {
        format!("{clients} connections before, {now} afterwards")
    })?;
    let bounds = Bounds {
        extra_runs_of_a_task: 1,
        recovery: Some((end, Duration::from_secs(5))),
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    finding.note = format!("{closed} connections closed");
    Ok(finding)
}
