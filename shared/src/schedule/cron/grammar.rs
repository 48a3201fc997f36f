//! From text to fields.

use super::day::{DayRule, Days};
use super::fault::Fault;
use super::field::{Field, HOUR, MINUTE, MONTH, MONTH_DAY, Piece, SECOND, WEEKDAY, YEAR, number};
use super::local::{FIRST_YEAR, Local, Pace};
use super::macros;

/// Reads an expression without spaces around it.
pub(super) fn parse(text: &str) -> Result<Local, Fault> {
    check_characters(text)?;
    if text.starts_with('@') {
        return parse(macros::expand(text)?);
    }
    let fields = split(text);
    if let Some(first) = fields.first()
        && first.text.contains('=')
    {
        return Err(Fault::new(
            first.place(),
            "a time zone does not go into the expression",
            "the zone beside it, as time_zone = \"Europe/Madrid\"",
        ));
    }
    let (second, minute, hour, month_day, month, weekday, year) = match *fields.as_slice() {
        [minute, hour, month_day, month, weekday] => {
            (None, minute, hour, month_day, month, weekday, None)
        }
        [second, minute, hour, month_day, month, weekday] => {
            (Some(second), minute, hour, month_day, month, weekday, None)
        }
        [second, minute, hour, month_day, month, weekday, year] => (
            Some(second),
            minute,
            hour,
            month_day,
            month,
            weekday,
            Some(year),
        ),
        _ => return Err(wrong_count(text, &fields)),
    };
    let seconds = match second {
        Some(second) => set(&SECOND, second)?.bits,
        None => 1,
    };
    let (minutes, hours) = (set(&MINUTE, minute)?, set(&HOUR, hour)?);
    let days = days(month_day, weekday)?;
    let months = set(&MONTH, month)?.bits;
    let local = Local {
        seconds,
        minutes: minutes.bits,
        hours: narrow(hours.bits),
        days,
        months: u16::try_from(months).unwrap_or(u16::MAX),
        years: year.map(years).transpose()?.flatten(),
        pace: if minutes.open || hours.open {
            Pace::RealTime
        } else {
            Pace::FixedTimes
        },
    };
    if local.never_fires() {
        let end = year.unwrap_or(weekday).place().end;
        return Err(Fault::new(
            month_day.at..end,
            "it never fires: there is no such day in any of these months",
            "a day that the calendar has",
        ));
    }
    Ok(local)
}

fn check_characters(text: &str) -> Result<(), Fault> {
    let bad = text
        .char_indices()
        .find(|(_, c)| !matches!(c, ' '..='~' | '\t'));
    match bad {
        None => Ok(()),
        Some((at, c)) => Err(Fault::new(
            at..at + c.len_utf8(),
            format!("the character {} has no place in it", c.escape_default()),
            "digits, names in English and the marks * / , - ? L W #",
        )),
    }
}

fn split(text: &str) -> Vec<Piece<'_>> {
    let mut at = 0;
    let mut fields = Vec::new();
    for part in text.split([' ', '\t']) {
        if !part.is_empty() {
            fields.push(Piece { text: part, at });
        }
        at += part.len() + 1;
    }
    fields
}

fn wrong_count(text: &str, fields: &[Piece<'_>]) -> Fault {
    let place = fields
        .get(7)
        .map_or(text.len()..text.len(), |extra| extra.at..text.len());
    let found = match fields.len() {
        1 => "1 field".into(),
        count => format!("{count} fields"),
    };
    Fault::new(
        place,
        format!("it has {found}"),
        "5 fields (minute hour day month weekday), 6 (a second before them) or 7 (a year after them)",
    )
}

/// The values of a field as bits from 0.
struct Set {
    bits: u64,
    /// Whether an item starts with `*` or is open-ended.
    open: bool,
}

fn set(field: &Field, text: Piece<'_>) -> Result<Set, Fault> {
    refuse_question_mark(field, text)?;
    let mut set = Set {
        bits: 0,
        open: false,
    };
    for item in text.items() {
        let span = field.span(item)?;
        set.open |= span.open;
        for value in span.values() {
            set.bits |= 1 << value;
        }
    }
    Ok(set)
}

fn years(text: Piece<'_>) -> Result<Option<[u64; 3]>, Fault> {
    refuse_question_mark(&YEAR, text)?;
    if text.text == "*" {
        return Ok(None);
    }
    let mut years = [0; 3];
    for item in text.items() {
        for year in YEAR.span(item)?.values() {
            let bit = year - u32::from(FIRST_YEAR.unsigned_abs());
            if let Some(word) = usize::try_from(bit / 64)
                .ok()
                .and_then(|word| years.get_mut(word))
            {
                *word |= 1 << (bit % 64);
            }
        }
    }
    Ok(Some(years))
}

fn refuse_question_mark(field: &Field, text: Piece<'_>) -> Result<(), Fault> {
    if text.text != "?" {
        return Ok(());
    }
    Err(Fault::new(
        text.place(),
        format!("the {} cannot be ?", field.name),
        format!("a {} of {}, or *", field.name, field.takes),
    ))
}

fn days(month_day: Piece<'_>, weekday: Piece<'_>) -> Result<Days, Fault> {
    if month_day.text == "?" && weekday.text == "?" {
        return Err(Fault::new(
            weekday.place(),
            "only one of the two day fields can be ?",
            format!("a {} of {}, or *", WEEKDAY.name, WEEKDAY.takes),
        ));
    }
    let restricted = |field: Piece<'_>| !matches!(field.text, "*" | "?");
    let mut days = Days {
        rule: match (restricted(month_day), restricted(weekday)) {
            (false, false) => DayRule::Any,
            (true, false) => DayRule::MonthDay,
            (false, true) => DayRule::Weekday,
            (true, true) => DayRule::Either,
        },
        ..Days::default()
    };
    if restricted(month_day) {
        for item in month_day.items() {
            add_month_day(&mut days, item)?;
        }
    }
    if restricted(weekday) {
        for item in weekday.items() {
            add_weekday(&mut days, item)?;
        }
    }
    Ok(days)
}

fn add_month_day(days: &mut Days, item: Piece<'_>) -> Result<(), Fault> {
    if item.text.eq_ignore_ascii_case("L") {
        days.last = true;
    } else if item.text.eq_ignore_ascii_case("LW") {
        days.last_weekday = true;
    } else if let Some(day) = item.strip_suffix('W') {
        days.nearest |= 1 << MONTH_DAY.value(day)?;
    } else {
        for day in MONTH_DAY.span(item)?.values() {
            days.month_days |= 1 << day;
        }
    }
    Ok(())
}

fn add_weekday(days: &mut Days, item: Piece<'_>) -> Result<(), Fault> {
    if let Some((weekday, nth)) = item.split_once('#') {
        let week = number(nth.text).and_then(|nth| usize::try_from(nth).ok()?.checked_sub(1));
        let Some(week) = week.and_then(|week| days.nth.get_mut(week)) else {
            return Err(Fault::new(
                nth.place(),
                format!("there is no {:?} weekday of a month", nth.text),
                "1 to 5 behind the #, as in MON#2",
            ));
        };
        *week |= 1 << (WEEKDAY.value(weekday)? % 7);
    } else if item.text.eq_ignore_ascii_case("L") {
        return Err(Fault::new(
            item.place(),
            "L needs a day of the week",
            "such as 5L, the last Friday of the month",
        ));
    } else if let Some(weekday) = item.strip_suffix('L') {
        days.last_of |= 1 << (WEEKDAY.value(weekday)? % 7);
    } else {
        for weekday in WEEKDAY.span(item)?.values() {
            days.weekdays |= 1 << (weekday % 7);
        }
    }
    Ok(())
}

fn narrow(bits: u64) -> u32 {
    u32::try_from(bits).unwrap_or(u32::MAX)
}
