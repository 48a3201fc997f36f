//! The settings behind the `?` of a URL.

use std::path::PathBuf;
use std::time::Duration;

use tidemill_shared::{Result, parse_duration, percent_decode};

use super::url::wrong;
use super::{Credentials, Secret, Topology, Verification};

const KNOWN: [&str; 12] = [
    "timeout",
    "connect_timeout",
    "durability",
    "replicas",
    "wait_timeout",
    "tls",
    "ca",
    "cert",
    "key",
    "insecure",
    "sentinel_user",
    "sentinel_password",
];

/// What was set.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) timeout: Option<Duration>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) waits: bool,
    pub(super) replicas: Option<u32>,
    pub(super) wait_timeout: Option<Duration>,
    pub(super) is_tls: bool,
    pub(super) ca: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) verification: Verification,
    pub(super) sentinel_credentials: Credentials,
}

pub(super) fn parse(query: &str, topology: &Topology, is_tls: bool) -> Result<Settings> {
    let mut settings = Settings {
        is_tls,
        ..Settings::default()
    };
    let mut given = Vec::new();
    for setting in query.split('&').filter(|setting| !setting.is_empty()) {
        let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
        let value = percent_decode(value).ok_or_else(|| {
            wrong("a setting is not percent-encoded; write %25 for a percent sign")
        })?;
        settings.set(name, value, topology)?;
        if given.contains(&name) {
            return Err(wrong(format!(
                "{name} is given twice; leave one of the two out"
            )));
        }
        given.push(name);
    }
    settings.check(topology)?;
    Ok(settings)
}

impl Settings {
    fn set(&mut self, name: &str, value: String, topology: &Topology) -> Result<()> {
        match name {
            "timeout" => self.timeout = Some(duration("timeout", &value)?),
            "connect_timeout" => self.connect_timeout = Some(duration("connect_timeout", &value)?),
            "wait_timeout" => self.wait_timeout = Some(duration("wait_timeout", &value)?),
            "durability" => {
                self.waits = match &*value {
                    "none" => false,
                    "wait" => true,
                    _ => return Err(wrong("durability is wrong; expected none or wait")),
                }
            }
            "replicas" => {
                self.replicas = Some(
                    (value.parse().ok())
                        .filter(|count| (1..=100).contains(count))
                        .ok_or_else(|| wrong("replicas is not a number from 1 to 100"))?,
                );
            }
            "tls" => {
                let wanted = flag("tls", &value)?;
                if matches!(topology, Topology::Single(_)) && wanted != self.is_tls {
                    return Err(wrong(
                        "tls contradicts the scheme; write rediss:// for TLS, redis:// for none",
                    ));
                }
                self.is_tls = wanted;
            }
            "ca" => self.ca = Some(file("ca", value)?),
            "cert" => self.cert = Some(file("cert", value)?),
            "key" => self.key = Some(file("key", value)?),
            "insecure" => {
                self.verification = if flag("insecure", &value)? {
                    Verification::None
                } else {
                    Verification::Full
                };
            }
            "sentinel_user" => self.sentinel_credentials.user = Some(Secret::new(value)),
            "sentinel_password" => self.sentinel_credentials.password = Some(Secret::new(value)),
            "db" => return Err(wrong("the database is written behind the host, such as /2")),
            _ => return Err(wrong(unknown(name))),
        }
        Ok(())
    }

    /// What only makes sense together.
    fn check(&self, topology: &Topology) -> Result<()> {
        let needs_tls =
            self.ca.is_some() || self.cert.is_some() || self.verification == Verification::None;
        if needs_tls && !self.is_tls {
            return Err(wrong(match topology {
                Topology::Single(_) => "ca, cert, key and insecure need TLS; write rediss://",
                Topology::Sentinel { .. } | Topology::Cluster { .. } => {
                    "ca, cert, key and insecure need TLS; add tls=true"
                }
            }));
        }
        if self.cert.is_some() != self.key.is_some() {
            return Err(wrong("cert and key need each other"));
        }
        if (self.replicas.is_some() || self.wait_timeout.is_some()) && !self.waits {
            return Err(wrong("replicas and wait_timeout need durability=wait"));
        }
        let sentinel = &self.sentinel_credentials;
        let is_sentinel = matches!(topology, Topology::Sentinel { .. });
        if !is_sentinel && (sentinel.user.is_some() || sentinel.password.is_some()) {
            return Err(wrong(
                "sentinel_user and sentinel_password belong to redis+sentinel://",
            ));
        }
        if sentinel.user.is_some() && sentinel.password.is_none() {
            return Err(wrong("sentinel_user needs sentinel_password"));
        }
        Ok(())
    }
}

fn duration(name: &str, value: &str) -> Result<Duration> {
    let duration = parse_duration(value).map_err(|e| wrong(format!("{name} is wrong: {e}")))?;
    if duration < Duration::from_millis(1) || duration > Duration::from_secs(600) {
        return Err(wrong(format!("{name} is not from 1ms to 10m")));
    }
    Ok(duration)
}

fn flag(name: &str, value: &str) -> Result<bool> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(wrong(format!("{name} is wrong; expected true or false"))),
    }
}

fn file(name: &str, value: String) -> Result<PathBuf> {
    if value.is_empty() || value.contains('\0') {
        return Err(wrong(format!("{name} lacks the path of a PEM file")));
    }
    Ok(PathBuf::from(value))
}

/// Names what was meant rather than what was written: behind an `&` that was not percent-encoded,
/// that is the rest of a password.
fn unknown(name: &str) -> String {
    let near = KNOWN
        .iter()
        .map(|known| (strsim::jaro_winkler(known, name), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.8);
    match near {
        Some((_, known)) => format!("there is no such setting; did you mean {known}?"),
        None => format!(
            "there is no such setting; expected one of {}",
            KNOWN.join(", ")
        ),
    }
}
