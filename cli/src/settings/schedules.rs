//! Schedules in files: `[[schedule]]` entries, read strictly, with the place of what is wrong.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Map, Value};
use tidemill::schedule::Schedule;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::Problem;
use crate::settings::file::{self, FileForm};
use crate::settings::locate::{line_of, line_of_key, unknown, wrong_key};

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

/// What tells one version of a file from another: when it was changed, and its length. A file that is
/// missing has none.
pub(crate) type Stamp = Option<(SystemTime, u64)>;

/// The present version of a file.
pub(crate) fn stamp(path: &Path) -> Stamp {
    let file = path.metadata().ok()?;
    Some((file.modified().ok()?, file.len()))
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
            return Err(
                Problem::usage(format!("{} names further files", other.display()))
                    .hint(format!("name them in {} instead", path.display())),
            );
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
    let entries = form.schedule.into_iter().enumerate();
    let entries = entries.map(|(index, entry)| {
        let place = place_of(text, index, "id").unwrap_or(entry.span().start);
        let schedule = schedule(text, path, index, entry)?;
        Ok((schedule, line_of(text, place)))
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
    text: &str,
    path: &Path,
    index: usize,
    entry: Spanned<toml::Value>,
) -> Result<Schedule, Problem> {
    let start = entry.span().start;
    let value = json(entry.into_inner()).map_err(|message| {
        let place = endless_number(text, index).unwrap_or(start);
        wrong_key(&message, path, line_of(text, place))
    })?;
    serde_json::from_value(value.clone()).map_err(|error| {
        let message = error.to_string();
        let place = blamed(&value, &message)
            .and_then(|key| place_of(text, index, &key))
            .unwrap_or(start);
        let id = value.get("id").and_then(Value::as_str);
        let problem = wrong_key(&message, path, line_of(text, place));
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

/// Where a key of the entry with this index stands, at any depth.
fn place_of(text: &str, index: usize, key: &str) -> Option<usize> {
    in_entry(text, index, |entry| {
        find_key(entry.get_ref().as_table()?, key)
    })
}

/// Where the first number of the entry with this index stands that is none: `inf` or `nan`.
fn endless_number(text: &str, index: usize) -> Option<usize> {
    fn find(value: &Spanned<DeValue<'_>>) -> Option<usize> {
        match value.get_ref() {
            DeValue::Float(number) => {
                let finite = number.as_str().parse().is_ok_and(f64::is_finite);
                (!finite).then(|| value.span().start)
            }
            DeValue::Array(items) => items.iter().find_map(find),
            DeValue::Table(entries) => entries.iter().find_map(|(_, value)| find(value)),
            _ => None,
        }
    }
    in_entry(text, index, find)
}

fn in_entry(
    text: &str,
    index: usize,
    look: impl Fn(&Spanned<DeValue<'_>>) -> Option<usize>,
) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let entries = document.get_ref().get("schedule")?;
    look(entries.get_ref().as_array()?.get(index)?)
}

fn find_key(table: &DeTable<'_>, key: &str) -> Option<usize> {
    let here = table.iter().find(|(name, _)| name.get_ref() == key);
    here.map(|(name, _)| name.span().start).or_else(|| {
        let tables = table
            .iter()
            .filter_map(|(_, value)| value.get_ref().as_table());
        tables.into_iter().find_map(|inner| find_key(inner, key))
    })
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
