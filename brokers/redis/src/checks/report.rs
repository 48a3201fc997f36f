//! What a server says of its settings.

use std::collections::HashMap;

use redis::Value;
use tidemill_shared::Result;

use crate::link::Link;

/// Some settings, as far as they may be read.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// `INFO`: names and values.
    info: HashMap<String, String>,
    /// `CONFIG GET`: names and values.
    config: HashMap<String, String>,
    faults: Vec<String>,
}

impl Report {
    /// Asks for them. What is refused is noted; many hosted servers keep `CONFIG` to themselves.
    pub(super) async fn fetch(link: &Link) -> Self {
        let mut report = Self::default();
        match link.command("read INFO", &redis::cmd("INFO")).await {
            Ok(text) => report.info = lines(&text),
            Err(error) => report.faults.push(error.to_string()),
        }
        for name in ["save", "appendfsync"] {
            match setting(link, name).await {
                Ok(Some(value)) => {
                    report.config.insert(name.to_owned(), value);
                }
                Ok(None) => {}
                Err(error) => {
                    report.faults.push(error.to_string());
                    break;
                }
            }
        }
        report
    }

    #[cfg(test)]
    pub(super) fn of(info: &[(&str, &str)], config: &[(&str, &str)]) -> Self {
        let map = |pairs: &[(&str, &str)]| {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            pairs.iter().map(owned).collect()
        };
        Self {
            info: map(info),
            config: map(config),
            faults: Vec::new(),
        }
    }

    pub(super) fn info(&self, name: &str) -> Option<&str> {
        self.info.get(name).map(String::as_str)
    }

    pub(super) fn config(&self, name: &str) -> Option<&str> {
        self.config.get(name).map(String::as_str)
    }

    /// What could not be looked at.
    pub(super) fn unreadable(&self) -> Option<String> {
        let fault = self.faults.first()?;
        let what = if self.info.is_empty() {
            "eviction and persistence"
        } else {
            "persistence"
        };
        Some(format!("{what} could not be checked: {fault}"))
    }
}

async fn setting(link: &Link, name: &str) -> Result<Option<String>> {
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg(name);
    let answer = link.command("read CONFIG", &command).await?;
    let pairs: Option<HashMap<String, String>> = redis::from_redis_value(answer).ok();
    Ok(pairs.and_then(|mut pairs| pairs.remove(name)))
}

fn lines(text: &Value) -> HashMap<String, String> {
    let Value::BulkString(bytes) = text else {
        return HashMap::new();
    };
    String::from_utf8_lossy(bytes)
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
