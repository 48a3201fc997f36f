//! The header `Retry-After` (RFC 9110, section 10.2.3).

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// The longest delay that a stranger may ask for.
const MAX: Duration = Duration::from_secs(24 * 3_600);

/// Reads seconds or a date, at most 24 hours. A date counts from `now`, the answer's own `Date`, so
/// that clocks that disagree do no harm; without that it says nothing.
pub(super) fn read(text: &str, now: Option<&str>) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are more than the longest delay too.
        return Some(text.parse().map_or(MAX, Duration::from_secs).min(MAX));
    }
    let (at, now) = (date(text)?, date(now?)?);
    let delay = Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO);
    Some(delay.min(MAX))
}

/// An HTTP date in its preferred form, which is that of RFC 5322 with the zone `GMT`.
fn date(text: &str) -> Option<Timestamp> {
    static PARSER: rfc2822::DateTimeParser = rfc2822::DateTimeParser::new();
    PARSER.parse_timestamp(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::read;

    const NOW: Option<&str> = Some("Sun, 06 Nov 1994 08:49:37 GMT");

    #[test]
    fn seconds_and_dates_are_read() {
        assert_eq!(read("120", None), Some(Duration::from_secs(120)));
        assert_eq!(read(" 0 ", None), Some(Duration::ZERO));
        let date = "Sun, 06 Nov 1994 08:50:07 GMT";
        assert_eq!(read(date, NOW), Some(Duration::from_secs(30)));
    }

    #[test]
    fn a_date_that_has_passed_is_now_and_one_far_ahead_is_cut() {
        assert_eq!(
            read("Sun, 06 Nov 1994 08:00:00 GMT", NOW),
            Some(Duration::ZERO)
        );
        let day = Some(Duration::from_secs(86_400));
        assert_eq!(read("Sun, 06 Nov 2044 08:00:00 GMT", NOW), day);
        assert_eq!(read("99999999999999999999999", None), day);
    }

    #[test]
    fn what_is_neither_says_nothing() {
        for bad in ["", "-1", "soon", "1.5", "1994-11-06"] {
            assert_eq!(read(bad, NOW), None, "{bad}");
        }
        assert_eq!(read("Sun, 06 Nov 1994 08:50:07 GMT", None), None);
    }
}
