//! Making the schedules of files be exactly those that they hold.

use std::collections::BTreeMap;

use serde::Serialize;
use tidemill::ledger::{Applied, ScheduleRecord, Schedules};
use tidemill::{Connection, Error, ErrorKind, ScheduleId};

use super::parts;
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
    sources: &[ScheduleSource],
    reason: &ReasonArgs,
    format: Format,
    context: &mut Context,
) -> Result<(), Problem> {
    for (source, applied) in apply_sources(&context.connection, sources).await? {
        let subject = format!("schedules of {source}");
        audit::keep(context, "applied", &subject, reason).await;
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

/// What to do about an id that belongs to somebody else.
pub(super) const GIVE_WAY: &str = "give it another id, or delete the other one first";
/// How many schedules are read at once.
const PAGE: usize = 1_000;
/// So many ids of each kind stand in the line of the log.
const NAMED: usize = 20;

/// Applies each file, all or nothing of it, and removes what belongs to those that the first names no more. The files
/// have been checked before, and whether an id belongs to somebody else is looked at first for all of them, so that what is
/// wrong in one of them changes nothing of any.
pub(crate) async fn apply_sources(
    connection: &Connection,
    sources: &[ScheduleSource],
) -> Result<Vec<(String, Applied)>, Problem> {
    let gone = parts::gone(connection, sources).await?;
    // Within one file the store sees to it.
    if sources.len() + gone.len() > 1 {
        make_way(connection, sources, &gone).await?;
    }
    // Those that are gone with them, so that whoever is cut off between is made up for by the next.
    parts::remember(connection, sources, &gone).await?;
    let mut done = Vec::new();
    for name in &gone {
        let applied = Schedules::apply_schedules(&*connection.ledger, name, Vec::new()).await?;
        tracing::info!(
            source = name,
            "schedules: no file holds them any more; {}",
            words(&applied)
        );
        done.push((name.clone(), applied));
    }
    for source in sources {
        let schedules = source.schedules.clone();
        let applied = Schedules::apply_schedules(&*connection.ledger, &source.name, schedules)
            .await
            .map_err(|error| refused(source, error))?;
        tell(source, &applied);
        done.push((source.name.clone(), applied));
    }
    if !gone.is_empty() {
        parts::remember(connection, sources, &[]).await?;
    }
    Ok(done)
}

/// Gives schedules that have moved from one of these files to another to their new owner, as they are: paused, say,
/// and with what they fired. Fails before anything has changed where one belongs to somebody else.
async fn make_way(
    connection: &Connection,
    sources: &[ScheduleSource],
    gone: &[String],
) -> Result<(), Problem> {
    let stored = stored(connection).await?;
    let is_ours =
        |owner: &String| gone.contains(owner) || sources.iter().any(|source| source.name == *owner);
    let mut moved = Vec::new();
    for source in sources {
        for (place, schedule) in source.placed() {
            match stored.get(&schedule.id) {
                Some(known) if known.source == source.name => {}
                Some(known) if is_ours(&known.source) => moved.push((source, schedule)),
                Some(known) => return Err(taken(&place, &schedule.id, &known.source)),
                None => {}
            }
        }
    }
    for (source, schedule) in moved {
        Schedules::put_schedule(&*connection.ledger, &source.name, schedule.clone()).await?;
    }
    Ok(())
}

/// What the ledger knows of all schedules.
pub(super) async fn stored(
    connection: &Connection,
) -> Result<BTreeMap<ScheduleId, ScheduleRecord>, Problem> {
    let mut stored = BTreeMap::new();
    let mut cursor = None;
    loop {
        let page = Schedules::schedules(&*connection.ledger, cursor, PAGE).await?;
        let records = page.items.into_iter();
        stored.extend(records.map(|record| (record.schedule.id.clone(), record)));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(stored);
        }
    }
}

fn taken(place: &str, id: &ScheduleId, owner: &str) -> Problem {
    Problem::failed(format!("{place} cannot be applied"))
        .because(format!("schedule {id} belongs to {owner}"))
        .hint(GIVE_WAY)
}

/// Refuses schedules of which no fire could be made, each with its place.
pub(crate) fn check_sources(max_payload: usize, sources: &[ScheduleSource]) -> Result<(), Problem> {
    for (place, schedule) in sources.iter().flat_map(ScheduleSource::placed) {
        schedule
            .check(max_payload)
            .map_err(|error| Problem::from(error).during(place))?;
    }
    Ok(())
}

fn refused(source: &ScheduleSource, error: Error) -> Problem {
    if error.kind() != ErrorKind::Conflict {
        let what = format!("{} cannot be applied", source.path.display());
        return Problem::from(error).during(what);
    }
    // The store names the schedule, and the file knows its line.
    let text = error.to_string();
    let named = |id: &str| text.contains(&format!("schedule {id} belongs to "));
    let mut places = source.placed();
    let place = places.find(|(_, schedule)| named(schedule.id.as_str()));
    let place = place.map_or_else(|| source.path.display().to_string(), |(place, _)| place);
    Problem::from(error)
        .during(format!("{place} cannot be applied"))
        .hint(GIVE_WAY)
}

fn tell(source: &ScheduleSource, applied: &Applied) {
    let ids = |ids: &[ScheduleId]| {
        let named = ids.iter().take(NAMED).map(ScheduleId::as_str);
        let mut text = named.collect::<Vec<_>>().join(" ");
        if ids.len() > NAMED {
            text.push_str(" …");
        }
        (!ids.is_empty()).then_some(text)
    };
    tracing::info!(
        source = source.name,
        added = ids(&applied.added),
        changed = ids(&applied.changed),
        removed = ids(&applied.removed),
        "schedules: {}",
        words(applied)
    );
    if source.schedules.is_empty() && !applied.removed.is_empty() {
        tracing::warn!(
            file = %source.path.display(),
            removed = applied.removed.len(),
            "the file holds no schedules any more, so that those it held are gone"
        );
    }
}
