//! Named expressions, and what only looks like one.

use super::fault::Fault;

/// What a macro stands for.
pub(super) fn expand(name: &str) -> Result<&'static str, Fault> {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    let known: [(&[&str], &'static str); 5] = [
        (&["@hourly"], "0 * * * *"),
        (&["@daily", "@midnight"], "0 0 * * *"),
        (&["@weekly"], "0 0 * * 0"),
        (&["@monthly"], "0 0 1 * *"),
        (&["@yearly", "@annually"], "0 0 1 1 *"),
    ];
    if let Some((_, expression)) = known
        .iter()
        .find(|(names, _)| names.iter().any(|other| is(other)))
    {
        return Ok(expression);
    }
    let word = name.split([' ', '\t']).next().unwrap_or(name);
    let (reason, expected) = if word.eq_ignore_ascii_case("@every") {
        (
            "@every is not a cron expression",
            "every = \"30s\" in place of the cron expression",
        )
    } else if word.eq_ignore_ascii_case("@reboot") {
        (
            "@reboot has no meaning here, because a schedule does not belong to a machine",
            "a time or an interval",
        )
    } else {
        (
            "there is no such name",
            "@hourly, @daily, @weekly, @monthly, @yearly, or 5 to 7 fields",
        )
    };
    Err(Fault::new(0..word.len(), reason, expected))
}
