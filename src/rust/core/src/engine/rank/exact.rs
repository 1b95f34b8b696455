use super::levels::Step;

/// Without ties: the probability that U is 0, 1, ... or less, for half of its range.
///
/// Counts are the coefficients of the Gaussian binomial, a product of
/// (1 - q^(n2 + i)) / (1 - q^i) over i = 1 ... n1, of which each partial product is one
/// too: whole numbers, none above the last one's sum, which is the number of ways to
/// choose n1 of n1 + n2. With 100 cells it has 97 bits.
pub(super) fn untied(own: usize, other: usize) -> Vec<f64> {
    let (few, many) = (own.min(other), own.max(other));
    let mut ways = vec![0i128; few * many / 2 + 1];
    ways[0] = 1;
    for i in 1..=few {
        for u in (many + i..ways.len()).rev() {
            ways[u] -= ways[u - many - i];
        }
        for u in i..ways.len() {
            ways[u] += ways[u - i];
        }
    }
    let all = (1..=few).fold(1i128, |ways, i| ways * (many + i) as i128 / i as i128) as f64;
    let mut below = 0;
    let cumulative = ways.into_iter().map(|ways| {
        below += ways;
        below as f64 / all
    });
    cumulative.collect()
}

/// With ties: the probability that a group of that many cells, drawn from its own and
/// the others' together, has a U as low or as high as this; twice the smaller of the
/// two, and one at most.
pub(super) fn tied(steps: impl Iterator<Item = Step>, own: usize, twice_u: u64) -> f64 {
    // Of the draws so far: by how many cells were chosen, and by the sum of their
    // mid-ranks counted from zero and doubled, their number of ways.
    let mut ways: Vec<Vec<f64>> = vec![vec![]; own + 1];
    ways[0] = vec![1.0];
    let mut below = 0;
    for step in steps {
        let here = (step.own + step.other) as usize;
        let rank = 2 * below + here - 1;
        below += here;
        for chosen in (1..=own).rev() {
            let mut choices = 1.0;
            for taken in 1..=here.min(chosen) {
                choices *= (here - taken + 1) as f64 / taken as f64;
                let (before, after) = ways.split_at_mut(chosen);
                let (from, to) = (&before[chosen - taken], &mut after[0]);
                if to.len() < from.len() + taken * rank {
                    to.resize(from.len() + taken * rank, 0.0);
                }
                let moved = to[taken * rank..].iter_mut().zip(from);
                moved.for_each(|(to, from)| *to += choices * from);
            }
        }
    }
    // Of twice the sum of ranks from zero, the part that any own n1 have is n1 (n1 - 1).
    let found = twice_u as usize + own * (own - 1);
    let ways = &ways[own];
    let all: f64 = ways.iter().sum();
    let low: f64 = ways[..=found].iter().sum();
    let high: f64 = ways[found..].iter().sum();
    (2.0 * low.min(high) / all).min(1.0)
}
