//! Producers that are up while clocks on walls are put forward or back.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use futures::future::try_join_all;
use tidemill::{Clock, ScheduleId, SystemClock, Timestamp};

use crate::faults::schedules::stage::Stage;
use crate::faults::schedules::store::On;
use crate::faults::{PATIENCE, Trial};
use crate::{Result, ensure, pause};

/// An hour of a zone, from the moment at which a producer comes up, and when expressions fire in it.
struct Hour {
    zone: &'static str,
    from: &'static str,
    fires: &'static [(&'static str, &'static [&'static str])],
}

/// Written by hand from the tzdb and docs/cron.md.
const HOURS: [Hour; 8] = [
    // 02:00 to 03:00 at 07:00Z.
    Hour {
        zone: "America/New_York",
        from: "2026-03-08T06:40:00Z",
        fires: &[
            ("30 2 * * *", &["2026-03-08T07:00:00Z"]),
            ("0 * * * *", &["2026-03-08T07:00:00Z"]),
            ("30 * * * *", &["2026-03-08T07:30:00Z"]),
            ("*/20 2 * * *", &[]),
        ],
    },
    // 02:00 to 01:00 at 06:00Z.
    Hour {
        zone: "America/New_York",
        from: "2026-11-01T05:29:50Z",
        fires: &[
            ("30 1 * * *", &["2026-11-01T05:30:00Z"]),
            (
                "30 * * * *",
                &["2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"],
            ),
            ("0 * * * *", &["2026-11-01T06:00:00Z"]),
        ],
    },
    // 02:00 to 02:30 at 15:30Z.
    Hour {
        zone: "Australia/Lord_Howe",
        from: "2026-10-03T15:01:00Z",
        fires: &[
            ("15 2 * * *", &["2026-10-03T15:30:00Z"]),
            ("*/20 2 * * *", &["2026-10-03T15:40:00Z"]),
            ("30 * * * *", &["2026-10-03T15:30:00Z"]),
        ],
    },
    // 02:00 to 01:30 at 15:00Z.
    Hour {
        zone: "Australia/Lord_Howe",
        from: "2026-04-04T14:20:00Z",
        fires: &[
            ("45 1 * * *", &["2026-04-04T14:45:00Z"]),
            (
                "45 * * * *",
                &["2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z"],
            ),
        ],
    },
    // Midnight to 01:00 at 04:00Z.
    Hour {
        zone: "America/Santiago",
        from: "2026-09-06T03:31:00Z",
        fires: &[
            ("0 0 * * *", &["2026-09-06T04:00:00Z"]),
            ("30 0 * * *", &["2026-09-06T04:00:00Z"]),
            ("30 * * * *", &["2026-09-06T04:30:00Z"]),
        ],
    },
    // Midnight to 23:00 at 03:00Z.
    Hour {
        zone: "America/Santiago",
        from: "2026-04-05T02:20:00Z",
        fires: &[
            ("30 23 * * *", &["2026-04-05T02:30:00Z"]),
            ("0 0 * * *", &[]),
            ("0 * * * *", &["2026-04-05T03:00:00Z"]),
        ],
    },
    // Midnight to 01:00 at 22:00Z.
    Hour {
        zone: "Asia/Beirut",
        from: "2026-03-28T21:31:00Z",
        fires: &[
            ("0 0 * * *", &["2026-03-28T22:00:00Z"]),
            ("30 0 * * *", &["2026-03-28T22:00:00Z"]),
            ("*/15 0 * * *", &[]),
        ],
    },
    // The 30th of December is left out, at 10:00Z.
    Hour {
        zone: "Pacific/Apia",
        from: "2011-12-30T09:31:00Z",
        fires: &[
            ("0 9 30 12 *", &["2011-12-30T10:00:00Z"]),
            ("0 0 * * *", &["2011-12-30T10:00:00Z"]),
            (
                "30 0 * * *",
                &["2011-12-30T10:00:00Z", "2011-12-30T10:30:00Z"],
            ),
        ],
    },
];

/// F46: what is put ahead in each of these hours is what stands there.
pub(super) async fn changes(trial: &Trial, on: On) -> Result<String> {
    let hours = HOURS.iter().enumerate().map(|(number, hour)| async move {
        let trial = trial.part(&format!("hour-{number}"))?;
        hour.is_kept(&trial, on).await
    });
    let fires: usize = try_join_all(hours).await?.into_iter().sum();
    Ok(format!("{} changes of clocks, {fires} fires", HOURS.len()))
}

impl Hour {
    async fn is_kept(&self, trial: &Trial, on: On) -> Result<usize> {
        let from: Timestamp = self.from.parse()?;
        let mut file = "[producer]\nhorizon = \"1h\"\nlease = \"1s\"\n".to_owned();
        let mut expected = BTreeSet::new();
        for (number, (cron, instants)) in self.fires.iter().enumerate() {
            write!(
                file,
                "\n[[schedule]]\nid = \"s{number}\"\ncron = \"{cron}\"\n\
                 time_zone = \"{}\"\nkind = \"mark\"\npayload = {{}}\n",
                self.zone
            )?;
            for instant in *instants {
                expected.insert((*cron, instant.parse::<Timestamp>()?));
            }
        }
        let offset = (from.as_micros() - SystemClock.now().as_micros()) / 1_000_000;
        let mut stage = Stage::new(trial, on, &file, Some(offset)).await?;
        let start = stage.now();
        stage.producer()?;
        // The hour is planned from the moment at which it begins; its end comes within the horizon a few
        // seconds later.
        let end = from + Duration::from_secs(3_611);
        let mut seen = BTreeSet::new();
        while stage.now().since(start) < PATIENCE {
            seen = self.seen(&stage, end).await?;
            // Nothing may come besides until the end of the hour is within the horizon.
            if seen == expected && stage.now().since(from) > Duration::from_secs(12) {
                return Ok(expected.len());
            }
            pause(Duration::from_millis(100)).await;
        }
        ensure(false, || {
            format!(
                "{} from {}: expected {expected:?}, seen {seen:?}",
                self.zone, self.from
            )
        })?;
        Ok(0)
    }

    async fn seen(
        &self,
        stage: &Stage,
        end: Timestamp,
    ) -> Result<BTreeSet<(&'static str, Timestamp)>> {
        let mut seen = BTreeSet::new();
        for (number, (cron, _)) in self.fires.iter().enumerate() {
            let id = ScheduleId::new(format!("s{number}"))?;
            for fire in stage.record(&id, Timestamp::MIN).await? {
                if fire.scheduled_at <= end {
                    let is_new = seen.insert((*cron, fire.scheduled_at));
                    ensure(is_new, || format!("{cron} is on record twice"))?;
                }
            }
        }
        Ok(seen)
    }
}
