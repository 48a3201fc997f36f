//! Redis is not there yet, or does not want us.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::faults::certificates::{Term, authority, signed};
use crate::faults::redis::Redis;
use crate::faults::scene::{PATIENCE, Scene, Trial, last};
use crate::faults::{Bounds, Finding};
use crate::{Process, Result, ensure, pause, until};

const SECRET: &str = "hunter2";

/// F59: processes that start before Redis wait for it; a wrong password and an expired certificate
/// are said in words, and without the password.
pub(super) async fn at_the_start(trial: &Trial) -> Result<Finding> {
    let mut redis = Redis::down(&trial.folder, "redis", &["--requirepass", "right"])?;
    // Less than the time for which it is absent: a call would give up, a process must not.
    let url = format!("redis://:right@127.0.0.1:{}?timeout=1s", redis.port());
    let mut scene = Scene::empty(trial, &url);
    scene.worker(&[])?;
    scene.feeder(&[])?;
    pause(trial.length.max(Duration::from_secs(2))).await;
    for process in &mut scene.workers {
        ensure(process.is_running()?, || {
            format!("it did not wait: {}", last(process.errors().ok()))
        })?;
    }
    redis.launch()?;
    let there = scene.now();
    scene.at_work(there, 10).await?;
    scene.count_descriptors()?;

    let wrong = format!("redis://:{SECRET}@127.0.0.1:{}", redis.port());
    refused(trial, "password", &wrong, &["password"]).await?;
    let absent = Redis::down(&trial.folder, "absent", &[])?;
    let nobody = format!(
        "redis://:{SECRET}@127.0.0.1:{}?timeout=300ms",
        absent.port()
    );
    for role in ["worker", "producer"] {
        waits_until_told(trial, role, &nobody).await?;
    }
    authority(&trial.folder, "ca")?;
    signed(&trial.folder, "ca", "old", "IP:127.0.0.1", Term::Past)?;
    let mut tls = Redis::down(&trial.folder, "tls", &["--port", "0"])?;
    let (port, ca) = (tls.port().to_string(), trial.folder.join("ca.crt"));
    let folder = trial.folder.display();
    tls.set(&["--tls-port", &port, "--tls-auth-clients", "no"]);
    tls.set(&["--tls-cert-file", &format!("{folder}/old.crt")]);
    tls.set(&["--tls-key-file", &format!("{folder}/old.key")]);
    tls.set(&["--tls-ca-cert-file", &format!("{folder}/ca.crt")]);
    tls.launch()?;
    let expired = format!(
        "rediss://:{SECRET}@127.0.0.1:{port}?timeout=5s&ca={}",
        ca.display()
    );
    refused(trial, "expired", &expired, &["expired"]).await?;

    let bounds = Bounds {
        extra_runs_of_a_task: 0,
        recovery: Some((there, Duration::from_secs(5))),
        ..Bounds::default()
    };
    scene.finish(&bounds).await
}

/// A role with this URL says what it waits for, less and less often, and ends well at the first signal.
async fn waits_until_told(trial: &Trial, role: &str, url: &str) -> Result {
    let mut command = crate::faults::program::tidemill(url)?;
    command.arg(role).current_dir(&trial.folder);
    let mut process = Process::spawn(&format!("absent-{role}"), &mut command, &trial.folder)?;
    let said = || -> Result<String> { Ok(process.output()? + &process.errors()?) };
    until("two words about the absence", PATIENCE, async || {
        let words = said()?.matches("waiting for redis").count();
        Ok((words >= 2).then_some(()))
    })
    .await?;
    let words = said()?;
    ensure(words.contains("cannot be reached"), || {
        format!("{role}: the place is not in: {words}")
    })?;
    ensure(!words.contains(SECRET), || {
        format!("{role}: the password is in: {words}")
    })?;
    process.signal(Signal::SIGTERM)?;
    let status = process.ended(Duration::from_secs(5)).await?;
    ensure(status.success(), || format!("{role}: ended with {status}"))
}

/// A worker with this URL ends, says these words, and not the secret.
async fn refused(trial: &Trial, name: &str, url: &str, words: &[&str]) -> Result {
    let mut command = crate::faults::program::tidemill(url)?;
    command.arg("worker");
    let mut worker = Process::spawn(name, &mut command, &trial.folder)?;
    let status = worker.ended(PATIENCE).await?;
    let said = worker.errors()? + &worker.output()?;
    ensure(!status.success(), || format!("{name}: it ended well"))?;
    ensure(words.iter().all(|word| said.contains(word)), || {
        format!("{name}: expected {words:?} in: {said}")
    })?;
    ensure(!said.contains(SECRET), || {
        format!("{name}: the password is in: {said}")
    })
}
