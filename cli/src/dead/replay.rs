//! `tidemill dead replay`.

use clap::Args;
use serde_json::value::RawValue;
use tidemill::{Change, QueueName, Replay, check_json};

use super::{DeadSelectArgs, change};
use crate::context::Context;
use crate::problem::Problem;
use crate::values;

/// Which dead letters come back, and how.
#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    select: DeadSelectArgs,
    /// Count failures and crashes from zero again; otherwise each gets one more run
    #[arg(long)]
    reset_attempts: bool,
    /// Apply this JSON merge patch (RFC 7396) to the payload
    #[arg(long, value_name = "JSON")]
    edit: Option<String>,
    /// Into this queue instead of its own
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    to_queue: Option<QueueName>,
    /// Not before this long from now
    #[arg(long = "in", value_name = "DUR", value_parser = values::duration, allow_hyphen_values = true)]
    delay: Option<std::time::Duration>,
}

pub(super) async fn run(args: &ReplayArgs, context: &mut Context) -> Result<(), Problem> {
    let edit = args.edit.as_deref().map(patch).transpose()?;
    let replay = Replay {
        to_queue: args.to_queue.clone(),
        reset_attempts: args.reset_attempts,
        edit,
        at: args.delay.map(|delay| context.clock().now() + delay),
    };
    change(&args.select, &Change::Replay(replay), "replayed", context).await
}

fn patch(text: &str) -> Result<Box<RawValue>, Problem> {
    check_json(text.as_bytes()).map_err(|e| Problem::from(e).during("--edit is wrong"))?;
    RawValue::from_string(text.trim().to_owned())
        .map_err(|e| Problem::usage("--edit is not JSON").because(e))
}
