//! Making the schedules of files be exactly those that they hold.

use serde::Serialize;
use tidemill::ledger::{Applied, Schedules};
use tidemill::{Connection, ErrorKind};

use crate::audit::{self, ReasonArgs};
use crate::context::Context;
use crate::output::{Format, counted};
use crate::problem::Problem;
use crate::settings::ScheduleSource;

#[derive(Serialize)]
struct AppliedView<'a> {
    source: &'a str,
    #[serde(flatten)]
    applied: &'a Applied,
}

pub(super) async fn apply(
    sources: Vec<ScheduleSource>,
    reason: &ReasonArgs,
    format: Format,
    context: &mut Context,
) -> Result<(), Problem> {
    for (source, applied) in apply_sources(&context.connection, sources).await? {
        audit::record(context, "applied", &source, reason);
        if format == Format::Json {
            context.out.json(&AppliedView {
                source: &source,
                applied: &applied,
            })?;
            continue;
        }
        context
            .out
            .line(&format!("{source}: {}", words(&applied)))?;
        for (sign, ids) in [
            ('+', &applied.added),
            ('~', &applied.changed),
            ('-', &applied.removed),
        ] {
            for id in ids {
                context.out.line(&format!("  {sign} {id}"))?;
            }
        }
    }
    Ok(())
}

/// What an application did, in one line.
pub(crate) fn words(applied: &Applied) -> String {
    format!(
        "{} added, {} changed, {} removed, {} unchanged, {} taken back",
        applied.added.len(),
        applied.changed.len(),
        applied.removed.len(),
        applied.unchanged,
        counted(applied.revoked, "task")
    )
}

/// Applies each file, all or nothing of it.
pub(crate) async fn apply_sources(
    connection: &Connection,
    sources: Vec<ScheduleSource>,
) -> Result<Vec<(String, Applied)>, Problem> {
    let mut done = Vec::new();
    for source in sources {
        let applied =
            Schedules::apply_schedules(&*connection.ledger, &source.name, source.schedules)
                .await
                .map_err(|error| {
                    let conflict = error.kind() == ErrorKind::Conflict;
                    let problem = Problem::from(error)
                        .during(format!("{} cannot be applied", source.path.display()));
                    match conflict {
                        true => problem.hint("give it another id, or delete the other one first"),
                        false => problem,
                    }
                })?;
        tracing::info!(source = source.name, "schedules: {}", words(&applied));
        done.push((source.name, applied));
    }
    Ok(done)
}
