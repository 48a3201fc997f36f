//! Which sources were applied together, as the store remembers it: one that its file names no more loses its schedules,
//! whoever applies that file next.

use std::collections::{BTreeMap, BTreeSet};

use tidemill::ledger::{Book, Notes, Precondition};
use tidemill::{Connection, Error, ErrorKind, NoteName};

use crate::problem::Problem;
use crate::settings::ScheduleSource;

/// The note that holds them.
const NOTE: &str = "files";
/// How often somebody else may have written at the same time.
const TRIES: u32 = 20;

/// By the source of the file that names the others: all of them, itself included.
type Parts = BTreeMap<String, BTreeSet<String>>;

/// The sources that were applied with these the last time, and are not named any more.
pub(super) async fn gone(
    connection: &Connection,
    sources: &[ScheduleSource],
) -> Result<Vec<String>, Problem> {
    let Some(main) = sources.first() else {
        return Ok(Vec::new());
    };
    let Some((_, parts)) = read(connection).await? else {
        return Ok(Vec::new());
    };
    let is_named = |name: &String| sources.iter().any(|source| source.name == *name);
    let known = parts.get(&main.name).into_iter().flatten();
    Ok(known.filter(|name| !is_named(name)).cloned().collect())
}

/// Notes that these belong together, and to no other file; with `gone`, that those are still to be removed.
pub(super) async fn remember(
    connection: &Connection,
    sources: &[ScheduleSource],
    gone: &[String],
) -> Result<(), Problem> {
    let Some(main) = sources.first() else {
        return Ok(());
    };
    let named = sources.iter().map(|source| &source.name);
    let together: BTreeSet<_> = named.chain(gone).cloned().collect();
    let name = NoteName::new(NOTE)?;
    for _ in 0..TRIES {
        let Some((version, before)) = read(connection).await? else {
            return Ok(());
        };
        let mut parts = before.clone();
        parts.remove(&main.name);
        for others in parts.values_mut() {
            others.retain(|other| !together.contains(other));
        }
        if together.len() > 1 {
            parts.insert(main.name.clone(), together.clone());
        }
        if parts == before {
            return Ok(());
        }
        let only_if = version.map_or(Precondition::Absent, Precondition::Version);
        let text = serde_json::to_string(&parts).map_err(unreadable)?;
        let ledger = &*connection.ledger;
        let put = Notes::put_note(ledger, Book::Sources, &name, &text, only_if, None).await?;
        if put.is_some() {
            return Ok(());
        }
    }
    Err(Problem::failed(
        "which files belong together cannot be noted: others write all the time",
    ))
}

/// What is noted, with its version; nothing where notes are not to be had, as through the HTTP API.
async fn read(connection: &Connection) -> Result<Option<(Option<u64>, Parts)>, Problem> {
    let name = NoteName::new(NOTE)?;
    match Notes::note(&*connection.ledger, Book::Sources, &name).await {
        Ok(None) => Ok(Some((None, Parts::new()))),
        Ok(Some(note)) => {
            let parts = serde_json::from_str(&note.text).map_err(unreadable)?;
            Ok(Some((Some(note.version), parts)))
        }
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn unreadable(error: serde_json::Error) -> Problem {
    let what = "the note of which files belong together";
    Error::new(ErrorKind::Internal, what, "it cannot be read")
        .with_source(error)
        .into()
}
