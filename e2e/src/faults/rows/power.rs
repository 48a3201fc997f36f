//! The power fails: what was not on the disk is gone.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::faults::redis::Redis;
use crate::faults::scene::{Scene, Trial};
use crate::faults::{Bounds, Finding};
use crate::{Result, ensure, pause};

/// Redis writes once a second, and may be a second behind with that.
const WINDOW: Duration = Duration::from_secs(2);

/// A file system in a file. Dropping this unmounts it.
#[derive(Debug)]
struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

impl Disk {
    fn make(image: &Path) -> Result<Self> {
        std::fs::File::create(image)?.set_len(32 * 1_048_576)?;
        run(Command::new("mkfs.ext4").arg("-q").arg(image))?;
        Self::mount(image)
    }

    fn mount(image: &Path) -> Result<Self> {
        let mount = image.with_extension("mount");
        std::fs::create_dir_all(&mount)?;
        run(Command::new("mount")
            .args(["-o", "loop"])
            .arg(image)
            .arg(&mount))?;
        Ok(Self {
            image: image.to_owned(),
            mount,
        })
    }

    /// What the disk would have if the power failed now. Whoever writes has to be stopped.
    fn cut(&self) -> Result<PathBuf> {
        let copy = self.image.with_extension("cut");
        std::fs::copy(&self.image, &copy)?;
        Ok(copy)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(run(Command::new("umount").arg("-l").arg(&self.mount)));
    }
}

fn run(command: &mut Command) -> Result {
    let output = command.output()?;
    ensure(output.status.success(), || {
        format!(
            "{command:?}: {}; this row mounts a file: it needs root, loop devices, and e2fsprogs",
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

/// F12: a power cut at each setting of `appendfsync`. What is promised at the first is measured at all.
pub(super) async fn cut(trial: &Trial) -> Result<Finding> {
    let mut finding = of(trial, "always", 0).await?;
    let everysec = of(trial, "everysec", usize::MAX).await?;
    let no = of(trial, "no", usize::MAX).await?;
    finding.note = format!(
        "with appendfsync always; with everysec {} of {} were lost, all of the last {WINDOW:?}; with no, {} of {}",
        everysec.lost, everysec.acknowledged, no.lost, no.acknowledged
    );
    Ok(finding)
}

async fn of(trial: &Trial, policy: &str, lost: usize) -> Result<Finding> {
    let trial = trial.part(policy)?;
    let settings = ["--appendonly", "yes", "--appendfsync", policy];
    let mut redis = Redis::down(&trial.folder, "redis", &settings)?;
    let disk = Disk::make(&trial.folder.join("disk"))?;
    redis.keep_in(&disk.mount);
    redis.restart().await?;
    let mut scene = Scene::empty(&trial, &redis.url());
    scene.feeder(&[])?;
    scene
        .seen(scene.now(), |line| {
            line.deed == crate::faults::Deed::Acknowledged
        })
        .await?;
    pause(trial.length).await;
    redis.signal(Signal::SIGSTOP)?;
    let cut_at = scene.now();
    let copy = disk.cut()?;
    redis.kill()?;
    drop(disk);

    let disk = Disk::mount(&copy)?;
    redis.keep_in(&disk.mount);
    redis.restart().await?;
    let store = tidemill::connect(&redis.url()).await?;
    let mut gone = Vec::new();
    for (id, lines) in scene.lines()? {
        let Some(line) = lines.first().filter(|line| line.at < cut_at) else {
            continue;
        };
        let inspect = store.broker.inspect().ok_or("no operator's view")?;
        if inspect.get(&tidemill::TaskId::new(&id)?).await?.is_none() {
            gone.push(line.at);
        }
    }
    if policy == "everysec" {
        let oldest = gone.iter().min().map(|at| cut_at.since(*at));
        ensure(oldest.is_none_or(|age| age <= WINDOW), || {
            format!("one that was acknowledged {oldest:?} before the cut is gone")
        })?;
    }
    let back = scene.now();
    scene.worker(&[])?;
    scene.at_work(back, 10).await?;
    let bounds = Bounds {
        extra_runs_of_a_task: 0,
        lost,
        recovery: Some((back, Duration::from_secs(5))),
    };
    let finding = scene.finish(&bounds).await;
    redis.kill()?;
    drop(disk);
    finding
}
