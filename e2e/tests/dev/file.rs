//! `tidemill dev` in a clean folder, on the file that it makes there, looked at from another process.
//! By the name of this module `cargo xtask test` leaves the tests out where the store is another one.

use std::io::{BufRead, BufReader};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tidemill::{State, TaskFilter};
use tidemill_e2e::{Place, Process, Result, Store, ensure, until};

/// The program with nothing but its folder to go by.
fn bare(folder: &std::path::Path) -> Result<Command> {
    let mut command = tidemill_e2e::bare()?;
    command.current_dir(folder);
    Ok(command)
}

fn lines(output: &std::process::Output) -> Result<Vec<Value>> {
    let text = str::from_utf8(&output.stdout)?;
    text.lines()
        .map(|line| Ok(serde_json::from_str(line)?))
        .collect()
}

#[tokio::test]
async fn a_fire_has_run_a_real_command_within_fifteen_seconds() -> Result {
    let folder = tempfile::tempdir()?;
    let mut dev = Process::spawn("dev", bare(folder.path())?.arg("dev"), folder.path())?;
    let completed = until("a completed fire", Duration::from_secs(15), async || {
        ensure(dev.is_running()?, || dev.errors().unwrap_or_default())?;
        let list = bare(folder.path())?
            .args(["task", "list", "--state", "completed", "-o", "json"])
            .output()?;
        let tasks = if list.status.success() {
            lines(&list)?
        } else {
            Vec::new()
        };
        let of_a_fire = |task: &Value| task["kind"] == "command" && task["schedule_id"].is_string();
        Ok(tasks.into_iter().find(of_a_fire))
    })
    .await?;
    let id = completed["id"].as_str().ok_or("the task has no id")?;
    let logs = bare(folder.path())?.args(["task", "logs", id]).output()?;
    ensure(logs.status.success(), || {
        String::from_utf8_lossy(&logs.stderr).into_owned()
    })?;
    assert!(
        !logs.stdout.is_empty(),
        "the command's output is not in the log"
    );

    let out = bare(folder.path())?
        .args(["enqueue", "echo", "--payload", r#"{"hello":"tide"}"#])
        .output()?;
    ensure(out.status.success(), || {
        String::from_utf8_lossy(&out.stderr).into_owned()
    })?;
    let id = str::from_utf8(&out.stdout)?.trim().to_owned();
    until(
        "the enqueued task to complete",
        Duration::from_secs(10),
        async || {
            let get = bare(folder.path())?
                .args(["task", "get", &id, "-o", "json"])
                .output()?;
            let task: Value = serde_json::from_slice(&get.stdout)?;
            Ok((task["state"] == "completed" && task["result"]["hello"] == "tide").then_some(()))
        },
    )
    .await?;

    dev.signal(Signal::SIGINT)?;
    let status = dev.ended(Duration::from_secs(20)).await?;
    assert!(status.success(), "{status}: {}", dev.errors()?);
    Ok(())
}

/// `dev` talks to whoever watches it; when that has gone, it drains and ends, as for Ctrl-C.
#[tokio::test]
async fn a_closed_pipe_ends_dev_in_order() -> Result {
    let folder = tempfile::tempdir()?;
    let mut command = bare(folder.path())?;
    command.arg("dev");
    let (mut dev, pipe) = Process::spawn_with_pipe("dev", &mut command, folder.path())?;
    let mut first = String::new();
    BufReader::new(pipe).read_line(&mut first)?;
    // The pipe is closed now; what dev writes about the fires that follow finds nobody.
    assert!(!first.is_empty());
    dev.ended(Duration::from_secs(20)).await?;
    assert!(!dev.errors()?.contains("panicked"), "{}", dev.errors()?);
    let database = folder.path().join(".tidemill/dev.db");
    let store = Store::open(&Place::file(&database)).await?;
    let running = TaskFilter {
        states: vec![State::Active],
        ..TaskFilter::default()
    };
    assert!(
        store
            .inspect()?
            .list(&running, None, 10)
            .await?
            .items
            .is_empty()
    );
    Ok(())
}
