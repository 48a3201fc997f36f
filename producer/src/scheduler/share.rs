//! How many shards are for each of several producers.

use tidemill_shared::WorkerId;

/// The share of one of the living: all shares together are all shards, and none is larger than
/// another by more than one. Whether `living` names this producer already makes no difference.
pub(super) fn fair_share<'a>(
    shards: usize,
    own: &WorkerId,
    living: impl Iterator<Item = &'a WorkerId>,
) -> usize {
    let (mut before, mut count) = (0, 1);
    for other in living.filter(|other| *other != own) {
        count += 1;
        before += usize::from(other.as_str() < own.as_str());
    }
    shards / count + usize::from(before < shards % count)
}

#[cfg(test)]
mod tests {
    use tidemill_shared::WorkerId;

    use super::fair_share;

    #[test]
    fn shares_are_even_and_make_up_the_whole() {
        for shards in 1..=64 {
            for producers in 1..=10 {
                let living: Vec<WorkerId> = (0..producers).map(|_| WorkerId::random()).collect();
                let shares: Vec<usize> = living
                    .iter()
                    .map(|own| fair_share(shards, own, living.iter()))
                    .collect();
                assert_eq!(shares.iter().sum::<usize>(), shards);
                let (least, most) = (shares.iter().min(), shares.iter().max());
                assert!(most.unwrap() - least.unwrap() <= 1, "{shares:?}");
            }
        }
    }

    #[test]
    fn a_producer_that_is_not_announced_yet_counts_itself() {
        let living = [WorkerId::random(), WorkerId::random()];
        assert_eq!(fair_share(9, &WorkerId::random(), living.iter()), 3);
    }
}
