//! What an expression means, in words.

use super::day::{DayRule, Days, bits};
use super::local::{FIRST_YEAR, Local};

const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const ORDINALS: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];
/// More times of the day than this are not listed one by one.
const MOST_TIMES: u32 = 6;

pub(super) fn describe(local: &Local) -> String {
    let (mut words, listed) = match listed(local) {
        Some(words) => (words, true),
        None => (pattern(local), false),
    };
    match days(&local.days) {
        Some(days) => words.push_str(&format!(" {days}")),
        None if listed => words.push_str(" every day"),
        None => {}
    }
    if local.months.count_ones() < 12 {
        let names = names(bits(local.months.into()).map(|month| month - 1), &MONTHS);
        words.push_str(&format!(" in {names}"));
    }
    if let Some(years) = &local.years {
        let first = u32::from(FIRST_YEAR.unsigned_abs());
        let years: Vec<u32> = (0..)
            .zip(years)
            .flat_map(|(word, mask)| bits(*mask).map(move |bit| first + word * 64 + bit))
            .collect();
        words.push_str(&format!(" in {}", numbers(&years)));
    }
    words
}

/// The values of a field by their pattern.
enum Shape {
    All,
    /// Every so many, from a start before the first step.
    Steps {
        start: u32,
        step: u32,
    },
    Range(u32, u32),
    List,
}

fn shape(values: &[u32], len: u32) -> Shape {
    let (Some(first), Some(last)) = (values.first().copied(), values.last().copied()) else {
        return Shape::List;
    };
    let steps: Vec<u32> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let Some(step) = steps.first().copied() else {
        return Shape::List;
    };
    if steps.iter().any(|other| *other != step) {
        return Shape::List;
    }
    match step {
        1 if first == 0 && last + 1 == len => Shape::All,
        1 => Shape::Range(first, last),
        step if (first == 0 || steps.len() > 1) && first < step && last + step >= len => {
            Shape::Steps { start: first, step }
        }
        _ => Shape::List,
    }
}

/// The times of the day one by one, when they are few.
fn listed(local: &Local) -> Option<String> {
    let count = local.hours.count_ones() * local.minutes.count_ones() * local.seconds.count_ones();
    if count > MOST_TIMES {
        return None;
    }
    let mut all = Vec::new();
    for hour in bits(local.hours.into()) {
        for minute in bits(local.minutes) {
            for second in bits(local.seconds) {
                all.push(match local.seconds {
                    1 => format!("{hour:02}:{minute:02}"),
                    _ => format!("{hour:02}:{minute:02}:{second:02}"),
                });
            }
        }
    }
    Some(format!("at {}", join(&all)))
}

/// The times of the day by their pattern.
fn pattern(local: &Local) -> String {
    let seconds: Vec<u32> = bits(local.seconds).collect();
    let minutes: Vec<u32> = bits(local.minutes).collect();
    let hours: Vec<u32> = bits(local.hours.into()).collect();
    let on_the_minute = seconds == [0];
    let mut words = match (shape(&seconds, 60), seconds.as_slice()) {
        (Shape::All, _) => "every second".into(),
        (Shape::Steps { start: 0, step }, _) => format!("every {step} seconds"),
        _ if on_the_minute => String::new(),
        (_, [second]) => format!("at second {second}"),
        _ => format!("at seconds {}", numbers(&seconds)),
    };
    let hour_shape = shape(&hours, 24);
    let by_minute = match (shape(&minutes, 60), minutes.as_slice()) {
        (Shape::All, _) if on_the_minute => "every minute".into(),
        (Shape::All, _) if words.starts_with("at") => "of every minute".into(),
        (Shape::All, _) => String::new(),
        (Shape::Steps { start: 0, step }, _) if on_the_minute => format!("every {step} minutes"),
        (Shape::Steps { start, step }, _) if on_the_minute => {
            format!("every {step} minutes from minute {start} on")
        }
        (_, [0]) if on_the_minute && !matches!(hour_shape, Shape::List) => {
            return hourly(&hour_shape);
        }
        (_, [minute]) if on_the_minute && !matches!(hour_shape, Shape::List) => {
            return format!("{} at minute {minute}", hourly(&hour_shape));
        }
        (Shape::Range(from, to), _) if on_the_minute => {
            format!("every minute from minute {from} to {to} of every hour")
        }
        (_, [minute]) => format!("in minute {minute} of every hour"),
        _ if on_the_minute => format!("at minutes {} of every hour", numbers(&minutes)),
        _ => format!("in minutes {} of every hour", numbers(&minutes)),
    };
    let by_hour = match hour_shape {
        Shape::All => String::new(),
        Shape::Range(from, to) => format!("from {from:02}:00 to {to:02}:59"),
        Shape::Steps { .. } | Shape::List => match hours.as_slice() {
            [hour] => format!("from {hour:02}:00 to {hour:02}:59"),
            _ => format!("in hours {}", numbers(&hours)),
        },
    };
    for part in [by_minute, by_hour] {
        if !part.is_empty() {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(&part);
        }
    }
    if !matches!(hour_shape, Shape::All) {
        words = words.replace(" of every hour", "");
    }
    words
}

fn hourly(hours: &Shape) -> String {
    match hours {
        Shape::All | Shape::List => "every hour".into(),
        Shape::Steps { start: 0, step } => format!("every {step} hours"),
        Shape::Steps { start, step } => format!("every {step} hours from {start:02}:00 on"),
        Shape::Range(from, to) => format!("every hour from {from:02}:00 to {to:02}:59"),
    }
}

fn days(days: &Days) -> Option<String> {
    let by_month_day = || {
        let mut parts = Vec::new();
        let listed: Vec<u32> = bits(days.month_days.into()).collect();
        match listed.as_slice() {
            [] => {}
            [day] => parts.push(format!("day {day}")),
            _ => parts.push(format!("days {}", numbers(&listed))),
        }
        for day in bits(days.nearest.into()) {
            parts.push(format!("the weekday nearest to day {day}"));
        }
        if days.last_weekday {
            parts.push("the last weekday".into());
        }
        if days.last {
            parts.push("the last day".into());
        }
        format!("on {} of the month", join(&parts))
    };
    let by_weekday = || {
        let mut parts = Vec::new();
        if days.weekdays != 0 {
            parts.push(weekday_names(days.weekdays));
        }
        for (ordinal, weekdays) in ORDINALS.iter().zip(days.nth) {
            for weekday in bits(weekdays.into()) {
                parts.push(format!("the {ordinal} {} of the month", name(weekday)));
            }
        }
        for weekday in bits(days.last_of.into()) {
            parts.push(format!("the last {} of the month", name(weekday)));
        }
        format!("on {}", join(&parts))
    };
    match days.rule {
        DayRule::Any => None,
        DayRule::MonthDay => Some(by_month_day()),
        DayRule::Weekday => Some(by_weekday()),
        DayRule::Either => Some(format!("{} or {}", by_month_day(), by_weekday())),
    }
}

fn name(weekday: u32) -> &'static str {
    usize::try_from(weekday)
        .ok()
        .and_then(|weekday| WEEKDAYS.get(weekday).copied())
        .unwrap_or_default()
}

fn weekday_names(weekdays: u8) -> String {
    let days: Vec<u32> = bits(weekdays.into()).collect();
    match days.as_slice() {
        [first, .., last] if days.len() > 2 && last - first + 1 == count(&days) => {
            format!("{} to {}", name(*first), name(*last))
        }
        _ => names(days.into_iter(), &WEEKDAYS),
    }
}

fn names(values: impl Iterator<Item = u32>, names: &[&str]) -> String {
    let chosen: Vec<String> = values
        .filter_map(|value| names.get(usize::try_from(value).ok()?))
        .map(ToString::to_string)
        .collect();
    join(&chosen)
}

/// Numbers, as a range where they are one.
fn numbers(values: &[u32]) -> String {
    match values {
        [first, .., last] if values.len() > 2 && last - first + 1 == count(values) => {
            format!("{first} to {last}")
        }
        _ => join(&values.iter().map(ToString::to_string).collect::<Vec<_>>()),
    }
}

fn count(values: &[u32]) -> u32 {
    u32::try_from(values.len()).unwrap_or(u32::MAX)
}

/// `a`, `a and b`, `a, b and c`.
fn join(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
