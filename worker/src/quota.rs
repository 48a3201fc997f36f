//! How free slots are shared among queues: pure arithmetic.
//!
//! Each queue has a credit, the part of a slot that it is owed. A plan gives every queue its weight's
//! share of the free slots plus its credit, in whole slots; what was really received is charged
//! afterwards. So the shares hold over time however few slots are free at once (with one free slot
//! this is smooth weighted round-robin), a queue that is empty leaves its share to the others, and
//! it saves nothing up meanwhile.

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
}

/// What to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Queue and most, in the order in which they are to be served. A queue may stand twice: first
    /// with its share, then with what others may leave.
    pub(crate) entries: Vec<(usize, usize)>,
    /// All that is asked for.
    pub(crate) max: usize,
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
            whole: weights.iter().sum::<i64>().max(1),
            weights,
        }
    }

    /// Shares `free` slots among the queues, each with room for `rooms[queue]` more.
    pub(crate) fn plan(&self, free: usize, rooms: &[usize]) -> Plan {
        let max = free.min(
            rooms
                .iter()
                .fold(0, |sum: usize, room| sum.saturating_add(*room)),
        );
        let shares = match self.order {
            Order::Weighted if rooms.len() > 1 => self.shares(max, rooms),
            Order::Weighted | Order::Strict => vec![0; rooms.len()],
        };
        let mut line: Vec<usize> = (0..rooms.len()).collect();
        if self.order == Order::Weighted {
            line.sort_by_key(|queue| {
                let owed = self.owed(*queue, max, rooms);
                (shares.get(*queue) == Some(&0), -owed)
            });
        }
        let at = |list: &[usize], queue: usize| list.get(queue).copied().unwrap_or(0);
        let first = line.iter().map(|queue| (*queue, at(&shares, *queue)));
        let second = line.iter().map(|queue| {
            let share = at(&shares, *queue);
            (*queue, (at(rooms, *queue) - share).min(max - share))
        });
        let entries = first.chain(second).filter(|(_, most)| *most > 0).collect();
        Plan {
            entries,
            max,
            shares,
        }
    }

    /// What this queue may expect of `max` slots, in parts.
    fn owed(&self, queue: usize, max: usize, rooms: &[usize]) -> i64 {
        let open: i64 = (self.weights.iter().zip(rooms))
            .filter(|(_, room)| **room > 0)
            .map(|(weight, _)| *weight)
            .sum();
        let weight = self.weights.get(queue).copied().unwrap_or(0);
        let credit = self.credit.get(queue).copied().unwrap_or(0);
        credit + signed(max) * weight * self.whole / open.max(1)
    }

    fn shares(&self, max: usize, rooms: &[usize]) -> Vec<usize> {
        let owed: Vec<_> = (0..rooms.len())
            .map(|queue| self.owed(queue, max, rooms))
            .collect();
        let mut shares = vec![0_usize; rooms.len()];
        let mut left = max;
        for ((share, owed), room) in shares.iter_mut().zip(&owed).zip(rooms) {
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
            let plan = quotas.plan(*free, &vec![1_000; backlog.len()]);
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
        let plan = quotas.plan(4, &[0, 3]);
        assert_eq!(plan.entries, [(1, 3)]);
        assert_eq!(plan.max, 3);
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
            let plan = quotas.plan(free, &rooms);
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
