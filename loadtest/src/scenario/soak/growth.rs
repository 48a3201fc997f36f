//! Whether something grows: the slope of a line through its samples.

/// The first part of the time, in which caches fill; it is left out.
const WARM_UP: f64 = 0.25;
/// The fewest samples behind it.
const FEWEST: usize = 8;

/// Samples of one thing.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) who: String,
    pub(super) unit: &'static str,
    /// Hours since the start, and what was found.
    points: Vec<(f64, f64)>,
}

/// How it grows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Growth {
    /// The slope.
    pub(super) per_hour: f64,
    /// What the slope comes to over the time that was looked at.
    whole: f64,
    mean: f64,
}

impl Series {
    pub(super) fn new(who: &str, unit: &'static str) -> Self {
        Self {
            who: who.to_owned(),
            unit,
            points: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, at: f64, value: u64) {
        self.points.push((at, value as f64));
    }

    /// The line of least squares; none when there are too few samples.
    pub(super) fn growth(&self) -> Option<Growth> {
        let end = self.points.last()?.0;
        let points: Vec<(f64, f64)> = self
            .points
            .iter()
            .copied()
            .filter(|(at, _)| *at >= end * WARM_UP)
            .collect();
        if points.len() < FEWEST {
            return None;
        }
        let count = points.len() as f64;
        let mean_at = points.iter().map(|(at, _)| at).sum::<f64>() / count;
        let mean = points.iter().map(|(_, value)| value).sum::<f64>() / count;
        let (mut both, mut square) = (0.0, 0.0);
        for (at, value) in points {
            both += (at - mean_at) * (value - mean);
            square += (at - mean_at) * (at - mean_at);
        }
        let per_hour = both / square;
        Some(Growth {
            per_hour,
            whole: per_hour * end * (1.0 - WARM_UP),
            mean,
        })
    }
}

impl Growth {
    /// Memory may grow by a twentieth or 4 MiB, whichever is more, over the time that was looked at;
    /// what is counted, by one.
    pub(super) fn is_flat(self, unit: &str) -> bool {
        let allowed = if unit == "bytes" {
            (self.mean / 20.0).max(4_194_304.0)
        } else {
            1.0
        };
        self.whole <= allowed
    }

    /// For people.
    pub(super) fn shown(self, unit: &str) -> String {
        let (divisor, unit) = if unit == "bytes" {
            (1_048_576.0, " MiB")
        } else {
            (1.0, "")
        };
        format!(
            "{:.1}{unit} on average, {:+.1}{unit} over the time, {:+.1}{unit} an hour",
            self.mean / divisor,
            self.whole / divisor,
            self.per_hour / divisor
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Series;

    fn series(unit: &'static str, value: impl Fn(u32) -> u64) -> Series {
        let mut series = Series::new("a worker", unit);
        for minute in 0..=60 {
            series.add(f64::from(minute) / 60.0, value(minute));
        }
        series
    }

    #[test]
    fn what_grows_is_not_flat_and_its_slope_is_by_the_hour() {
        let growth = series("descriptors", |minute| 10 + u64::from(minute) / 6);
        let growth = growth.growth().unwrap();
        assert!((growth.per_hour - 10.0).abs() < 0.5, "{growth:?}");
        assert!(!growth.is_flat("descriptors"));
    }

    #[test]
    fn what_grows_at_first_and_then_goes_up_and_down_is_flat() {
        let memory = |minute: u32| match minute {
            0..=10 => 10_000_000 + u64::from(minute) * 5_000_000,
            _ => 60_000_000 + u64::from(minute % 2) * 1_000_000,
        };
        assert!(series("bytes", memory).growth().unwrap().is_flat("bytes"));
        let leak = |minute: u32| 60_000_000 + u64::from(minute) * 200_000;
        assert!(!series("bytes", leak).growth().unwrap().is_flat("bytes"));
    }

    #[test]
    fn few_samples_have_no_slope() {
        let mut series = Series::new("a worker", "bytes");
        series.add(0.0, 1);
        assert!(series.growth().is_none());
    }
}
