//! RabbitMQ is not there yet, or does not want us, or is not who we mean.

use std::process::Command;
use std::time::Duration;

use crate::faults::free_port;
use crate::faults::program::tidemill;
use crate::faults::rabbitmq::Bed;
use crate::faults::scene::{PATIENCE, Scene, Trial, last};
use crate::faults::{Bounds, Finding};
use crate::{Place, Process, Result, ensure, pause, until};

const SECRET: &str = "hunter2";

/// F59: processes that start before RabbitMQ wait for it; what only a person can mend is said at once.
pub(super) async fn at_the_start(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    let place = bed.place("f59").with("timeout=1s");
    let mut scene = Scene::empty(trial, &place);
    bed.node().kill()?;
    scene.worker(&[])?;
    scene.feeder(&[])?;
    pause(Duration::from_secs(2)).await;
    for process in &mut scene.workers {
        ensure(process.is_running()?, || {
            format!("it did not wait: {}", last(process.errors().ok()))
        })?;
    }
    bed.node().start().await?;
    let there = scene.now();
    scene.at_work(there, 10).await?;
    scene.count_descriptors()?;

    let (port, ledger) = (bed.node().port(), bed.redis.url());
    let at = |url: String| Place::at(&url, "f59").beside(&ledger);
    let wrong = at(format!("amqp://guest:{SECRET}@127.0.0.1:{port}"));
    let vhost = at(format!("amqp://guest:guest@127.0.0.1:{port}/nowhere"));
    for role in ["enqueue", "worker"] {
        told(trial, role, &wrong, 2, "refuses the user or the password").await?;
        told(trial, role, &vhost, 2, "has no vhost \"nowhere\"").await?;
    }
    let nobody = format!(
        "amqp://guest:{SECRET}@127.0.0.1:{}?timeout=500ms",
        free_port()?
    );
    told(trial, "enqueue", &at(nobody), 1, "cannot be reached").await?;

    let bounds = Bounds {
        extra_runs_of_a_task: 0,
        recovery: Some((there, Duration::from_secs(5))),
        ..Bounds::default()
    };
    scene.finish(&bounds).await
}

/// F59b: whoever is certified is let in; all others are told why, and nothing is sent to them.
pub(super) async fn encrypted(trial: &Trial, bed: &mut Bed) -> Result<Finding> {
    let tls = bed.tls.ok_or("the node speaks no TLS")?;
    let (plain, ledger) = (bed.node().port(), bed.redis.url());
    let home = bed.folder().display().to_string();
    let certified = format!("ca={home}/ca.crt&cert={home}/client.crt&key={home}/client.key");
    let at = |host: &str, port: u16, settings: &str| {
        let url = format!("amqps://guest:guest@{host}:{port}?timeout=3s&{settings}");
        Place::at(&url, "f59b").beside(&ledger)
    };
    let mut scene = Scene::empty(trial, at("localhost", tls, &certified));
    scene.worker(&[])?;
    scene.feeder(&[])?;
    scene.at_work(scene.now(), 10).await?;

    let stranger = format!("ca={home}/ca.crt&cert={home}/nobody.crt&key={home}/nobody.key");
    let unsigned = format!("ca={home}/ca.crt");
    let missing = format!("ca={home}/missing.crt");
    for (host, port, settings, words) in [
        ("127.0.0.1", tls, &*certified, "not valid for name"),
        ("localhost", tls, &*unsigned, "cert=FILE and key=FILE"),
        ("localhost", tls, &*stranger, "does not trust us"),
        ("localhost", tls, "", "name its CA with ca=FILE"),
        (
            "localhost",
            tls,
            &*missing,
            "the file that ca names cannot be read",
        ),
        ("localhost", plain, &*certified, "cannot be trusted"),
    ] {
        told(trial, "enqueue", &at(host, port, settings), 2, words).await?;
    }
    let port = free_port()?;
    let mut old = Command::new("openssl");
    old.args([
        "s_server",
        "-quiet",
        "-accept",
        &format!("localhost:{port}"),
    ]);
    old.args(["-cert", "old.crt", "-key", "old.key"]);
    let _old = Process::spawn("expired", old.current_dir(bed.folder()), &trial.folder)?;
    until("the expired server", PATIENCE, async || {
        Ok(std::net::TcpStream::connect(("localhost", port)).ok())
    })
    .await?;
    told(
        trial,
        "enqueue",
        &at("localhost", port, &certified),
        2,
        "expired",
    )
    .await?;
    let mut finding = scene.finish(&Bounds::default()).await?;
    finding.note =
        "a client's certificate asked for; wrong name, strangers, expiry told in words".into();
    Ok(finding)
}

/// A call to this place ends with this status, says these words, and not the secret.
async fn told(trial: &Trial, role: &str, place: &Place, status: i32, words: &str) -> Result {
    let mut command = tidemill(place)?;
    command.arg(role).current_dir(&trial.folder);
    if role == "enqueue" {
        command.arg("echo");
    }
    let mut process = Process::spawn("told", &mut command, &trial.folder)?;
    let ended = process.ended(PATIENCE).await?;
    let said = process.errors()? + &process.output()?;
    ensure(ended.code() == Some(status) && said.contains(words), || {
        format!("{role} ended with {ended}, expected {status} and {words:?}: {said}")
    })?;
    ensure(!said.contains(SECRET), || {
        format!("the password is in: {said}")
    })
}
