//! Whether this machine and the server agree on the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidemill_shared::{Result, Timestamp, format_duration};

use crate::link::Link;

/// Clocks that differ by more are worth a word.
const TOLERATED: Duration = Duration::from_secs(2);

/// Tasks follow the server's clock; people who write due times may follow this machine's.
pub(super) async fn skew(link: &Link) -> Result<Option<String>> {
    let before = wall();
    let server = link.server_time().await?;
    let after = wall();
    Ok(compare(before, server, after))
}

/// The server was read at some instant between the two.
fn compare(before: Timestamp, server: Timestamp, after: Timestamp) -> Option<String> {
    let (by, how) = if before > server {
        (before.since(server), "ahead of")
    } else {
        (server.since(after), "behind")
    };
    (by > TOLERATED).then(|| {
        let by = format_duration(Duration::from_secs(by.as_secs()));
        format!("the clock of this machine is {by} {how} that of redis, which decides what is due; synchronize both")
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this crate that reads the wall clock, to compare it"
)]
fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    });
    Timestamp::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use super::compare;
    use tidemill_shared::Timestamp;

    #[test]
    fn clocks_that_differ_are_named_with_the_direction() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        assert_eq!(compare(at(10), at(11), at(12)), None);
        assert_eq!(compare(at(12), at(10), at(12)), None);
        let ahead = compare(at(100), at(90), at(100)).unwrap();
        assert!(ahead.contains("10s ahead of"), "{ahead}");
        let behind = compare(at(100), at(3_700), at(100)).unwrap();
        assert!(behind.contains("1h behind"), "{behind}");
    }
}
