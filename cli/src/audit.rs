//! Who changed what, and why: a line of the log for every change, and a note where it can be kept.

use serde_json::Value;
use tidemill::TaskId;
use tidemill::ledger::{LogLine, LogStream, Logs};
use tidemill_control::{AuditRecord, Auditor};

use crate::clean;
use crate::context::Context;
use crate::output::warn;
use crate::problem::Problem;

/// The flag that every changing command has.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct ReasonArgs {
    /// Why: kept in the audit line of the log, and with the task, queue or schedule where it can be
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(crate) reason: Option<String>,
}

impl ReasonArgs {
    pub(crate) fn text(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

fn reason(text: &str) -> tidemill::Result<String> {
    if text.trim().is_empty() || text.len() > 1_000 {
        return Err(tidemill::Error::invalid(
            "reason",
            "expected 1 to 1000 bytes of text",
        ));
    }
    Ok(text.to_owned())
}

/// Leaves a note in the log of a task, when there is a reason to note.
pub(crate) async fn note(
    context: &Context,
    task: &TaskId,
    attempt: u32,
    action: &str,
    reason: &ReasonArgs,
) -> Result<(), Problem> {
    match reason.text() {
        Some(_) => note_change(context, task, attempt, action, reason).await,
        None => Ok(()),
    }
}

/// Leaves in the log of a task who has changed it, and why where somebody said. Through an API the service does.
pub(crate) async fn note_change(
    context: &Context,
    task: &TaskId,
    attempt: u32,
    action: &str,
    reason: &ReasonArgs,
) -> Result<(), Problem> {
    if context.remote.is_some() {
        return Ok(());
    }
    let why = reason.text().map(|text| format!(": {text}"));
    let actor = clean::line(&context.settings.actor);
    let line = LogLine {
        at: context.clock().now(),
        attempt,
        stream: LogStream::System,
        text: format!("{action} by {actor}{}", why.unwrap_or_default()),
    };
    let lines = vec![line];
    Ok(Logs::append_log(context.ledger(), task, lines).await?)
}

/// Writes the audit line of a change, and keeps it for 90 days with those of the HTTP API. Through an API the
/// reason goes with the change itself, and the service keeps its own record.
pub(crate) async fn keep(context: &Context, action: &str, subject: &str, reason: &ReasonArgs) {
    keep_with(context, action, subject, None, reason).await;
}

/// The same with what the subject does not say, such as the filter of a replay.
pub(crate) async fn keep_with(
    context: &Context,
    action: &str,
    subject: &str,
    details: Option<Value>,
    reason: &ReasonArgs,
) {
    log(context, action, subject, reason);
    if context.remote.is_some() {
        return;
    }
    let record = AuditRecord {
        at: context.clock().now(),
        actor: context.settings.actor.clone(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        details,
        reason: reason.text().map(str::to_owned),
        from: Some("cli".into()),
        outcome: "done".into(),
    };
    // The change is made, and told as it is.
    if let Err(error) = Auditor::new(&context.connection).store(&record).await {
        warn(&format!(
            "it is done, but its audit record could not be kept: {error}"
        ));
    }
}

/// Writes the audit line alone, as of an enqueue: of these there are many, and they are remembered as tasks.
pub(crate) fn log(context: &Context, action: &str, subject: &str, reason: &ReasonArgs) {
    tracing::info!(
        target: "tidemill::audit",
        action,
        subject,
        actor = context.settings.actor,
        namespace = context.settings.namespace.as_str(),
        reason = reason.text(),
        from = "cli",
        "changed by an operator"
    );
}
