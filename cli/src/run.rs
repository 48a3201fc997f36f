//! From arguments to an exit status.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgMatches, FromArgMatches};
use tidemill::telemetry::Traces;

use crate::grammar::{Cli, Command, LogFormat};
use crate::logging::Pace;
use crate::output::Out;
use crate::problem::Problem;
use crate::settings::Settings;
use crate::{
    check, clean, completions, control, cron, dead, dev, enqueue, examples, logging, manual,
    presence, producer, queue, repair, schedule, task, token, top, worker,
};

/// How long the end of the process waits for what cannot be stopped.
const LAST_WAIT: Duration = Duration::from_millis(500);

/// How long the end of the process waits for the collector to take the last spans.
const FLUSH: Duration = Duration::from_secs(3);

/// Does what the arguments say.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let parsed = examples::grammar().try_get_matches_from(arguments);
    let parsed = parsed.and_then(|found| Ok((Cli::from_arg_matches(&found)?, reason(&found))));
    let (cli, reason) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return refuse(&error),
    };
    match start(cli, reason) {
        Ok(status) => status,
        Err(problem) => problem.tell(),
    }
}

/// The reason that any command was given: it goes through an API with each change.
fn reason(found: &ArgMatches) -> Option<String> {
    let mut found = found;
    while let Some((_, inner)) = found.subcommand() {
        found = inner;
    }
    found
        .try_get_one::<String>("reason")
        .ok()
        .flatten()
        .cloned()
}

/// Tells what the argument parser has to say: help on standard output, mistakes on standard error.
fn refuse(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Whoever asked for help and stopped reading has read enough.
        error.print().ok();
        return ExitCode::SUCCESS;
    }
    // The parser repeats what was typed, which may be long or hold control characters.
    let text = clean::block(&error.render().to_string());
    io::stderr().write_all(text.as_bytes()).ok();
    ExitCode::from(2)
}

fn start(cli: Cli, reason: Option<String>) -> Result<ExitCode, Problem> {
    match cli.command {
        Command::Completions { shell } => {
            return completions::write(shell).map(|()| ExitCode::SUCCESS);
        }
        Command::Man { folder } => return manual::write(&folder).map(|()| ExitCode::SUCCESS),
        Command::Cron(command) => {
            let mut out = Out::new();
            cron::run(&command, &mut out)?;
            return out.flush().map(|()| ExitCode::SUCCESS);
        }
        _ => {}
    }
    let mut settings = Settings::resolve(cli.global)?;
    if let Some(api) = &mut settings.api {
        api.reason = reason;
    }
    let default = match (&cli.command, settings.log_format) {
        (Command::Worker(_) | Command::Producer(_) | Command::Control(_), _)
        | (Command::Dev(_), LogFormat::Json) => "info",
        // The live log on standard output tells all that a person wants to know.
        (Command::Dev(_), LogFormat::Human) => "error",
        (Command::Check, _) => "warn",
        // A line of the log would stand in the middle of the screen.
        (Command::Top(_), _) => "off",
        // How the server is set up is told by `check` and by the roles, not by each call of a script.
        _ => "warn,tidemill_redis::checks=off",
    };
    let pace = match cli.command.role() {
        "cli" => Pace::AtOnce,
        _ => Pace::Beside,
    };
    let directives = settings.log.as_deref();
    let (flush, lost) = logging::start(settings.log_format, directives, default, pace)?;
    settings.lost_lines = lost;
    let in_json = pace == Pace::Beside && settings.log_format == LogFormat::Json;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Problem::failed("the runtime cannot be started").because(e))?;
    let service = format!("tidemill-{}", cli.command.role());
    let done = runtime.block_on(traced(&service, settings, |settings| {
        dispatch(cli.command, settings)
    }));
    runtime.shutdown_timeout(LAST_WAIT);
    let status = match done {
        // Whoever reads JSON can read nothing else.
        Err(problem) if in_json => {
            tracing::error!(target: "tidemill::end", "{}", problem.in_one_line());
            Ok(problem.status())
        }
        done => done.map(|()| ExitCode::SUCCESS),
    };
    drop(flush);
    status
}

/// Works with spans going where the environment says, and sees the last of them off.
async fn traced<F>(
    service: &str,
    mut settings: Settings,
    work: impl FnOnce(Settings) -> F,
) -> Result<(), Problem>
where
    F: Future<Output = Result<(), Problem>>,
{
    settings.traces = Traces::from_environment(service)?;
    let traces = settings.traces.clone();
    let done = work(settings).await;
    if let Some(traces) = traces {
        // Blocks, so on a thread that may. A fault there loses no more than spans.
        let flush = tokio::task::spawn_blocking(move || traces.shut_down(FLUSH));
        drop(flush.await);
    }
    done
}

async fn dispatch(command: Command, settings: Settings) -> Result<(), Problem> {
    // Boxed, because the sum of all commands would be one large future.
    match command {
        Command::Dev(args) => Box::pin(dev::run(args, settings)).await,
        Command::Producer(args) => Box::pin(producer::run(args, settings)).await,
        Command::Worker(args) => Box::pin(worker::run(args, settings)).await,
        Command::Control(args) => Box::pin(control::run(args, settings)).await,
        Command::Enqueue(args) => Box::pin(enqueue::run(*args, settings)).await,
        Command::Task(command) => Box::pin(task::run(command, settings)).await,
        Command::Schedule(command) => Box::pin(schedule::run(command, settings)).await,
        Command::Queue(command) => Box::pin(queue::run(command, settings)).await,
        Command::Dead(command) => Box::pin(dead::run(command, settings)).await,
        Command::Repair(args) => Box::pin(repair::run(args, settings)).await,
        Command::Token(command) => Box::pin(token::run(command, settings)).await,
        Command::Workers(args) => Box::pin(presence::workers(args, settings)).await,
        Command::Producers(args) => Box::pin(presence::producers(args, settings)).await,
        Command::Top(args) => Box::pin(top::run(args, settings)).await,
        Command::Check => Box::pin(check::run(settings)).await,
        // Neither needs settings or a runtime: done in `start`.
        Command::Cron(_) | Command::Completions { .. } | Command::Man { .. } => Ok(()),
    }
}
