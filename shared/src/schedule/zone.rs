//! Time zones by their tzdb names.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A time zone of the IANA tzdb, such as `Europe/Madrid`; UTC when not given.
///
/// POSIX rules (`EST5EDT,M3.2.0,M11.1.0`), `Local` and paths are refused: a schedule must mean the
/// same on every machine.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone {
    zone: jiff::tz::TimeZone,
    name: String,
}

impl Zone {
    /// UTC.
    #[must_use]
    pub fn utc() -> Self {
        Self {
            zone: jiff::tz::TimeZone::UTC,
            name: "UTC".into(),
        }
    }

    /// Looks a name up.
    pub fn new(name: &str) -> Result<Self> {
        let shown: String = name.chars().take(64).collect();
        let refused = || {
            Error::invalid(
                "time zone",
                format!(
                    "{shown:?} is not a time zone of the tzdb; expected a name such as Europe/Madrid or UTC"
                ),
            )
        };
        let plain = !name.is_empty()
            && name.len() <= 64
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_+-/".contains(&b))
            && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
            && !name.eq_ignore_ascii_case("local");
        if !plain {
            return Err(refused());
        }
        if name.eq_ignore_ascii_case("utc") {
            return Ok(Self::utc());
        }
        let zone = jiff::tz::TimeZone::get(name).map_err(|_| refused())?;
        let name = zone.iana_name().unwrap_or(name).to_owned();
        Ok(Self { zone, name })
    }

    /// The tzdb name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The zone for jiff.
    #[must_use]
    pub const fn to_jiff(&self) -> &jiff::tz::TimeZone {
        &self.zone
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl TryFrom<String> for Zone {
    type Error = Error;
    fn try_from(name: String) -> Result<Self> {
        Self::new(&name)
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name
    }
}
