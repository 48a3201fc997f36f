//! From arguments to an exit status.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::grammar::{Cli, Command, LogFormat};
use crate::output::Out;
use crate::problem::Problem;
use crate::settings::Settings;
use crate::{
    check, clean, completions, control, cron, dead, dev, enqueue, logging, presence, producer,
    queue, repair, schedule, task, token, worker,
};

/// How long the end of the process waits for what cannot be stopped.
const LAST_WAIT: Duration = Duration::from_millis(500);

/// Does what the arguments say.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    match start(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => problem.tell(),
    }
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

fn start(cli: Cli) -> Result<(), Problem> {
    match cli.command {
        Command::Completions { shell } => return completions::write(shell),
        Command::Cron(command) => {
            let mut out = Out::new();
            cron::run(&command, &mut out)?;
            return out.flush();
        }
        _ => {}
    }
    let settings = Settings::resolve(cli.global)?;
    let default = match (&cli.command, settings.log_format) {
        (Command::Worker(_) | Command::Producer(_) | Command::Control(_), _)
        | (Command::Dev(_), LogFormat::Json) => "info",
        // The live log on standard output tells all that a person wants to know.
        (Command::Dev(_), LogFormat::Human) => "error",
        (Command::Check, _) => "warn",
        // How the server is set up is told by `check` and by the roles, not by each call of a script.
        _ => "warn,tidemill_redis::checks=off",
    };
    logging::start(settings.log_format, settings.log.as_deref(), default)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Problem::failed("the runtime cannot be started").because(e))?;
    let done = runtime.block_on(dispatch(cli.command, settings));
    runtime.shutdown_timeout(LAST_WAIT);
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
        Command::Check => Box::pin(check::run(settings)).await,
        // Neither needs settings or a runtime: done in `start`.
        Command::Cron(_) | Command::Completions { .. } => Ok(()),
    }
}
