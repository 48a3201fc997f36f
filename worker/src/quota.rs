//! How free slots are shared among queues: pure arithmetic.
//!
//! Each queue has a credit, the part of a slot that it is owed. A plan gives every queue its weight's
//! share of the free slots plus its credit, in whole slots; what was really received is charged
//! afterwards. So the shares hold over time however few slots are free at once (with one free slot
//! this is smooth weighted round-robin), a queue that is empty leaves its share to the others, and
//! it saves nothing up meanwhile.
//!
//! Each queue costs the broker something in each call, however few tasks it gives. Of many queues with a
//! backlog, a plan may therefore ask for few, each for a good number: those that are owed most.

/// How the queues of a worker relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// By weight.
    Weighted,
    /// The first before the second, and so on.
    Strict,
}

/// The sharing of one worker.
#[derive(Clone, Debug)]
pub(crate) struct Quotas {
    order: Order,
    weights: Vec<i64>,
    /// In parts of a slot: a whole one is the sum of all weights.
    credit: Vec<i64>,
    whole: i64,
    /// Whether the queue gave its whole share the last time.
    has_more: Vec<bool>,
}

/// What to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Queue and most, in the order in which they are to be served. A queue may stand twice: first
    /// with its share, then with what others may leave.
    pub(crate) entries: Vec<(usize, usize)>,
    /// All that is asked for.
    pub(crate) max: usize,
    /// How many of the entries, from the first, are enough for a call that need not wait, because the others
    /// are for what these may leave, and they have a backlog.
    pub(crate) enough: Option<usize>,
    shares: Vec<usize>,
}

fn signed(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl Quotas {
    pub(crate) fn new(order: Order, weights: &[u32]) -> Self {
        let weights: Vec<_> = weights.iter().map(|weight| i64::from(*weight)).collect();
        Self {
            order,
            credit: vec![0; weights.len()],
            has_more: vec![false; weights.len()],
            whole: weights.iter().sum::<i64>().max(1),
            weights,
        }
    }

    /// Shares `free` slots among the queues, each with room for `rooms[queue]` more. Where `least` is given and
    /// enough queues have a backlog, a share is not less.
    pub(crate) fn plan(&self, free: usize, rooms: &[usize], least: Option<usize>) -> Plan {
        let max = free.min(
            rooms
                .iter()
                .fold(0, |sum: usize, room| sum.saturating_add(*room)),
        );
        let owed = self.owed(max, rooms);
        let (mut shares, mut enough) = (vec![0; rooms.len()], None);
        let mut line: Vec<usize> = (0..rooms.len()).collect();
        let at = |list: &[usize], queue: usize| list.get(queue).copied().unwrap_or(0);
        if self.order == Order::Weighted && rooms.len() > 1 {
            let few = least.and_then(|least| self.few_shares(max, rooms, &owed, least));
            enough = few
                .as_ref()
                .map(|shares| shares.iter().filter(|share| **share > 0).count());
            shares = few.unwrap_or_else(|| self.shares(max, rooms, &owed));
            line.sort_by_key(|queue| {
                let owed = owed.get(*queue).copied().unwrap_or(0);
                (at(&shares, *queue) == 0, -owed)
            });
        }
        let first = line.iter().map(|queue| (*queue, at(&shares, *queue)));
        let second = line.iter().map(|queue| {
            let share = at(&shares, *queue);
            (*queue, (at(rooms, *queue) - share).min(max - share))
        });
        let entries = first.chain(second).filter(|(_, most)| *most > 0).collect();
        Plan {
            entries,
            max,
            enough,
            shares,
        }
    }

    /// What each queue may expect of `max` slots, in parts.
    fn owed(&self, max: usize, rooms: &[usize]) -> Vec<i64> {
        let open: i64 = (self.weights.iter().zip(rooms))
            .filter(|(_, room)| **room > 0)
            .map(|(weight, _)| *weight)
            .sum();
        let share = |weight: &i64| signed(max) * weight * self.whole / open.max(1);
        let owed = self.credit.iter().zip(&self.weights);
        owed.map(|(credit, weight)| credit + share(weight))
            .collect()
    }

    /// Shares of `least` for those that are owed most. `None` when an even share is as much, or when those that
    /// have a backlog cannot take all.
    fn few_shares(
        &self,
        max: usize,
        rooms: &[usize],
        owed: &[i64],
        least: usize,
    ) -> Option<Vec<usize>> {
        let open = rooms.iter().filter(|room| **room > 0).count();
        if max >= least * open {
            return None;
        }
        let mut line: Vec<_> = (0..rooms.len())
            .filter(|queue| self.has_more.get(*queue) == Some(&true))
            .collect();
        line.sort_by_key(|queue| owed.get(*queue).map(|owed| -owed));
        let (mut shares, mut left) = (vec![0; rooms.len()], max);
        for queue in line {
            if let (Some(share), Some(room)) = (shares.get_mut(queue), rooms.get(queue)) {
                *share = least.min(*room).min(left);
                left -= *share;
            }
        }
        (left == 0).then_some(shares)
    }

    fn shares(&self, max: usize, rooms: &[usize], owed: &[i64]) -> Vec<usize> {
        let mut shares = vec![0_usize; rooms.len()];
        let mut left = max;
        for ((share, owed), room) in shares.iter_mut().zip(owed).zip(rooms) {
            let due = usize::try_from(owed / self.whole).unwrap_or(0);
            *share = due.min(*room).min(left);
            left -= *share;
        }
        while left > 0 {
            let next = (0..rooms.len())
                .filter(|queue| shares.get(*queue) < rooms.get(*queue))
                .max_by_key(|queue| {
                    let given = shares.get(*queue).copied().map_or(0, signed);
                    let owed = owed.get(*queue).copied().unwrap_or(0);
                    // Of two that are owed the same, the earlier.
                    (owed - given * self.whole, std::cmp::Reverse(*queue))
                });
            let Some(share) = next.and_then(|queue| shares.get_mut(queue)) else {
                break;
            };
            *share += 1;
            left -= 1;
        }
        shares
    }

    /// Notes what a plan has yielded, per queue.
    pub(crate) fn charge(&mut self, plan: &Plan, received: &[usize]) {
        if self.order == Order::Strict || self.weights.len() < 2 {
            return;
        }
        let short = |queue: usize| received.get(queue) < plan.shares.get(queue);
        for (queue, has_more) in self.has_more.iter_mut().enumerate() {
            if plan.shares.get(queue) != Some(&0) {
                *has_more = !short(queue);
            }
        }
        let mut weights = 0;
        let mut total = 0;
        for (queue, weight) in self.weights.iter().enumerate() {
            if !short(queue) {
                weights += weight;
                total += received.get(queue).copied().map_or(0, signed);
            }
        }
        let bound = self.whole * signed(plan.max.max(1));
        for (queue, (credit, weight)) in self.credit.iter_mut().zip(&self.weights).enumerate() {
            if short(queue) {
                // It had nothing more to give, so nothing is owed to it.
                *credit = 0;
                continue;
            }
            let got = received.get(queue).copied().map_or(0, signed);
            let fair = total * weight * self.whole / weights.max(1);
            *credit = (*credit + fair - got * self.whole).clamp(-bound, bound);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::{Order, Plan, Quotas};

    /// A broker with these backlogs.
    fn serve(plan: &Plan, backlog: &mut [usize]) -> Vec<usize> {
        let mut received = vec![0; backlog.len()];
        let mut left = plan.max;
        for (queue, most) in &plan.entries {
            let n = (*most).min(left).min(backlog[*queue]);
            received[*queue] += n;
            backlog[*queue] -= n;
            left -= n;
        }
        received
    }

    fn share_out(quotas: &mut Quotas, free: &[usize], backlog: &mut [usize]) -> Vec<usize> {
        let mut sum = vec![0; backlog.len()];
        for free in free {
            let plan = quotas.plan(*free, &vec![1_000; backlog.len()], None);
            let received = serve(&plan, backlog);
            quotas.charge(&plan, &received);
            for (sum, received) in sum.iter_mut().zip(received) {
                *sum += received;
            }
        }
        sum
    }

    #[test]
    fn one_free_slot_at_a_time_is_smooth_weighted_round_robin() {
        let mut quotas = Quotas::new(Order::Weighted, &[6, 3, 1]);
        let mut backlog = [10_000; 3];
        let first_ten = share_out(&mut quotas, &[1; 10], &mut backlog);
        assert_eq!(first_ten, [6, 3, 1]);
    }

    #[test]
    fn an_empty_queue_leaves_its_share_to_the_others_and_saves_nothing() {
        let mut quotas = Quotas::new(Order::Weighted, &[6, 3, 1]);
        let mut backlog = [0, 10_000, 10_000];
        let sum = share_out(&mut quotas, &[4; 100], &mut backlog);
        assert_eq!(sum[0], 0);
        assert!(sum[1].abs_diff(300) <= 4, "{sum:?}");
        backlog[0] = 10_000;
        let sum = share_out(&mut quotas, &[1; 10], &mut backlog);
        assert!((5..=7).contains(&sum[0]), "{sum:?}");
    }

    #[test]
    fn strict_order_serves_the_first_as_long_as_it_has_any() {
        let mut quotas = Quotas::new(Order::Strict, &[1, 1]);
        let mut backlog = [10, 10];
        assert_eq!(share_out(&mut quotas, &[4, 4], &mut backlog), [8, 0]);
        assert_eq!(share_out(&mut quotas, &[4], &mut backlog), [2, 2]);
    }

    #[test]
    fn a_full_queue_is_not_asked() {
        let quotas = Quotas::new(Order::Weighted, &[1, 1]);
        let plan = quotas.plan(4, &[0, 3], None);
        assert_eq!(plan.entries, [(1, 3)]);
        assert_eq!(plan.max, 3);
    }

    #[test]
    fn of_many_queues_with_a_backlog_a_few_are_asked_for_many_each_in_turn() {
        let mut quotas = Quotas::new(Order::Weighted, &[3, 1, 1, 1, 1, 1, 1, 1]);
        let (rooms, mut backlog) = (vec![1_000; 8], vec![100_000; 8]);
        let mut sum = vec![0; 8];
        for round in 0..1_000 {
            let plan = quotas.plan(32, &rooms, Some(16));
            // Nobody knows yet who has a backlog.
            assert_eq!(plan.enough, (round > 0).then_some(2));
            let received = serve(&plan, &mut backlog);
            quotas.charge(&plan, &received);
            for (sum, received) in sum.iter_mut().zip(received) {
                *sum += received;
            }
        }
        assert!(sum[0].abs_diff(9_600) <= 64, "{sum:?}");
        assert!(
            sum.iter().skip(1).all(|sum| sum.abs_diff(3_200) <= 64),
            "{sum:?}"
        );
    }

    #[test]
    fn few_are_asked_only_if_they_can_give_all() {
        let mut quotas = Quotas::new(Order::Weighted, &[1; 8]);
        let rooms = vec![1_000; 8];
        let mut backlog = vec![1_000, 1_000, 0, 0, 0, 0, 0, 0];
        for _ in 0..10 {
            let plan = quotas.plan(64, &rooms, Some(16));
            assert_eq!(plan.enough, None);
            let received = serve(&plan, &mut backlog);
            // What the others leave goes to those that have any.
            assert_eq!(received.iter().take(2).sum::<usize>(), 64);
            quotas.charge(&plan, &received);
        }
    }

    proptest! {
        #[test]
        fn shares_hold_over_any_backlog(
            weights in prop::collection::vec(1_u32..20, 1..6),
            free in prop::collection::vec(1_usize..50, 50..200),
        ) {
            let mut quotas = Quotas::new(Order::Weighted, &weights);
            let mut backlog = vec![100_000; weights.len()];
            let sum = share_out(&mut quotas, &free, &mut backlog);
            let all: usize = free.iter().sum();
            assert_eq!(sum.iter().sum::<usize>(), all);
            let whole: u32 = weights.iter().sum();
            for (sum, weight) in sum.iter().zip(&weights) {
                let fair = all * *weight as usize / whole as usize;
                assert!(sum.abs_diff(fair) <= 3 + weights.len(), "{sum} of {fair}");
            }
        }

        #[test]
        fn a_plan_asks_for_all_that_fits_and_no_more(
            rooms in prop::collection::vec(0_usize..10, 1..6),
            free in 0_usize..40,
            strict in any::<bool>(),
        ) {
            let order = if strict { Order::Strict } else { Order::Weighted };
            let quotas = Quotas::new(order, &vec![3; rooms.len()]);
            let plan = quotas.plan(free, &rooms, None);
            assert_eq!(plan.max, free.min(rooms.iter().sum()));
            let mut backlog = vec![1_000; rooms.len()];
            let received = serve(&plan, &mut backlog);
            assert_eq!(received.iter().sum::<usize>(), plan.max);
            for (received, room) in received.iter().zip(&rooms) {
                assert!(received <= room);
            }
        }
    }
}
