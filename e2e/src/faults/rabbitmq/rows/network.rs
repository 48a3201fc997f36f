//! Connections that go silent, or are closed.

use std::time::Duration;

use tokio::time::Instant;

use crate::faults::ledger::Deed;
use crate::faults::proxy::{Proxy, Weather};
use crate::faults::rabbitmq::Bed;
use crate::faults::scene::{Scene, Trial};
use crate::faults::{Bounds, Finding, Line};
use crate::{Result, ensure, pause};

/// How often each side shows that it is there.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// What `rabbitmqctl close_all_connections` does.
const CLOSE: &str = "[rabbit_networking:close_connection(Pid, \"maintenance\") || Pid <- rabbit_networking:connections()].";

/// How soon work has to go on.
const BACK: Duration = Duration::from_secs(5);

/// F35: nothing passes and nobody is told, for three heartbeats and more.
pub(super) async fn half_open(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    let proxy = Proxy::to(bed.node().port(), trial.seed).await?;
    let settings = "heartbeat=1s&timeout=2s&connect_timeout=1s";
    let place = bed.place_by(proxy.port(), "f35").with(settings);
    let scene = Scene::start(trial, &place, 2).await?;
    proxy.set(Weather::Silent);
    pause(HEARTBEAT * 5).await;
    proxy.set(Weather::Clear);
    let back = scene.now();
    scene.at_work(back, 10).await?;
    // Each of them is back.
    for worker in &scene.workers {
        let id = worker.id();
        let is_its = |line: &Line| line.deed == Deed::Ended && line.process == id;
        scene.seen(back, is_its).await?;
    }
    let limit = HEARTBEAT * 3 + BACK;
    let took = scene.now().since(back);
    ensure(took <= limit, || format!("they were back after {took:?}"))?;
    let bounds = Bounds {
        recovery: Some((back, BACK)),
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    finding.note = format!(
        "silent for {:?}, with a heartbeat of {HEARTBEAT:?}",
        HEARTBEAT * 5
    );
    Ok(finding)
}

/// F35b: an operator closes all connections, again and again.
pub(super) async fn closed(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    let scene = Scene::start(trial, &bed.place("f35b"), 2).await?;
    let (start, mut times) = (Instant::now(), 0);
    let mut back = scene.now();
    while start.elapsed() < trial.length {
        bed.node().eval(CLOSE).await?;
        back = scene.now();
        times += 1;
        scene.at_work(back, 10).await?;
    }
    let bounds = Bounds {
        extra_runs_of_a_task: times,
        recovery: Some((back, BACK)),
        ..Bounds::default()
    };
    let mut finding = scene.finish(&bounds).await?;
    finding.note = format!("{times} times");
    Ok(finding)
}
