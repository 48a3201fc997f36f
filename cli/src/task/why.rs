//! `tidemill task why`.

use tidemill::TaskId;

use crate::clean;
use crate::context::Context;
use crate::output::Format;
use crate::problem::Problem;

/// Says why a task is where it is.
pub(super) async fn run(id: &TaskId, format: Format, context: &mut Context) -> Result<(), Problem> {
    let Some(task) = context.inspect()?.get(id).await? else {
        return Err(Problem::failed(format!("there is no task {id}"))
            .hint("it may have ended and not be kept: see --retention of `tidemill enqueue`"));
    };
    let findings = context.why(&task).await?;
    match format {
        Format::Json => {
            let answer = serde_json::json!({ "id": id, "state": task.state, "findings": findings });
            context.out.json(&answer)?;
        }
        Format::Table => {
            context.out.line(&format!("task {id} is {}", task.state))?;
            for finding in findings {
                let text = clean::line(&finding.text);
                context.out.line(&format!("  {text}"))?;
                if let Some(remedy) = finding.remedy {
                    context.out.line(&format!("    {remedy}"))?;
                }
            }
        }
    }
    context.out.flush()
}
