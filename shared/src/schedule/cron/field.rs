//! One field: values, ranges, steps and lists.

use std::ops::Range;

use super::fault::Fault;

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// What a field may hold.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) min: u32,
    pub(super) max: u32,
    /// The end of `*` and `a/n`; differs from `max` where that is another name of the first value.
    open_end: u32,
    /// Names of the values from `min` on.
    names: &'static [&'static str],
    /// What the field takes, for messages.
    pub(super) takes: &'static str,
}

pub(super) const SECOND: Field = Field::plain("second", 0, 59, "0 to 59");
pub(super) const MINUTE: Field = Field::plain("minute", 0, 59, "0 to 59");
pub(super) const HOUR: Field = Field::plain("hour", 0, 23, "0 to 23");
pub(super) const MONTH_DAY: Field = Field::plain(
    "day of the month",
    1,
    31,
    "1 to 31, L, LW, such as 15W, or ?",
);
pub(super) const MONTH: Field = Field {
    names: &MONTHS,
    ..Field::plain("month", 1, 12, "1 to 12 or JAN to DEC")
};
pub(super) const WEEKDAY: Field = Field {
    names: &WEEKDAYS,
    open_end: 6,
    ..Field::plain(
        "day of the week",
        0,
        7,
        "0 to 7 (0 and 7 are Sunday), SUN to SAT, such as 5L or MON#2, or ?",
    )
};
pub(super) const YEAR: Field = Field::plain("year", 1970, 2099, "1970 to 2099");

/// A part of an expression with its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl<'a> Piece<'a> {
    pub(super) fn place(self) -> Range<usize> {
        self.at..self.at + self.text.len()
    }

    /// The parts before and after the first `mark`.
    pub(super) fn split_once(self, mark: char) -> Option<(Self, Self)> {
        let (left, right) = self.text.split_once(mark)?;
        let at = self.at + left.len() + mark.len_utf8();
        Some((
            Piece {
                text: left,
                at: self.at,
            },
            Piece { text: right, at },
        ))
    }

    /// The part before a suffix, when that is there and not all.
    pub(super) fn strip_suffix(self, suffix: char) -> Option<Self> {
        let text = self
            .text
            .strip_suffix([suffix, suffix.to_ascii_lowercase()])?;
        (!text.is_empty()).then_some(Piece { text, at: self.at })
    }

    /// The parts between commas.
    pub(super) fn items(self) -> impl Iterator<Item = Self> {
        let mut at = self.at;
        self.text.split(',').map(move |text| {
            let piece = Piece { text, at };
            at += text.len() + 1;
            piece
        })
    }
}

/// The values of one item of a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) step: u32,
    /// Whether the item starts with `*` or goes on to the end of the field.
    pub(super) open: bool,
}

impl Span {
    pub(super) fn values(self) -> impl Iterator<Item = u32> {
        (self.from..=self.to).step_by(usize::try_from(self.step).unwrap_or(usize::MAX))
    }
}

impl Field {
    const fn plain(name: &'static str, min: u32, max: u32, takes: &'static str) -> Self {
        Self {
            name,
            min,
            max,
            open_end: max,
            names: &[],
            takes,
        }
    }

    fn fault(&self, place: Range<usize>, reason: impl Into<String>) -> Fault {
        Fault::new(place, reason, format!("a {} of {}", self.name, self.takes))
    }

    /// Reads `*`, `v`, `a-b`, each perhaps with a step, or `a/n`.
    pub(super) fn span(&self, item: Piece<'_>) -> Result<Span, Fault> {
        if item.text.is_empty() {
            return Err(self.fault(item.place(), format!("the {} is empty here", self.name)));
        }
        let (head, step) = match item.split_once('/') {
            Some((head, step)) => (head, Some(step)),
            None => (item, None),
        };
        let step_by = step.map_or(Ok(1), |step| self.step(step))?;
        if head.text == "*" {
            return Ok(Span {
                from: self.min,
                to: self.open_end,
                step: step_by,
                open: true,
            });
        }
        let Some((from, to)) = head.split_once('-') else {
            let value = self.value(head)?;
            return Ok(match step {
                Some(_) => {
                    let from = if value > self.open_end {
                        self.min
                    } else {
                        value
                    };
                    Span {
                        from,
                        to: self.open_end,
                        step: step_by,
                        open: true,
                    }
                }
                None => Span {
                    from: value,
                    to: value,
                    step: 1,
                    open: false,
                },
            });
        };
        if to.text.contains('-') {
            return Err(self.fault(to.place(), "a range has two ends"));
        }
        let (first, mut last) = (self.value(from)?, self.value(to)?);
        // MON-SUN ends on the Sunday after, which is 7.
        let named = to.text.starts_with(|c: char| c.is_ascii_alphabetic());
        if named && last == self.min && first > last && self.open_end < self.max {
            last = self.max;
        }
        if last < first {
            return Err(Fault::new(
                head.place(),
                format!("the range {} goes backwards", head.text),
                format!(
                    "a range that goes upwards; to go over the end, write {from}-{end},{start}-{to}",
                    from = from.text,
                    end = self.open_end,
                    start = self.min,
                    to = to.text
                ),
            ));
        }
        Ok(Span {
            from: first,
            to: last,
            step: step_by,
            open: false,
        })
    }

    fn step(&self, step: Piece<'_>) -> Result<u32, Fault> {
        let most = self.open_end - self.min + 1;
        let fault = |reason: String| {
            Fault::new(
                step.place(),
                reason,
                format!("one step of 1 to {most} for the {}", self.name),
            )
        };
        if step.text.contains('/') {
            return Err(fault("an item has one step at most".into()));
        }
        match number(step.text) {
            Some(count) if (1..=most).contains(&count) => Ok(count),
            Some(count) => Err(fault(format!("the step {count} is out of range"))),
            None if step.text.is_empty() => Err(fault("the step is missing".into())),
            None => Err(fault(format!("the step {} is not a number", step.text))),
        }
    }

    /// Reads one value: a number, or a name where the field has names.
    pub(super) fn value(&self, text: Piece<'_>) -> Result<u32, Fault> {
        if text.text.is_empty() {
            return Err(self.fault(text.place(), format!("a {} is missing here", self.name)));
        }
        let named = self
            .names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(text.text))
            .and_then(|position| u32::try_from(position).ok());
        if let Some(position) = named {
            return Ok(self.min + position);
        }
        match number(text.text) {
            Some(value) if (self.min..=self.max).contains(&value) => Ok(value),
            Some(_) => Err(self.fault(
                text.place(),
                format!("the {} {} is out of range", self.name, text.text),
            )),
            None if text.text.eq_ignore_ascii_case("h") => Err(Fault::new(
                text.place(),
                "H, a hashed value, is not known here",
                format!(
                    "a {} of {}; to spread schedules, give them a jitter",
                    self.name, self.takes
                ),
            )),
            None => Err(self.fault(
                text.place(),
                format!("{:?} is not a {}", text.text, self.name),
            )),
        }
    }
}

/// Reads digits, and nothing else. What is too big for any field is all the same.
pub(super) fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}
