//! Two measurements side by side, pair by pair.

use serde_json::{Value, json};

use crate::report::rounded;

/// One figure of both sides, once for each turn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs(Vec<(f64, f64)>);

/// The middle of some numbers, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Of numbers that can be compared; none when there are none. Between two middles stands their mean.
    pub(crate) fn of(mut numbers: Vec<f64>) -> Option<Self> {
        numbers.sort_unstable_by(f64::total_cmp);
        let (least, most) = (*numbers.first()?, *numbers.last()?);
        let half = numbers.len() / 2;
        let upper = *numbers.get(half)?;
        let median = if numbers.len().is_multiple_of(2) {
            f64::midpoint(upper, *numbers.get(half.checked_sub(1)?)?)
        } else {
            upper
        };
        Some(Self {
            median,
            least,
            most,
        })
    }

    /// For people.
    pub(crate) fn shown(self) -> String {
        let [median, least, most] = [self.median, self.least, self.most].map(figure);
        format!("{median} ({least}–{most})")
    }

    /// For programs.
    pub(crate) fn json(self) -> Value {
        json!({
            "median": rounded(self.median),
            "min": rounded(self.least),
            "max": rounded(self.most),
        })
    }
}

impl Pairs {
    /// Adds what the two sides of one turn found.
    pub(crate) fn add(&mut self, a: f64, b: f64) {
        self.0.push((a, b));
    }

    /// How many times what B found A found, turn by turn: whatever slows both of a turn down alike falls
    /// out. None unless every turn has both figures, and none of B's is zero.
    pub(crate) fn ratio(&self, turns: usize) -> Option<Spread> {
        if self.0.len() != turns || self.0.iter().any(|(_, b)| *b == 0.0) {
            return None;
        }
        Spread::of(self.0.iter().map(|(a, b)| a / b).collect())
    }

    /// What A found.
    pub(crate) fn a(&self) -> Option<Spread> {
        Spread::of(self.0.iter().map(|(a, _)| *a).collect())
    }

    /// What B found.
    pub(crate) fn b(&self) -> Option<Spread> {
        Spread::of(self.0.iter().map(|(_, b)| *b).collect())
    }
}

/// With as many digits as one looks at.
pub(super) fn figure(value: f64) -> String {
    match value.abs() {
        1_000.0.. => {
            let whole = format!("{value:.0}");
            whole.parse().map_or(whole, crate::report::grouped)
        }
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Pairs, Spread, figure};

    #[test]
    fn a_figure_has_as_many_digits_as_one_looks_at() {
        let shown = [0.254, 12.34, 345.6, 1_234_567.8].map(figure);
        assert_eq!(shown, ["0.25", "12.3", "346", "1,234,568"]);
    }

    fn pairs(of: &[(f64, f64)]) -> Pairs {
        let mut pairs = Pairs::default();
        for (a, b) in of {
            pairs.add(*a, *b);
        }
        pairs
    }

    #[test]
    fn the_ratio_is_that_of_each_turn_and_not_of_the_medians() {
        // The machine was half as fast in the second turn.
        let found = pairs(&[(200.0, 100.0), (100.0, 50.0), (190.0, 100.0)]);
        let ratio = found.ratio(3).unwrap();
        assert_eq!(
            ratio,
            Spread {
                median: 2.0,
                least: 1.9,
                most: 2.0
            }
        );
        assert_eq!(found.a().unwrap().median, 190.0);
    }

    #[test]
    fn between_two_middles_stands_their_mean() {
        let found = pairs(&[(1.0, 1.0), (4.0, 1.0), (2.0, 1.0), (3.0, 1.0)]);
        assert_eq!(found.ratio(4).unwrap().median, 2.5);
    }

    #[test]
    fn a_figure_that_a_turn_lacks_has_no_ratio_and_neither_has_one_by_zero() {
        let found = pairs(&[(1.0, 1.0), (4.0, 0.0)]);
        assert_eq!(found.ratio(2), None);
        assert_eq!(pairs(&[(1.0, 1.0)]).ratio(2), None);
        assert_eq!(Pairs::default().ratio(0), None);
    }
}
