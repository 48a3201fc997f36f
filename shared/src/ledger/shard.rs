//! The parts of a namespace's schedules, each of which one producer leads.

use crate::schedule::stable_hash;
use crate::{Error, ErrorKind, Result, ScheduleId};

/// The bits of a key that hold the number; the others hold the division.
const NUMBER_BITS: u32 = 16;

/// One of the equal parts into which the schedules of a namespace are divided. All producers of a
/// namespace have to divide alike: while any part of one division is led, no store lets a part of
/// another be led, so that no schedule has two leaders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    number: u32,
    of: u32,
}

impl Shard {
    /// The most parts of a division.
    pub const MOST: u32 = 64;
    /// The only part of the division into one, which is the default.
    pub const WHOLE: Self = Self { number: 0, of: 1 };

    /// All parts of the division into so many, 1 to [`MOST`](Self::MOST).
    pub fn all(of: u32) -> Result<Vec<Self>> {
        if !(1..=Self::MOST).contains(&of) {
            let message = format!("{of} shards were asked for; expected 1 to {}", Self::MOST);
            return Err(Error::invalid("shards", message));
        }
        Ok((0..of).map(|number| Self { number, of }).collect())
    }

    /// What stores know it by: another in each division, and 0 for the whole.
    #[must_use]
    pub const fn key(self) -> u32 {
        (self.of - 1) << NUMBER_BITS | self.number
    }

    /// The shard of a key.
    #[must_use]
    pub const fn of_key(key: u32) -> Self {
        Self {
            number: key & ((1 << NUMBER_BITS) - 1),
            of: (key >> NUMBER_BITS) + 1,
        }
    }

    /// Its number in its division, from 0.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.number
    }

    /// How many parts its division has.
    #[must_use]
    pub const fn of(self) -> u32 {
        self.of
    }

    /// Whether a schedule belongs to it. Each belongs to one part of a division, by a hash of its id
    /// that is the same on every machine and in every release.
    #[must_use]
    pub fn holds(self, schedule: &ScheduleId) -> bool {
        stable_hash(schedule.as_str()) % u64::from(self.of) == u64::from(self.number)
    }

    /// Whether both belong to one division.
    #[must_use]
    pub const fn is_beside(self, other: Self) -> bool {
        self.of == other.of
    }

    /// That it cannot be led, because a part of another division is.
    #[must_use]
    pub fn divided_otherwise(self, led: Self) -> Error {
        let message = format!(
            "producers with shards = {} lead the schedules of this namespace, and this one has \
             shards = {}; give all the same number: this one takes over when the others have stopped",
            led.of, self.of
        );
        Error::new(ErrorKind::Conflict, "lead", message)
    }
}

#[cfg(test)]
mod tests {
    use super::Shard;
    use crate::ScheduleId;

    #[test]
    fn each_schedule_belongs_to_one_shard_and_shards_are_about_even() {
        for of in [1, 2, 8, 64] {
            let shards = Shard::all(of).unwrap();
            let mut counts = vec![0; shards.len()];
            for n in 0..6_400 {
                let id = ScheduleId::new(format!("report-{n}")).unwrap();
                let mut holders = shards.iter().filter(|shard| shard.holds(&id));
                let holder = holders.next().unwrap();
                assert_eq!(holders.next(), None);
                counts[holder.number() as usize] += 1;
            }
            let even = 6_400 / of;
            assert!(
                counts.iter().all(|c| (even / 2..=even * 2).contains(c)),
                "{counts:?}"
            );
        }
    }

    /// Producers of two releases side by side must agree.
    #[test]
    fn the_shard_of_a_schedule_is_the_same_in_every_release() {
        let shard_of = |id: &str| {
            let id = ScheduleId::new(id).unwrap();
            let shards = Shard::all(8).unwrap();
            shards.into_iter().find(|shard| shard.holds(&id)).unwrap()
        };
        let numbers = ["a", "report", "beat-7"].map(|id| shard_of(id).number());
        assert_eq!(numbers, [0, 4, 4]);
    }

    #[test]
    fn a_key_names_one_shard_of_one_division() {
        assert_eq!(Shard::WHOLE.key(), 0);
        for of in 1..=Shard::MOST {
            for shard in Shard::all(of).unwrap() {
                assert_eq!(Shard::of_key(shard.key()), shard);
            }
        }
        assert!(Shard::all(0).is_err());
        assert!(Shard::all(65).is_err());
    }
}
