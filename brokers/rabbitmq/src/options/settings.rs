//! The settings behind the `?` of a URL.

use std::path::PathBuf;
use std::time::Duration;

use tidemill_shared::{Result, parse_duration, percent_decode};

use super::QueueType;
use super::url::wrong;

const KNOWN: &str =
    "timeout, connect_timeout, heartbeat, queue_type, password_file, ca, cert or key";
const LONGEST: Duration = Duration::from_secs(3_600);

/// What was set.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) timeout: Option<Duration>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) heartbeat: Option<Duration>,
    pub(super) queue_type: QueueType,
    pub(super) password_file: Option<PathBuf>,
    pub(super) ca: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

pub(super) fn parse(query: &str) -> Result<Settings> {
    let mut settings = Settings::default();
    let mut given = Vec::new();
    for setting in query.split('&').filter(|setting| !setting.is_empty()) {
        let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
        let value = percent_decode(value).ok_or_else(|| {
            wrong("a setting is not percent-encoded; write %25 for a percent sign")
        })?;
        settings.set(name, value)?;
        if given.contains(&name) {
            return Err(wrong(format!(
                "{name} is given twice; leave one of the two out"
            )));
        }
        given.push(name);
    }
    if settings.cert.is_some() != settings.key.is_some() {
        return Err(wrong(
            "cert and key belong together; one of the two is missing",
        ));
    }
    Ok(settings)
}

impl Settings {
    fn set(&mut self, name: &str, value: String) -> Result<()> {
        let file = |value: String| match value.as_str() {
            "" => Err(wrong(format!("{name} names no file"))),
            _ => Ok(Some(PathBuf::from(value))),
        };
        match name {
            "timeout" => self.timeout = Some(duration(name, &value)?),
            "connect_timeout" => self.connect_timeout = Some(duration(name, &value)?),
            "heartbeat" => self.heartbeat = Some(heartbeat(&value)?),
            "queue_type" => {
                self.queue_type = match &*value {
                    "quorum" => QueueType::Quorum,
                    "classic" => QueueType::Classic,
                    _ => return Err(wrong("queue_type is wrong; expected quorum or classic")),
                }
            }
            "password_file" => self.password_file = file(value)?,
            "ca" => self.ca = file(value)?,
            "cert" => self.cert = file(value)?,
            "key" => self.key = file(value)?,
            _ => {
                let shown: String = name.chars().take(40).collect();
                return Err(wrong(format!(
                    "amqp: has no setting {shown:?}; expected {KNOWN}"
                )));
            }
        }
        Ok(())
    }

    /// Whether anything was set that only TLS needs.
    pub(super) const fn needs_tls(&self) -> bool {
        self.ca.is_some() || self.cert.is_some()
    }
}

fn duration(name: &str, value: &str) -> Result<Duration> {
    let duration = parse_duration(value).map_err(|e| wrong(format!("{name} is wrong: {e}")))?;
    if duration.is_zero() || duration > LONGEST {
        return Err(wrong(format!("{name} is not between 1ms and 1h")));
    }
    Ok(duration)
}

/// AMQP counts it in seconds.
fn heartbeat(value: &str) -> Result<Duration> {
    let heartbeat = duration("heartbeat", value)?;
    if heartbeat.subsec_nanos() != 0 {
        return Err(wrong("heartbeat is not in whole seconds, such as 10s"));
    }
    Ok(heartbeat)
}
