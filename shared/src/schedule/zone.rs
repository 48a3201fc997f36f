//! Time zones by their tzdb names.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Names in a zoneinfo folder that mean another zone on another machine, or none.
const MACHINE: [&str; 4] = ["local", "localtime", "posixrules", "factory"];

/// A time zone of the IANA tzdb, such as `Europe/Madrid`; UTC when not given.
///
/// POSIX rules (`EST5EDT,M3.2.0,M11.1.0`), `Local` and paths are refused: a schedule must mean the
/// same on every machine. The system's tzdb is used where there is one, else a copy in the program.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(jiff::tz::TimeZone);

impl Zone {
    /// UTC.
    #[must_use]
    pub const fn utc() -> Self {
        Self(jiff::tz::TimeZone::UTC)
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
            && !MACHINE.iter().any(|own| name.eq_ignore_ascii_case(own));
        if !plain {
            return Err(refused());
        }
        if name.eq_ignore_ascii_case("utc") {
            return Ok(Self::utc());
        }
        let zone = jiff::tz::TimeZone::get(name).map_err(|_| refused())?;
        match zone.iana_name() {
            Some(_) => Ok(Self(zone)),
            None => Err(refused()),
        }
    }

    /// The tzdb name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The zone for jiff.
    #[must_use]
    pub const fn to_jiff(&self) -> &jiff::tz::TimeZone {
        &self.0
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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
        zone.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::Zone;

    #[test]
    fn names_of_the_tzdb_are_taken() {
        for (name, known_as) in [
            ("Europe/Madrid", "Europe/Madrid"),
            ("america/new_york", "America/New_York"),
            ("US/Eastern", "US/Eastern"),
            ("Etc/GMT+5", "Etc/GMT+5"),
            ("utc", "UTC"),
        ] {
            assert_eq!(Zone::new(name).unwrap().name(), known_as);
        }
    }

    #[test]
    fn rules_paths_and_names_of_no_zone_are_refused() {
        let long = "A".repeat(100_000);
        for name in [
            "",
            "Local",
            "localtime",
            "posixrules",
            "../../etc/passwd",
            "/etc/localtime",
            "EST5EDT,M3.2.0,M11.1.0",
            "US/Eastern\0",
            "Mars/Olympus",
            "right/Europe/Madrid",
            "posix/Europe/Madrid",
            "zone.tab",
            "+02:00",
            "Etc/Unknown",
            &long,
        ] {
            let message = Zone::new(name).unwrap_err().to_string();
            assert!(message.contains("Europe/Madrid"), "{message}");
            assert!(message.len() < 300, "{message}");
        }
    }
}
