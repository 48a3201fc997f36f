//! Cron expressions.

mod day;
mod describe;
mod fault;
mod field;
mod grammar;
mod local;
mod macros;

use std::sync::Arc;

use crate::schedule::Zone;
use crate::{Result, Timestamp};
use fault::Fault;
use local::Local;

pub use local::ClockChange;

/// The longest expression that is accepted, in bytes. Every second, minute and hour written out as
/// a list still fits.
const MAX_TEXT: usize = 512;

/// A checked cron expression of 5 (from the minute), 6 (seconds first) or 7 (year last) fields.
///
/// | Field | Values | Also |
/// |---|---|---|
/// | second | 0–59 | |
/// | minute | 0–59 | |
/// | hour | 0–23 | |
/// | day of month | 1–31 | `?`, `L` (the last), `15W` (the weekday nearest to the 15th), `LW` |
/// | month | 1–12, `JAN`–`DEC` | |
/// | day of week | 0–7, `SUN`–`SAT`; 0 and 7 are Sunday | `?`, `5L` (the last Friday), `MON#2` (the second Monday) |
/// | year | 1970–2099 | |
///
/// Each field takes `*`, a value, a range `a-b`, a step `*/n`, `a-b/n` or `a/n` (from `a` to the
/// end), and lists of these. Names may be in either case. `?` stands for `*` in one of the two day
/// fields. When both day fields are restricted, either of them is enough. `@hourly`, `@daily`
/// (`@midnight`), `@weekly`, `@monthly` and `@yearly` (`@annually`) stand for their expressions.
///
/// **Changes of the clock.** An expression whose minute or hour starts with `*` or is open-ended
/// (`*/15`, `0/15`) follows real time: it is due at every instant whose wall-clock time matches, so
/// nothing stands in for a time that the clock leaps over, and a time that comes twice is due twice.
/// Any other expression names fixed times: one that the clock leaps over is due once, at the end of
/// the gap, and one that comes twice is due the first time only.
///
/// An expression that could never be due, such as 30 February, is refused.
///
/// ```
/// use tidemill_shared::schedule::{CronExpr, Zone};
///
/// # fn main() -> tidemill_shared::Result<()> {
/// let cron = CronExpr::parse("30 9 * * MON-FRI")?;
/// let next = cron.next_after("2026-03-28T12:00:00Z".parse()?, &Zone::new("Europe/Madrid")?);
/// assert_eq!(next, Some("2026-03-30T09:30:00+02:00".parse()?));
/// assert_eq!(cron.describe(), "at 09:30 on Monday to Friday");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CronExpr {
    text: Arc<str>,
    local: Arc<Local>,
}

impl CronExpr {
    /// Checks and takes an expression. Fails with [`ErrorKind::Invalid`](crate::ErrorKind::Invalid)
    /// and a message of several lines that shows the expression, marks the place and says what was
    /// expected there.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MAX_TEXT {
            return Err(Fault::too_long(text));
        }
        let text = text.trim_matches([' ', '\t']);
        let local = grammar::parse(text).map_err(|fault| fault.into_error(text))?;
        Ok(Self {
            text: text.into(),
            local: Arc::new(local),
        })
    }

    /// The expression as it was given, without spaces around it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first due instant later than `after` in the zone, if there is one. Due instants are whole
    /// seconds.
    #[must_use]
    pub fn next_after(&self, after: Timestamp, zone: &Zone) -> Option<Timestamp> {
        self.local.next_after(after, zone.to_jiff())
    }

    /// Which change of the clock a due instant of this expression belongs to, if any.
    #[must_use]
    pub fn clock_change_at(&self, due: Timestamp, zone: &Zone) -> Option<ClockChange> {
        self.local.clock_change(due, zone.to_jiff())
    }

    /// What the expression means, in words, such as `every 15 minutes from 08:00 to 17:59` or
    /// `at 09:00 on Monday to Friday`.
    #[must_use]
    pub fn describe(&self) -> String {
        describe::describe(&self.local)
    }
}
