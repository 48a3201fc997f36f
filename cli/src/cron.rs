//! `tidemill cron`: what an expression means, without a broker.

use clap::{Args, Subcommand};
use tidemill::schedule::{CronExpr, Zone};
use tidemill::{Clock, SystemClock, Timestamp};

use crate::output::{Format, Out, OutputArgs};
use crate::problem::Problem;

/// What can be asked about an expression.
#[derive(Debug, Subcommand)]
pub(crate) enum CronCommand {
    /// Print the next instants of an expression, RFC 3339 with offset, one a line
    Next {
        #[command(flatten)]
        cron: CronArgs,
        /// How many
        #[arg(long, short = 'n', value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000), allow_hyphen_values = true)]
        count: u32,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Say in words what an expression means, and show its next five instants
    Explain {
        #[command(flatten)]
        cron: CronArgs,
    },
}

/// An expression and where and when to start.
#[derive(Args, Debug)]
pub(crate) struct CronArgs {
    /// 5 fields (minute hour day month weekday), 6 (seconds first) or 7 (seconds first, year last)
    #[arg(value_name = "EXPR", allow_hyphen_values = true)]
    expression: String,
    /// Time zone of the tzdb, such as Europe/Madrid
    #[arg(long = "tz", value_name = "ZONE", default_value = "UTC")]
    zone: String,
    /// Start after this instant instead of now
    #[arg(long, value_name = "TS", allow_hyphen_values = true)]
    from: Option<Timestamp>,
}

struct Cron {
    expression: CronExpr,
    zone: Zone,
    from: Timestamp,
}

impl CronArgs {
    fn read(&self) -> Result<Cron, Problem> {
        Ok(Cron {
            expression: CronExpr::parse(&self.expression)?,
            zone: Zone::new(&self.zone)?,
            from: self.from.unwrap_or_else(|| SystemClock.now()),
        })
    }
}

impl Cron {
    fn instants(&self) -> impl Iterator<Item = Timestamp> {
        let next = |after: &Timestamp| self.expression.next_after(*after, &self.zone);
        std::iter::successors(next(&self.from), next)
    }

    /// What is said of an expression whose years have passed.
    fn never_again(&self) -> String {
        format!("the expression never fires again after {}", self.from)
    }
}

/// The instant on the clocks of a zone, RFC 3339 with its offset.
pub(crate) fn in_zone(at: Timestamp, zone: &Zone) -> String {
    let local = at.to_jiff().to_zoned(zone.to_jiff().clone());
    let precise = if at.as_micros() % 1_000_000 == 0 {
        "%Y-%m-%dT%H:%M:%S%:z"
    } else {
        "%Y-%m-%dT%H:%M:%S%.3f%:z"
    };
    local.strftime(precise).to_string()
}

/// Answers.
pub(crate) fn run(command: &CronCommand, out: &mut Out) -> Result<(), Problem> {
    match command {
        CronCommand::Next {
            cron,
            count,
            output,
        } => {
            let cron = cron.read()?;
            let count = usize::try_from(*count).unwrap_or(usize::MAX);
            if cron.instants().next().is_none() {
                return Err(Problem::usage(cron.never_again()).hint(
                    "`tidemill cron explain` says what it means; give later years, or none",
                ));
            }
            for at in cron.instants().take(count) {
                let shown = in_zone(at, &cron.zone);
                match output.format {
                    Format::Table => out.line(&shown)?,
                    Format::Json => out.json(&serde_json::json!({ "at": shown }))?,
                }
            }
        }
        CronCommand::Explain { cron } => {
            let cron = cron.read()?;
            out.line(&cron.expression.describe())?;
            if cron.instants().next().is_none() {
                return out.line(&cron.never_again());
            }
            out.line(&format!("next, in {}:", cron.zone.name()))?;
            for at in cron.instants().take(5) {
                out.line(&format!("  {}", in_zone(at, &cron.zone)))?;
            }
        }
    }
    Ok(())
}
