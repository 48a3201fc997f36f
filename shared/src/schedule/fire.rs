//! What follows from a schedule and an instant alone, so that every producer gets the same.

use std::time::Duration;

use crate::{Result, ScheduleId, TaskId, Timestamp};

/// Longer ids of schedules are cut, so that the id of a task has room for the instant.
const LONGEST_WHOLE: usize = 100;
const CUT: usize = 80;

/// The id of the task of a fire, so that a fire is one task however often it is planned: the
/// schedule's id (over 100 characters: the first 80 and a hash) and the instant in microseconds.
pub fn fire_task_id(schedule: &ScheduleId, scheduled_at: Timestamp) -> Result<TaskId> {
    let id = schedule.as_str();
    let at = scheduled_at.as_micros();
    if id.len() <= LONGEST_WHOLE {
        return TaskId::new(format!("{id}.{at}"));
    }
    let cut: String = id.chars().take(CUT).collect();
    TaskId::new(format!("{cut}.{:016x}.{at}", fnv1a(id.as_bytes())))
}

/// When the task of a fire is due: at its instant plus 0 to `jitter`, by how much follows from the
/// schedule's id and the instant.
#[must_use]
pub fn fire_due_at(schedule: &ScheduleId, jitter: Duration, scheduled_at: Timestamp) -> Timestamp {
    let window = u64::try_from(jitter.as_micros()).unwrap_or(u64::MAX);
    if window == 0 {
        return scheduled_at;
    }
    let seed = fnv1a(schedule.as_str().as_bytes())
        ^ fnv1a(&scheduled_at.as_micros().to_le_bytes()).rotate_left(17);
    scheduled_at + Duration::from_micros(spread(seed) % window.saturating_add(1))
}

/// A hash of a text whose bits are all spread, and which never changes.
pub(crate) fn stable_hash(text: &str) -> u64 {
    spread(fnv1a(text.as_bytes()))
}

/// FNV-1a, 64 bits: stable across builds and machines, which the standard hasher does not promise.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood 2014): spreads the bits of a weak hash.
fn spread(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{fire_due_at, fire_task_id};
    use crate::{ScheduleId, Timestamp};

    fn id(text: &str) -> ScheduleId {
        ScheduleId::new(text).unwrap()
    }

    #[test]
    fn the_id_of_a_fire_names_schedule_and_instant() {
        let at = Timestamp::from_micros(1_767_225_600_000_000);
        assert_eq!(
            fire_task_id(&id("backup"), at).unwrap().as_str(),
            "backup.1767225600000000"
        );
    }

    #[test]
    fn long_ids_of_schedules_that_start_alike_make_different_tasks() {
        let at = Timestamp::MIN;
        let (one, two) = (id(&format!("{}1", "x".repeat(127))), id(&"x".repeat(128)));
        let one = fire_task_id(&one, at).unwrap();
        assert_ne!(one, fire_task_id(&two, at).unwrap());
        assert!(one.as_str().len() <= 128);
    }

    #[test]
    fn jitter_is_the_same_for_everybody_and_stays_within_its_window() {
        let window = Duration::from_secs(60);
        let delays: Vec<i64> = (0..1_000)
            .map(|minute| {
                let at = Timestamp::from_millis(minute * 60_000);
                let due = fire_due_at(&id("herd"), window, at);
                assert_eq!(due, fire_due_at(&id("herd"), window, at));
                assert!(due >= at && due.since(at) <= window);
                due.as_micros() - at.as_micros()
            })
            .collect();
        let mean = delays.iter().sum::<i64>() / 1_000;
        assert!((25_000_000..35_000_000).contains(&mean), "{mean}");
        // The value itself is part of the contract: producers of two builds have to agree.
        assert_eq!(delays[0], 51_341_718);
    }

    #[test]
    fn schedules_of_the_same_instant_spread_over_the_window() {
        let window = Duration::from_secs(10);
        let at = Timestamp::from_millis(0);
        let mut buckets = [0_u32; 10];
        for number in 0..5_000 {
            let due = fire_due_at(&id(&format!("s{number}")), window, at);
            let second = usize::try_from(due.as_millis() / 1_000).unwrap();
            buckets[second.min(9)] += 1;
        }
        assert!(
            buckets.iter().all(|count| (400..600).contains(count)),
            "{buckets:?}"
        );
    }

    #[test]
    fn without_jitter_a_fire_is_due_at_its_instant() {
        let at = Timestamp::from_millis(5);
        assert_eq!(fire_due_at(&id("a"), Duration::ZERO, at), at);
    }
}
