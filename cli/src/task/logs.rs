//! `tidemill task logs`.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tidemill::ledger::{LogLine, LogStream, Logs};
use tidemill::{TaskId, Timestamp};

use crate::clean;
use crate::context::Context;
use crate::output::{Format, OutputArgs};
use crate::problem::Problem;

/// How often a followed log is looked at.
const FOLLOW: Duration = Duration::from_millis(300);
const PAGE: usize = 1_000;

/// Which log, and how it is shown.
#[derive(Args, Debug)]
pub(crate) struct LogsArgs {
    /// The task's id
    #[arg(value_name = "ID")]
    id: TaskId,
    /// Go on until the task has ended
    #[arg(long, short)]
    follow: bool,
    /// Of this attempt only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), allow_hyphen_values = true)]
    attempt: Option<u32>,
    /// Put instant, attempt and stream before each line
    #[arg(long, short)]
    timestamps: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct LineView<'a> {
    task_id: &'a TaskId,
    at: Timestamp,
    attempt: u32,
    stream: LogStream,
    text: &'a str,
}

pub(super) async fn run(args: &LogsArgs, context: &mut Context) -> Result<(), Problem> {
    let mut cursor = None;
    loop {
        // Asked before the log is read: what a task wrote before it ended is in that page or one
        // before, so that the last lines are not missed.
        let task = context.inspect()?.get(&args.id).await?;
        let Some(task) = task else {
            if cursor.is_some() {
                return context.out.flush();
            }
            return Err(Problem::failed(format!("there is no task {}", args.id))
                .hint("logs live as long as their task does"));
        };
        let ended = task.state.is_final();
        loop {
            let page = Logs::read_log(context.ledger(), &args.id, cursor, PAGE).await?;
            for line in &page.lines {
                show(args, line, context)?;
            }
            cursor = Some(page.next);
            if page.lines.len() < PAGE {
                break;
            }
        }
        context.out.flush()?;
        if ended || !args.follow {
            return Ok(());
        }
        let next = context.clock().now() + FOLLOW;
        context.clock().sleep_until(next).await;
    }
}

fn show(args: &LogsArgs, line: &LogLine, context: &mut Context) -> Result<(), Problem> {
    if args.attempt.is_some_and(|attempt| attempt != line.attempt) {
        return Ok(());
    }
    if args.output.format == Format::Json {
        return context.out.json(&LineView {
            task_id: &args.id,
            at: line.at,
            attempt: line.attempt,
            stream: line.stream,
            text: &line.text,
        });
    }
    let text = clean::block(&line.text);
    if args.timestamps {
        let stream = line.stream.as_str();
        return context
            .out
            .line(&format!("{} {} {stream:<7} {text}", line.at, line.attempt));
    }
    // Without more, a note of Tidemill could be taken for the command's own output.
    match line.stream {
        LogStream::System => context.out.line(&format!("[tidemill] {text}")),
        LogStream::Stdout | LogStream::Stderr | LogStream::Handler => context.out.line(&text),
    }
}
