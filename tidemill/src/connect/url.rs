//! The URLs of stores.

use std::path::PathBuf;
use std::time::Duration;

use tidemill_embedded::{SqliteOptions, Synchronous};
use tidemill_rabbitmq::RabbitOptions;
use tidemill_redis::RedisOptions;
use tidemill_shared::{Error, Result, parse_duration};

/// What a URL names.
#[derive(Debug)]
pub(super) enum Place {
    Memory,
    Sqlite {
        path: PathBuf,
        options: SqliteOptions,
    },
    Redis(Box<RedisOptions>),
    Rabbit(Box<RabbitOptions>),
}

const EXPECTED: &str = "expected sqlite:PATH, redis://HOST, amqp://HOST or memory:";

const KNOWN: [&str; 8] = [
    "memory",
    "sqlite",
    "redis",
    "rediss",
    "redis+sentinel",
    "redis+cluster",
    "amqp",
    "amqps",
];

/// Reads a URL. No message repeats more of it than its scheme or the name of a setting, because a
/// URL may hold a password.
pub(super) fn parse(url: &str) -> Result<Place> {
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(wrong(format!("the broker URL has no scheme; {EXPECTED}")));
    };
    let scheme_is_plain = !scheme.is_empty()
        && scheme.len() <= 32
        && scheme
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
    match scheme {
        "memory" if rest.is_empty() => Ok(Place::Memory),
        "memory" => Err(wrong("memory: takes nothing after the colon".into())),
        "sqlite" => sqlite(rest),
        "redis" | "rediss" | "redis+sentinel" | "redis+cluster" => {
            Ok(Place::Redis(Box::new(RedisOptions::parse(url)?)))
        }
        "amqp" | "amqps" => Ok(Place::Rabbit(Box::new(RabbitOptions::parse(url)?))),
        _ if KNOWN.contains(&&*scheme.to_ascii_lowercase()) => Err(wrong(
            "the scheme of a broker URL is written in small letters".into(),
        )),
        _ if scheme_is_plain => Err(wrong(format!(
            "{scheme}: is not a kind of broker; {EXPECTED}"
        ))),
        _ => Err(wrong(format!("the broker URL has no scheme; {EXPECTED}"))),
    }
}

fn sqlite(rest: &str) -> Result<Place> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = match path.strip_prefix("//") {
        Some(absolute) if absolute.starts_with('/') => absolute,
        Some(_) => {
            return Err(wrong(
                "sqlite: is followed by a path, not by a host; expected sqlite:tasks.db or sqlite:/var/lib/tasks.db".into(),
            ));
        }
        None => path,
    };
    if path.is_empty() {
        return Err(wrong(
            "sqlite: lacks a path; expected one such as sqlite:tasks.db".into(),
        ));
    }
    if path == ":memory:" {
        return Err(wrong(
            "sqlite::memory: is not shared by anything; use memory: instead".into(),
        ));
    }
    if path.contains('\0') {
        return Err(wrong("the path holds a NUL character".into()));
    }
    let mut options = SqliteOptions::default();
    for setting in query.split('&').filter(|setting| !setting.is_empty()) {
        let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
        match name {
            "synchronous" => options.synchronous = synchronous(value)?,
            "busy_timeout" => options.busy_timeout = busy_timeout(value)?,
            _ => {
                let shown: String = name.chars().take(40).collect();
                return Err(wrong(format!(
                    "sqlite: has no setting {shown:?}; expected synchronous or busy_timeout"
                )));
            }
        }
    }
    Ok(Place::Sqlite {
        path: PathBuf::from(path),
        options,
    })
}

fn synchronous(value: &str) -> Result<Synchronous> {
    match value {
        "full" => Ok(Synchronous::Full),
        "normal" => Ok(Synchronous::Normal),
        "off" => Ok(Synchronous::Off),
        _ => Err(wrong(format!(
            "synchronous is {value:?}; expected full, normal or off"
        ))),
    }
}

fn busy_timeout(value: &str) -> Result<Duration> {
    let timeout =
        parse_duration(value).map_err(|e| wrong(format!("busy_timeout is wrong: {e}")))?;
    if timeout > Duration::from_secs(600) {
        return Err(wrong("busy_timeout is over 10m".into()));
    }
    Ok(timeout)
}

fn wrong(message: String) -> Error {
    Error::invalid("connect", message)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use tidemill_embedded::Synchronous;
    use tidemill_shared::ErrorKind;

    use super::{Place, parse};

    #[test]
    fn a_sqlite_url_names_a_path_and_settings() {
        for (url, path) in [
            ("sqlite:tasks.db", "tasks.db"),
            ("sqlite:/var/lib/tasks.db", "/var/lib/tasks.db"),
            ("sqlite:///var/lib/tasks.db", "/var/lib/tasks.db"),
            ("sqlite:a b#c%20.db?", "a b#c%20.db"),
        ] {
            let Place::Sqlite { path: found, .. } = parse(url).unwrap() else {
                panic!("{url} is a file");
            };
            assert_eq!(found, Path::new(path));
        }
        let place = parse("sqlite:t.db?synchronous=normal&busy_timeout=250ms").unwrap();
        let Place::Sqlite { options, .. } = place else {
            panic!("a file was named");
        };
        assert_eq!(options.synchronous, Synchronous::Normal);
        assert_eq!(options.busy_timeout, Duration::from_millis(250));
    }

    #[test]
    fn a_wrong_url_is_refused_with_what_was_expected() {
        for (url, part) in [
            ("", "sqlite:PATH"),
            ("tasks.db", "sqlite:PATH"),
            ("sqlite:", "lacks a path"),
            ("sqlite:?synchronous=full", "lacks a path"),
            ("sqlite:t.db?sync=full", "synchronous or busy_timeout"),
            ("sqlite:t.db?synchronous=often", "full, normal or off"),
            ("sqlite:t.db?busy_timeout=5", "unit is missing"),
            ("sqlite:t.db?busy_timeout=11m", "over 10m"),
            ("sqlite::memory:", "memory:"),
            ("sqlite://tasks.db", "sqlite:tasks.db"),
            ("memory:here", "nothing after"),
            ("postgres://localhost", "postgres: is not"),
        ] {
            let error = parse(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{url}");
            assert!(error.to_string().contains(part), "{url}: {error}");
        }
    }

    #[test]
    fn no_error_repeats_a_password() {
        for url in [
            "redis://user:hunter2@host/hunter2",
            "redis://user:hunter2@host/0?hunter2=hunter2",
            "redis+cluster://user:hunter2@",
            "amqp://user:hunter2@host/hunter2/",
            "mysql://user:hunter2@host",
            "user:hunter2@host",
            "hunter2",
            "hunter2@host:99",
            "sqlite://user:hunter2@host/x",
        ] {
            let message = parse(url).unwrap_err().to_string();
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
