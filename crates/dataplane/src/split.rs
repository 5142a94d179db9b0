//! Weighted splits without chance: a schedule repeats, so that counts are exact after every full round.

/// Schedules longer than this are coarsened; at this length one slot is a hundredth of a percent.
const MAX_SLOTS: u64 = 10_000;

/// The order in which one round of requests goes to the backends, as indices into the rule's backends.
///
/// Made by smooth weighted round robin, so that a light backend's turns are spread over the round. With weights
/// that add up to 100, every hundred requests are split exactly.
#[must_use]
pub fn plan_schedule(weights: &[u64]) -> Vec<usize> {
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    let mut shares: Vec<u64> = weights.iter().map(|weight| weight / divisor).collect();
    let total: u64 = shares.iter().sum();
    if total > MAX_SLOTS {
        for share in &mut shares {
            if *share > 0 {
                *share = (*share * MAX_SLOTS / total).max(1);
            }
        }
    }
    let total: i64 = shares.iter().map(|share| i64::try_from(*share).unwrap_or(i64::MAX)).sum();
    let mut credit = vec![0_i64; shares.len()];
    let mut schedule = Vec::new();
    for _ in 0..total {
        for (credit, share) in credit.iter_mut().zip(&shares) {
            *credit += i64::try_from(*share).unwrap_or(i64::MAX);
        }
        // The first of the largest wins, so that the order is the same every time.
        let mut chosen = 0;
        for index in 1..credit.len() {
            if credit[index] > credit[chosen] {
                chosen = index;
            }
        }
        credit[chosen] -= total;
        schedule.push(chosen);
    }
    schedule
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn schedules_spread_the_lighter_backend_over_the_round() {
        let cases: [(&[u64], &[usize]); 6] = [
            (&[1], &[0]),
            (&[100, 0], &[0]),
            (&[0, 100], &[1]),
            (&[80, 20], &[0, 0, 1, 0, 0]),
            (&[2, 1, 1], &[0, 1, 2, 0]),
            (&[0, 0], &[]),
        ];
        for (weights, expected) in cases {
            assert_eq!(plan_schedule(weights), expected, "{weights:?}");
        }
    }

    #[test]
    fn a_million_parts_are_coarsened_but_nobody_is_forgotten() {
        let schedule = plan_schedule(&[999_999, 1]);
        assert!(schedule.len() <= 10_001);
        assert_eq!(schedule.iter().filter(|index| **index == 1).count(), 1);
    }

    proptest! {
        #[test]
        fn every_hundred_requests_are_split_exactly(canary in 0_u64..=100) {
            let schedule = plan_schedule(&[100 - canary, canary]);
            let hits = (0..100).filter(|n| schedule[n % schedule.len()] == 1).count();
            prop_assert_eq!(hits as u64, canary);
        }
    }
}
