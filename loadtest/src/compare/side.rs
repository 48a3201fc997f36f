//! One side of a comparison: a program that runs a scenario and says in a line of JSON what it found.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use crate::Result;
use crate::meter::Meter;
use crate::meter::Store;
use crate::place::Target;
use crate::wrong_call::WrongCall;

/// Its exit status when it does not do what is asked for.
pub(crate) const SKIPPED: u8 = 77;
/// How long one turn of one side may take.
const PATIENCE: Duration = Duration::from_secs(900);

/// Who is compared.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    /// How it is called in the tables.
    pub(crate) name: String,
    program: PathBuf,
    command: Option<&'static str>,
    /// What it is told besides.
    flags: Vec<String>,
}

/// What a turn came to.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Its line of JSON.
    Found(Value),
    /// It does not do that, and says why.
    Skipped(String),
}

impl Side {
    /// `this` build, the `floor`, `peer:NAME` of a folder of peers, or the path of another build; behind it,
    /// after blanks, flags of its own.
    pub(crate) fn parse(whole: &str, peers: &Path) -> Result<Self> {
        let (text, flags) = match whole.split_once(' ') {
            Some(parts) if !Path::new(whole).is_file() => parts,
            _ => (whole, ""),
        };
        let flags: Vec<String> = flags.split_whitespace().map(str::to_owned).collect();
        let wrong = |why: String| Err(WrongCall(why).into());
        let own = std::env::current_exe()?;
        let side = |program: PathBuf, command| Self {
            name: whole.to_owned(),
            program,
            command,
            flags: flags.clone(),
        };
        match text.split_once(':') {
            None if text == "this" => Ok(side(own, Some("run"))),
            None if text == "floor" => Ok(side(own, Some("floor"))),
            Some(("peer", name)) => {
                let program = peers.join(name).join("run");
                if program.is_file() {
                    return Ok(side(program, None));
                }
                let known = folders(peers);
                wrong(format!(
                    "there is no peer {name:?} in {}; expected one of: {known}",
                    peers.display()
                ))
            }
            _ if Path::new(text).is_file() => Ok(side(std::fs::canonicalize(text)?, Some("run"))),
            _ => wrong(format!(
                "{text:?} is no side of a comparison; expected `this`, `floor`, `peer:NAME`, or the path of \
                 another tidemill-loadtest"
            )),
        }
    }

    /// Runs the scenario once, on this store. What the broker and the program used in all, from
    /// its start to its end, is added to what it found.
    pub(crate) async fn turn(&self, target: &Target, arguments: &[String]) -> Result<Turn> {
        let store = Store::at(target).await?;
        let meter = Meter::start(store, &[]).await?;
        let used = children();
        let output = self.output(target, arguments).await?;
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim_end();
        if output.status.code() == Some(SKIPPED.into()) {
            let why = said.lines().last().unwrap_or("it does not say why");
            return Ok(Turn::Skipped(why.to_owned()));
        }
        if !output.status.success() {
            return Err(format!("{} ended with {}: {said}", self.name, output.status).into());
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().last().unwrap_or_default();
        let mut found: Value = serde_json::from_str(line)
            .map_err(|error| format!("{} ended without a line of JSON: {error}", self.name))?;
        self.check(&found)?;
        let tasks = found["tasks"].as_u64().unwrap_or(1);
        let costs = meter.end(&[], usize::try_from(tasks)?).await?;
        found["whole_broker_cpu_us_per_task"] = costs.broker_cpu().into();
        let used = children().saturating_sub(used).as_secs_f64() * 1e6;
        found["whole_program_cpu_us_per_task"] = (used / tasks as f64).into();
        Ok(Turn::Found(found))
    }

    async fn output(&self, target: &Target, arguments: &[String]) -> Result<Output> {
        let mut command = Command::new(&self.program);
        command.args(self.command);
        target.tell(&mut command);
        command.args(arguments).args(&self.flags);
        command.args(["-o", "json"]);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(PATIENCE, command.output()).await;
        let output = output.map_err(|_| format!("{} does not come to an end", self.name))?;
        output.map_err(|error| {
            let program = self.program.display();
            format!("{program} cannot be started: {error}").into()
        })
    }

    /// A figure of tasks that were lost is none.
    fn check(&self, found: &Value) -> Result {
        for name in ["lost", "duplicates"] {
            if found[name].as_u64() != Some(0) {
                return Err(format!("{}: {name} is {}; expected 0", self.name, found[name]).into());
            }
        }
        if found["tasks"].as_u64().unwrap_or(0) == 0 {
            return Err(format!("{} does not say how many tasks it ran", self.name).into());
        }
        Ok(())
    }
}

fn folders(peers: &Path) -> String {
    let found = std::fs::read_dir(peers).into_iter().flatten().flatten();
    let mut names: Vec<String> = found
        .filter(|folder| folder.path().join("run").is_file())
        .map(|folder| folder.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names.join(", ")
}

/// Processor time of the children that have ended, and of theirs.
fn children() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let (_, after_name) = stat.rsplit_once(')').unwrap_or_default();
    let fields = after_name.split_whitespace().skip(13).take(2);
    let ticks: u64 = fields.filter_map(|text| text.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}
