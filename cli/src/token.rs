//! `tidemill token`: who is let in by the HTTP API.

use std::time::Duration;

use clap::{Args, Subcommand};
use tidemill::{NoteName, QueueName};
use tidemill_control::{Role, Scope, TokenRecord, Tokens};

use crate::audit::{self, ReasonArgs};
use crate::context::{Context, Missing};
use crate::output::{Format, OutputArgs, Rows, instant, or_dash};
use crate::problem::Problem;
use crate::settings::Settings;
use crate::values;

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it: the only time that it can be seen
    Create(CreateArgs),
    /// List tokens, without their secrets
    List(OutputArgs),
    /// End a token; its name stays taken, because audit records name it
    Revoke {
        /// Its name
        #[arg(value_name = "NAME")]
        name: NoteName,
        #[command(flatten)]
        reason: ReasonArgs,
    },
}

/// A token.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tidemill token create ada --role admin --expires-in 90d
  tidemill token create mailer --role operator --queue mail --queue bounce")]
pub(crate) struct CreateArgs {
    /// Its name, which stands in audit records
    #[arg(value_name = "NAME")]
    name: NoteName,
    /// What its holder may do: viewer (looks), operator (enqueues, changes) or admin (removes, hands out tokens)
    #[arg(long, value_name = "ROLE")]
    role: Role,
    /// Only in this queue; may be given several times
    #[arg(long = "queue", value_name = "NAME", allow_hyphen_values = true)]
    queues: Vec<QueueName>,
    /// When it ends, from now
    #[arg(long, value_name = "DUR", value_parser = values::positive_duration, allow_hyphen_values = true)]
    expires_in: Option<Duration>,
    #[command(flatten)]
    reason: ReasonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Does it.
pub(crate) async fn run(command: TokenCommand, settings: Settings) -> Result<(), Problem> {
    let mut context = Context::open(settings, Missing::Create).await?;
    let tokens = Tokens::new(&context.connection);
    match command {
        TokenCommand::Create(args) => create(args, &tokens, &mut context).await?,
        TokenCommand::List(output) => list(&tokens, output.format, &mut context).await?,
        TokenCommand::Revoke { name, reason } => {
            let there = match &context.remote {
                Some(remote) => remote.revoke_token(&name).await?,
                None => tokens.revoke(&name).await?,
            };
            if !there {
                return Err(Problem::failed(format!("there is no token {name}"))
                    .hint("`tidemill token list` shows them"));
            }
            audit::keep(&context, "revoke_token", name.as_str(), &reason).await;
            context.out.line(&format!("token {name} revoked"))?;
        }
    }
    context.out.flush()
}

async fn create(args: CreateArgs, tokens: &Tokens, context: &mut Context) -> Result<(), Problem> {
    let end = args.expires_in.map(|after| context.clock().now() + after);
    let queues = Scope {
        queues: args.queues,
    };
    let by = &context.settings.actor;
    let issued = match &context.remote {
        Some(remote) => {
            remote
                .issue_token(&args.name, args.role, &queues, end)
                .await?
        }
        None => tokens.issue(args.name, args.role, queues, end, by).await?,
    };
    let name = issued.record.name.as_str();
    audit::keep(context, "issue_token", name, &args.reason).await;
    match args.output.format {
        Format::Table => context.out.line(&issued.text),
        Format::Json => {
            let answer = serde_json::json!({ "token": issued.text, "record": issued.record });
            context.out.json(&answer)
        }
    }
}

async fn list(tokens: &Tokens, format: Format, context: &mut Context) -> Result<(), Problem> {
    let now = context.clock().now();
    let mut rows = Rows::new(&[
        "NAME", "ROLE", "QUEUES", "STATE", "CREATED", "BY", "EXPIRES",
    ]);
    let all = match &context.remote {
        Some(remote) => remote.tokens().await?,
        None => tokens.list().await?,
    };
    for token in all {
        match format {
            Format::Json => context.out.json(&token)?,
            Format::Table => rows.add(row(&token, now)),
        }
    }
    match format {
        Format::Json => Ok(()),
        Format::Table => context.out.table(&rows),
    }
}

fn row(token: &TokenRecord, now: tidemill::Timestamp) -> [String; 7] {
    let queues: Vec<_> = token.queues.queues.iter().map(QueueName::as_str).collect();
    let state = match (token.revoked_at, token.is_good(now)) {
        (Some(_), _) => "revoked",
        (None, true) => "good",
        (None, false) => "expired",
    };
    [
        token.name.to_string(),
        token.role.to_string(),
        match queues.is_empty() {
            true => "all".into(),
            false => queues.join(","),
        },
        state.into(),
        instant(token.created_at),
        token.created_by.clone(),
        or_dash(token.expires_at.map(instant)),
    ]
}
