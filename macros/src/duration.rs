//! Durations as text: what `tidemill_shared::parse_duration` documents, read when the program is
//! compiled. This crate is built for the compiler, so it leaves out the time zones that come with
//! the other one.

use std::time::Duration;

const EXPECTED: &str = "expected a number with a unit, such as 250ms, 30s, 5m, 1h 30m or 7d";
const MAX: Duration = Duration::from_secs(100 * 366 * 86_400);

/// Reads whole numbers with units, largest unit first.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let mut total = Duration::ZERO;
    let mut last_unit = u64::MAX;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(format!("the duration is empty; {EXPECTED}"));
    }
    while !rest.is_empty() {
        let (digits, tail) = split(rest, |c| c.is_ascii_digit());
        let (unit, tail) = split(tail.trim_start(), |c| c.is_ascii_alphabetic());
        rest = tail.trim_start();
        let count: u64 = match digits.parse() {
            Ok(count) => count,
            Err(_) => return Err(format!("{text:?} is not a duration; {EXPECTED}")),
        };
        let millis: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" => return Err(format!("the unit is missing in {text:?}; {EXPECTED}")),
            _ => return Err(format!("{unit:?} is not a unit; {EXPECTED}")),
        };
        if millis >= last_unit {
            return Err(format!(
                "the units of {text:?} are not in order; {EXPECTED}"
            ));
        }
        last_unit = millis;
        let part = count.checked_mul(millis).map(Duration::from_millis);
        total = part
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total <= MAX)
            .ok_or_else(|| format!("{text:?} is over 100 years"))?;
    }
    Ok(total)
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at(end)
}

/// The duration as code.
pub(crate) fn tokens(duration: Duration) -> proc_macro2::TokenStream {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    quote::quote!(::core::time::Duration::new(#seconds, #nanos))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_is_accepted_means_the_same_as_in_the_language() {
        for text in [
            "250ms", "30s", "5m", "1h 30m", "1h30m", "1 h", "7d", "1d 1ms", "0s",
        ] {
            assert_eq!(
                parse(text).unwrap(),
                tidemill::parse_duration(text).unwrap(),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for bad in [
            "",
            " ",
            "5",
            "-1s",
            "s",
            "1y",
            "1s 1h",
            "1s 1s",
            "36601d",
            "99999999999999999999s",
            "1.5h",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
