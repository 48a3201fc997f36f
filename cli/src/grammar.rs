//! What can be typed: the global flags and the commands.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use tidemill::Namespace;

use crate::control::ControlArgs;
use crate::cron::CronCommand;
use crate::dead::DeadCommand;
use crate::dev::DevArgs;
use crate::enqueue::EnqueueArgs;
use crate::metrics::MetricsAddress;
use crate::output::OutputArgs;
use crate::producer::ProducerArgs;
use crate::queue::QueueCommand;
use crate::repair::RepairArgs;
use crate::schedule::ScheduleCommand;
use crate::task::TaskCommand;
use crate::token::TokenCommand;
use crate::top::TopArgs;
use crate::worker::WorkerArgs;

/// Schedules and application calls become tasks in a broker; workers run them.
///
/// Start with `tidemill dev`. Exit status: 0 done, 1 the operation failed, 2 the call or the
/// configuration is wrong. Errors go to standard error. Spans of traces go where
/// OTEL_EXPORTER_OTLP_ENDPOINT says, and nowhere when it is not set.
#[derive(Debug, Parser)]
#[command(
    name = "tidemill",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command. A flag wins over its environment variable, and that over the file.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Configuration file [default: tidemill.toml in the current folder, if there is one]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "TIDEMILL_CONFIG",
        hide_env_values = true
    )]
    pub(crate) config: Option<PathBuf>,

    /// Broker: sqlite:PATH, redis://HOST, amqp://HOST (beside --ledger) or memory: [default: sqlite:.tidemill/dev.db, the file of `tidemill dev`, if it exists]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "TIDEMILL_BROKER",
        hide_env_values = true
    )]
    pub(crate) broker: Option<String>,

    /// Ledger, where the broker cannot keep one itself
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "TIDEMILL_LEDGER",
        hide_env_values = true
    )]
    pub(crate) ledger: Option<String>,

    /// Go through the HTTP API of a control service instead of to the broker, such as
    /// `https://tasks.example.com`
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "TIDEMILL_API",
        hide_env_values = true
    )]
    pub(crate) api: Option<String>,

    /// The token for --api; in the environment or in a file (`token_file`), never in the arguments, which
    /// others can see
    #[arg(
        long,
        global = true,
        value_name = "TOKEN",
        env = "TIDEMILL_TOKEN",
        hide_env_values = true,
        hide = true
    )]
    pub(crate) token: Option<String>,

    /// Which [profile.NAME] of the configuration file: broker or API, token and namespace of one of
    /// several environments
    #[arg(long, global = true, value_name = "NAME", env = "TIDEMILL_PROFILE")]
    pub(crate) profile: Option<String>,

    /// Keeps several deployments apart in one store [default: default]
    #[arg(long, global = true, value_name = "NAME", env = "TIDEMILL_NAMESPACE")]
    pub(crate) namespace: Option<Namespace>,

    /// Shape of the log on standard error [default: human]
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        env = "TIDEMILL_LOG_FORMAT"
    )]
    pub(crate) log_format: Option<LogFormat>,

    /// What is logged: error, warn, info, debug, trace, or directives such as
    /// `warn,tidemill_worker=debug` [default: info for worker and producer, warn elsewhere]
    #[arg(long, global = true, value_name = "LEVEL", env = "TIDEMILL_LOG")]
    pub(crate) log: Option<String>,

    /// Where a role serves /metrics: HOST:PORT, or off [default: 127.0.0.1:9464 for producer and dev, 127.0.0.1:9465
    /// for worker, 127.0.0.1:9466 for control; a free port when that is taken]
    #[arg(long, global = true, value_name = "ADDRESS", env = "TIDEMILL_METRICS")]
    pub(crate) metrics: Option<MetricsAddress>,

    /// Who is named in audit lines
    #[arg(long, global = true, value_name = "NAME", env = "USER", hide = true)]
    pub(crate) actor: Option<String>,
}

/// The shape of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object per line.
    Json,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run producer, worker and control in one process, with sample schedules when there is no configuration
    Dev(DevArgs),
    /// Turn schedules into tasks
    Producer(ProducerArgs),
    /// Run tasks with the built-in handlers: command, http, echo, sleep, fail
    Worker(WorkerArgs),
    /// Serve the HTTP API for those who enqueue and operate
    Control(ControlArgs),
    /// Put a task in line and print its id
    Enqueue(Box<EnqueueArgs>),
    /// Look at tasks and change them
    #[command(subcommand)]
    Task(TaskCommand),
    /// Look at schedules and their fires, and change them
    #[command(subcommand)]
    Schedule(ScheduleCommand),
    /// Try cron expressions out
    #[command(subcommand)]
    Cron(CronCommand),
    /// Look at queues and change them
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Look at dead letters, put them back, remove them
    #[command(subcommand)]
    Dead(DeadCommand),
    /// Repair what failed in a range of time: show it, or put it back in line
    Repair(RepairArgs),
    /// Make, list and revoke tokens for the HTTP API
    #[command(subcommand)]
    Token(TokenCommand),
    /// List the workers that are alive
    Workers(OutputArgs),
    /// List the producers that are alive
    Producers(OutputArgs),
    /// Watch queues, workers, schedules and failures on the terminal, and act on them
    Top(TopArgs),
    /// Validate the configuration, reach the broker, say what is wrong and how to mend it
    Check,
    /// Write shell completions to standard output
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write man pages into a folder
    Man {
        /// The folder; it is made where it is not there
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

impl Command {
    /// The role of the process, by which its spans are told from others.
    pub(crate) const fn role(&self) -> &'static str {
        match self {
            Self::Dev(_) => "dev",
            Self::Producer(_) => "producer",
            Self::Worker(_) => "worker",
            Self::Control(_) => "control",
            _ => "cli",
        }
    }
}

/// The environment variables that mean something: those of the flags, and those that a command is
/// given by the handler that runs it.
pub(crate) fn known_variables() -> BTreeSet<String> {
    fn collect(command: &clap::Command, names: &mut BTreeSet<String>) {
        let variables = command.get_arguments().filter_map(clap::Arg::get_env);
        names.extend(
            variables
                .filter_map(|name| name.to_str())
                .map(str::to_owned),
        );
        for inner in command.get_subcommands() {
            collect(inner, names);
        }
    }
    let given = [
        "TIDEMILL_TASK_ID",
        "TIDEMILL_ATTEMPT",
        "TIDEMILL_IDEMPOTENCY_TOKEN",
        "TIDEMILL_SCHEDULE_ID",
        "TIDEMILL_SCHEDULED_AT",
    ];
    let mut names: BTreeSet<_> = given.map(str::to_owned).into();
    collect(&Cli::command(), &mut names);
    names
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }
}
