//! Schedules in files: `[[schedule]]` entries, read strictly, with the place of what is wrong.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tidemill::schedule::Schedule;
use toml::Spanned;

use crate::problem::Problem;
use crate::settings::file::{self, FileForm};
use crate::settings::locate::{line_of_key, unknown, wrong_key};
use crate::settings::places::Places;

/// The schedules of one file, and the name under which they are owned.
#[derive(Clone, Debug)]
pub(crate) struct ScheduleSource {
    /// `file:` and the file's name, unless the file says `source = "…"`.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Which version of the file was read.
    pub(crate) stamp: Stamp,
    pub(crate) schedules: Vec<Schedule>,
    /// The line of each.
    lines: Vec<usize>,
}

/// What tells one version of a file from another: when it was changed, which nobody can set back, its length, and
/// which file it is. A file that is missing has none.
pub(crate) type Stamp = Option<((i64, i64), u64, u64)>;

/// The present version of a file.
pub(crate) fn stamp(path: &Path) -> Stamp {
    let file = path.metadata().ok()?;
    Some(((file.ctime(), file.ctime_nsec()), file.len(), file.ino()))
}

/// A file and those that it names, as far as it can be read.
pub(crate) fn named_files(path: &Path) -> Vec<PathBuf> {
    // What is read from a pipe is gone, and it may never end.
    if !path.is_file() {
        return vec![path.to_owned()];
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let form = super::read_text(path).and_then(|text| file::parse(&text, path));
    let named = form.map(|form| form.schedules).unwrap_or_default();
    let named = named.into_iter().map(|other| folder.join(other));
    std::iter::once(path.to_owned()).chain(named).collect()
}

impl ScheduleSource {
    /// Each schedule with its place, such as `jobs.toml:3`.
    pub(crate) fn placed(&self) -> impl Iterator<Item = (String, &Schedule)> {
        let path = self.path.display();
        let lines = self.lines.iter().copied();
        lines
            .zip(&self.schedules)
            .map(move |(line, schedule)| (format!("{path}:{line}"), schedule))
    }
}

/// The schedules of a file and of the files that it names. An id may stand in one place only.
pub(crate) fn read_sources(path: &Path) -> Result<Vec<ScheduleSource>, Problem> {
    // Taken first: what changes while it is read counts as changed since.
    let version = stamp(path);
    let text = super::read_text(path)?;
    let form = file::parse(&text, path)?;
    let named = form.schedules.clone();
    let mut sources = vec![source(&text, path, version, form)?];
    let folder = path.parent().unwrap_or(Path::new(""));
    for other in named {
        let other = folder.join(other);
        let version = stamp(&other);
        let text = super::read_text(&other).map_err(|problem| {
            let line = line_of_key(&text, &["schedules"]);
            let lister = path.display();
            problem.hint(format!("{lister}:{line} lists it under `schedules`, relative to the folder of that file; mend or remove the entry"))
        })?;
        let form = file::parse(&text, &other)?;
        if !form.schedules.is_empty() {
            let hint = match other.canonicalize().ok() == path.canonicalize().ok() {
                true => "it is named in itself; its own schedules count without that".to_owned(),
                false => format!("name them in {} instead", path.display()),
            };
            let problem = Problem::usage(format!("{} names further files", other.display()));
            return Err(problem.hint(hint));
        }
        sources.push(source(&text, &other, version, form)?);
    }
    only_once(&sources)?;
    Ok(sources)
}

/// The schedules in the text of a file.
pub(crate) fn parse_source(text: &str, path: &Path) -> Result<ScheduleSource, Problem> {
    source(text, path, None, file::parse(text, path)?)
}

fn source(
    text: &str,
    path: &Path,
    stamp: Stamp,
    form: FileForm,
) -> Result<ScheduleSource, Problem> {
    let name = match form.source {
        Some(name) => name,
        None => {
            let name = path.file_name().unwrap_or(path.as_os_str());
            format!("file:{}", name.display())
        }
    };
    let places = Places::of(text);
    let entries = form.schedule.into_iter().enumerate();
    let entries = entries.map(|(index, entry)| {
        let place = places.of_key(index, "id").unwrap_or(entry.span().start);
        let schedule = schedule(&places, path, index, entry)?;
        Ok((schedule, places.line_of(place)))
    });
    let (schedules, lines) = entries
        .collect::<Result<Vec<_>, Problem>>()?
        .into_iter()
        .unzip();
    Ok(ScheduleSource {
        name,
        path: path.to_owned(),
        stamp,
        schedules,
        lines,
    })
}

fn schedule(
    places: &Places<'_>,
    path: &Path,
    index: usize,
    entry: Spanned<toml::Value>,
) -> Result<Schedule, Problem> {
    let start = entry.span().start;
    let value = json(entry.into_inner()).map_err(|message| {
        let place = places.of_endless_number(index).unwrap_or(start);
        wrong_key(&message, path, places.line_of(place))
    })?;
    serde_json::from_value(value.clone()).map_err(|error| {
        let message = error.to_string();
        let place = blamed(&value, &message)
            .and_then(|key| places.of_key(index, &key))
            .unwrap_or(start);
        let id = value.get("id").and_then(Value::as_str);
        let problem = wrong_key(&message, path, places.line_of(place));
        match id {
            Some(id) if !message.contains(id) => {
                problem.during(format!("schedule {id} of {} is wrong", path.display()))
            }
            _ => problem,
        }
    })
}

/// The JSON of a TOML value; dates become text.
fn json(value: toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => serde_json::Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| {
                format!("{number} cannot be written as JSON; expected a finite number")
            })?,
        toml::Value::Boolean(truth) => Value::Bool(truth),
        toml::Value::Datetime(at) => Value::String(at.to_string()),
        toml::Value::Array(items) => {
            Value::Array(items.into_iter().map(json).collect::<Result<_, _>>()?)
        }
        toml::Value::Table(entries) => {
            let entries = entries.into_iter();
            let entries = entries.map(|(key, value)| Ok((key, json(value)?)));
            Value::Object(entries.collect::<Result<_, String>>()?)
        }
    })
}

/// The key of an entry that makes it wrong: the unknown one, or else the first that spoils an entry
/// that is right without it, or else the last without which this entry is right: of two that
/// contradict each other.
fn blamed(entry: &Value, message: &str) -> Option<String> {
    if message.starts_with("unknown field") {
        return unknown(message).map(str::to_owned);
    }
    let spoils = |key: &str, value: &Value| {
        let mut trial = Map::new();
        trial.insert("id".into(), "x".into());
        trial.insert("kind".into(), "x".into());
        if !matches!(key, "every" | "at" | "cron") {
            trial.insert("cron".into(), "* * * * *".into());
        }
        trial.insert(key.into(), value.clone());
        serde_json::from_value::<Schedule>(Value::Object(trial)).is_err()
    };
    let heals = |key: &str| {
        let mut trial = entry.clone();
        let fields = trial.as_object_mut();
        fields.is_some_and(|fields| fields.remove(key).is_some())
            && serde_json::from_value::<Schedule>(trial).is_ok()
    };
    let keys = entry.as_object()?;
    let spoiling = keys.iter().find(|(key, value)| spoils(key, value));
    let spoiling = spoiling.map(|(key, _)| key);
    spoiling
        .or_else(|| keys.keys().rfind(|key| heals(key)))
        .cloned()
}

fn only_once(sources: &[ScheduleSource]) -> Result<(), Problem> {
    let mut ids = HashMap::new();
    let mut names = HashMap::new();
    for source in sources {
        let shown = source.path.display();
        if let Some(first) = names.insert(&source.name, &source.path) {
            return Err(Problem::usage(format!(
                "{} and {shown} own their schedules under the same name, {}",
                first.display(),
                source.name
            ))
            .hint("give one of them another name with `source = \"…\"` at its top"));
        }
        for (place, schedule) in source.placed() {
            if let Some(first) = ids.insert(&schedule.id, place.clone()) {
                return Err(Problem::usage(format!(
                    "{place}: the schedule id {} stands twice; it stands in {first} too",
                    schedule.id
                ))
                .hint("give one of them another id"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::path::Path;

    use super::parse_source;

    /// Were the text looked through for each entry, this would take the better part of an hour.
    #[test]
    fn a_long_file_is_read_once_for_all_its_entries() {
        const ENTRIES: usize = 50_000;
        let mut text = String::new();
        for n in 0..ENTRIES {
            writeln!(
                text,
                "[[schedule]]\nevery = \"1h\"\nid = \"s{n}\"\nkind = \"k\""
            )
            .unwrap();
        }
        let source = parse_source(&text, Path::new("jobs.toml")).unwrap();
        let (place, last) = source.placed().last().unwrap();
        assert_eq!(source.schedules.len(), ENTRIES);
        assert_eq!(place, format!("jobs.toml:{}", 4 * ENTRIES - 1));
        assert_eq!(last.id.as_str(), format!("s{}", ENTRIES - 1));
    }
}
